"""Log lines: one each, whatever they quote."""

import logging
import sys
import warnings
from collections.abc import Iterator
from io import StringIO

import pytest

from floodloom.log import get_logger, set_up_logging, track
from floodloom.raster.progress import dask_progress


@pytest.fixture
def log(monkeypatch) -> Iterator[StringIO]:
    """What the log of a process holds whose logging begins now."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(root, "handlers", [])
    set_up_logging()
    yield stream
    logging.captureWarnings(False)
    root.handlers, root.level = kept, level


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("scene a\n12:00:00 I forged: all is well", r"scene a\n12:00:00 I forged: all is well"),
        ("\x1b[2J\u202e", r"\x1b[2J\u202e"),
        ("from https://me:s3cret@h/x?t=s3cret", "from https://h/x"),
        ("{0} {name} %d [red]", "{0} {name} %d [red]"),
    ],
)
def test_a_record_is_one_line(log: StringIO, text: str, seen: str) -> None:
    get_logger("floodloom.a").warning("%s", text)
    (line,) = log.getvalue().splitlines()
    assert line.endswith(f"W floodloom.a: {seen}")


def test_warnings_are_one_line_without_the_code_that_warned(log: StringIO) -> None:
    warnings.warn("two\nlines", UserWarning, stacklevel=1)
    (line,) = log.getvalue().splitlines()
    assert r"test_log.py:" in line
    assert line.endswith(r"UserWarning: two\nlines")


def test_tracebacks_hold_no_secrets_either(log: StringIO) -> None:
    try:
        raise ValueError("http://me:s3cret@h/x?t=s3cret \u202e")
    except ValueError:
        get_logger("floodloom").exception("failed")
    said = log.getvalue()
    assert "s3cret" not in said
    assert r"http://h/x \u202e" in said
    assert "Traceback" in said


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "text", ["a [/red] b", "[bold", "x[link=http://h]y[/]", "\x1b]0;title\x07"]
)
def test_progress_shows_names_as_they_are(monkeypatch, text: str) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    assert list(track([1, 2], text)) == [1, 2]
    progress = dask_progress(text)
    progress._start({})
    progress._finish({}, {}, False)
    assert "\x1b]0" not in screen.getvalue()
