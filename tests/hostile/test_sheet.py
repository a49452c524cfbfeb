"""Scene sheets that are broken, mistaken, or made to harm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from floodloom.config.load import Scene, load_config, load_scenes

from .harness import Trial
from .test_config import GOOD, HEADER, LONG

Words = tuple[str, ...]
EVENTS = {name: {"split": "target"} for name in ("e", "f")}


def read(folder: Path) -> dict[str, Scene]:
    return load_scenes(load_config({**GOOD, "events": EVENTS}), folder)


def row(*fields: str) -> str:
    return HEADER + "\t".join(fields) + "\n"


CASES: dict[str, tuple[str | bytes, Words]] = {
    "empty": ("", ("s.tsv", "scene")),
    "zeros": (bytes(500), ("s.tsv",)),
    "another encoding": (row("a", "e", "after", "x").encode() + b"\xe4", ("s.tsv", "0xe4")),
    "UTF-16": (row("a", "e", "after", "simulated").encode("utf-16"), ("s.tsv", "UTF-16")),
    "parted by commas": (
        row("a", "e", "after", "simulated").replace("\t", ","),
        ("s.tsv", "commas"),
    ),
    "parted by semicolons": (
        row("a", "e", "after", "simulated").replace("\t", ";"),
        ("s.tsv", "semicolons"),
    ),
    "no header": ("a\te\tafter\tsimulated\n", ("s.tsv", "scene")),
    "a column twice": (
        "scene\tevent\trole\tsource\tscene\na\te\tafter\tsimulated\tb\n",
        ("s.tsv", "scene", "twice"),
    ),
    "a field too many": (row("a", "e", "after", "simulated", "", "x"), ("s.tsv", "row 2")),
    "a field too few": (row("a", "e", "after"), ("s.tsv", "row 2", "source")),
    "a quotation mark that doesn't end": (row('"a', "e", "after", "simulated"), ("s.tsv", "row 2")),
    "a field of 200,000 letters": (
        row("a" * 200_000, "e", "after", "simulated"),
        ("s.tsv", "row 2"),
    ),
    "a scene without a name": (row("", "e", "after", "simulated"), ("s.tsv", "row 2", "scene")),
    "a scene of other folders": (
        row("../../a", "e", "after", "simulated"),
        ("s.tsv", "row 2", "../../a"),
    ),
    "a scene of the parent folder": (
        row("..", "e", "after", "simulated"),
        ("s.tsv", "row 2", ".."),
    ),
    "a scene of a long name": (row(LONG, "e", "after", "simulated"), ("s.tsv", "row 2")),
    "a scene of a device": (row("nul", "e", "after", "simulated"), ("s.tsv", "row 2", "nul")),
    "a scene of a wildcard": (row("{a}", "e", "after", "simulated"), ("s.tsv", "row 2", "{a}")),
    "a scene that moves a terminal": (
        row("a\x1b[2J", "e", "after", "simulated"),
        ("s.tsv", "row 2"),
    ),
    "a scene that reads backwards": (
        row("a\u202eb", "e", "after", "simulated"),
        ("s.tsv", "row 2"),
    ),
    "a scene twice": (
        row("a", "e", "after", "simulated") + "a\tf\tafter\tsimulated\n",
        ("s.tsv", "row 3", "'a'"),
    ),
    "an event unknown": (row("a", "g", "after", "simulated"), ("s.tsv", "row 2", "'g'")),
    "an event of a terminal": (row("a", "\x1b[31m", "after", "simulated"), ("s.tsv", "row 2")),
    "a role unknown": (row("a", "e", "during", "simulated"), ("s.tsv", "row 2", "during")),
    "a role of a terminal": (row("a", "e", "\x1b[31m", "simulated"), ("s.tsv", "row 2")),
    "a source that isn't there": (
        row("a", "e", "after", "none.zip"),
        ("s.tsv", "row 2", "none.zip"),
    ),
    "a source of a wildcard": (row("a", "e", "after", "{b}.zip"), ("s.tsv", "row 2", "{b}.zip")),
    "a source of another scheme": (
        row("a", "e", "after", "ftp://h/a.zip"),
        ("s.tsv", "row 2", "ftp"),
    ),
    "a source of GDAL's": (row("a", "e", "after", "/vsicurl/http://h/a.zip"), ("s.tsv", "row 2")),
    "an address that moves a terminal": (
        row("a", "e", "after", "https://\x1b[2Jh/a.zip"),
        ("s.tsv", "row 2", "signs"),
    ),
    "a source of two lines": (row("a", "e", "after", '"a\nb"'), ("s.tsv", "row 2")),
    "a digest in words": (
        HEADER.replace("\n", "\tsha256\n") + "a\te\tafter\thttps://h/a.zip\tsecret\n",
        ("s.tsv", "row 2", "sha256", "secret"),
    ),
    "two simulated after one flood": (
        row("a", "e", "after", "simulated") + "b\te\tafter\tsimulated\n",
        ("s.tsv", "'a'", "'b'"),
    ),
    "a data set that isn't set": (row("a", "e", "after", "dataset"), ("s.tsv", "row 2", "dataset")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistaken_sheet_is_refused(name: str, trial: Trial) -> None:
    content, words = CASES[name]
    trial.file("s.tsv", content)
    trial.file("{b}.zip", b"")
    trial.refuses(lambda: read(trial.given), words=words)


def test_a_sheet_that_is_a_pipe_is_refused(trial: Trial) -> None:
    os.mkfifo(trial.given / "s.tsv")
    trial.refuses(lambda: read(trial.given), words=("s.tsv",))


@pytest.mark.parametrize(("count", "taken"), [(10_000, True), (100_000, False)])
def test_many_rows_are_read_or_refused_in_no_time(count: int, taken: bool, trial: Trial) -> None:
    rows = "".join(f"s{i}\te\tafter\thttps://h/{i}.zip\n" for i in range(count))
    trial.file("s.tsv", HEADER + rows)
    found: list[int] = []
    if taken:
        trial.accepts(lambda: found.append(len(read(trial.given))))
        assert found == [count]
    else:
        trial.refuses(lambda: read(trial.given), words=("s.tsv", "row 10002", "10,000"))


def test_a_token_in_a_sheet_is_not_shown(trial: Trial) -> None:
    source = "https://alice:SECRET1@h/a.zip?token=SECRET2"
    trial.file("s.tsv", row("a", "e", "after", source) + f"a\te\tafter\t{source}\n")
    outcome = trial.refuses(lambda: read(trial.given), words=("s.tsv", "row 3"))
    assert "SECRET" not in outcome.said


ODD = {
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "lines that end as in DOS": lambda text: text.replace("\n", "\r\n").encode(),
    "lines that end as on old Macs": lambda text: text.replace("\n", "\r").encode(),
    "tabs behind": lambda text: text.replace("\n", "\t\t\n").encode(),
    "quotation marks": lambda text: text.replace("a\t", '"a"\t').encode(),
    "comments and empty lines": lambda text: f"# note\n\n{text}\n\n# note\n".encode(),
    "spaces around": lambda text: text.replace("\t", " \t ").encode(),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_sheet_is_read_as_it_is_meant(name: str, trial: Trial) -> None:
    trial.file("s.tsv", ODD[name](row("a", "e", "after", "simulated")))
    found: list[dict[str, Scene]] = []
    trial.accepts(lambda: found.append(read(trial.given)))
    assert found == [{"a": Scene("a", "e", "after", "simulated")}]
