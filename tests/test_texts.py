"""What is shown of texts from outside: one line of visible signs, no secret, no formula."""

import pytest

from floodloom.texts import brief, cell, is_address, line, printable, redact


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("https://me:pw@host:8/a/b.zip?token=1#2", "https://host:8/a/b.zip"),
        ("https://me:p@w@host/a@b", "https://host/a@b"),
        ("https://s3cret@host/a", "https://host/a"),
        ("https://host?token=1", "https://host"),
        ("http://[::1]:80/x?s3cret", "http://[::1]:80/x"),
        ("http:/me:s3cret@host/x?s3cret", "http:/host/x"),
        ("http://me:s3/cret@host/x", "http://host/x"),
        ("http://me:12/s3cret@host/x", "http://host/x"),
        ("http://me:s3?cret@host/x", "http://host/x"),
        ("http://me:s3#cret@host/x", "http://host/x"),
        ("http://[me:s3cret@host/x", "http://host/x"),
        ("http://host:s3cret/x", "http://…"),
        ("file:///data/a.zip", "file:///data/a.zip"),
        ("data/a?b#c.zip", "data/a?b#c.zip"),
        ("C:/data/a?b.zip", "C:/data/a?b.zip"),
    ],
)
def test_addresses_are_shown_without_what_opens_them(address: str, left: str) -> None:
    assert redact(address) == left
    assert is_address(address) == (not address.startswith(("data", "C:")))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain text, 5 × 3, Ü, 洪水, \u05e9\u05dc\u05d5\u05dd", None),
        ("narrow\u202fspace and wide\u00a0space", None),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x07\x00\x7f", r"\x1b[31mred\x07\x00\x7f"),
        ("gpj.\u202eexe \u2066x\u2069 \u200f", r"gpj.\u202eexe \u2066x\u2069 \u200f"),
        ("\ufeffa\u200bb\u2028c\udcc3", r"\ufeffa\u200bb\u2028c\udcc3"),
        ("{braces} [bold]brackets[/bold] %s", None),
        ("got http://me:s3cret@h/x?token=s3cret: 5 bytes", "got http://h/x: 5 bytes"),
        ('{"a": "s3://k:s3cret@h/x?s=s3cret", "b": 1}', '{"a": "s3://h/x", "b": 1}'),
    ],
)
def test_texts_are_one_line_of_visible_signs(text: str, seen: str | None) -> None:
    assert printable(text) == (text if seen is None else seen)


def test_a_line_ends_where_nobody_reads_on() -> None:
    assert line("x" * 100_000) == "x" * 2000 + "…"
    assert line("x" * 2000) == "x" * 2000


def test_values_are_written_short_whatever_they_hold() -> None:
    value: object = "x"
    for _ in range(40):
        value = [value] * 10
    assert len(brief(value)) < 400
    assert len(brief({"k": "y" * 10_000, "l": value})) < 600
    assert brief("a\u202eb\n") == r"'a\u202eb\n'"
    assert brief([1, 2.5, None]) == "[1, 2.5, None]"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\uff1d1", "\uff0b1"]
)
def test_formulas_become_texts(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(f"zone;{text}") == f"zone;'{text}"


@pytest.mark.parametrize("text", ["zone 1", "-5", "+4.5e3", "1=2", "a-b@c", "", "-inf"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize("text", ["\t=1", "\r=1", "\n=1", "\x00=1"])
def test_what_spreadsheets_skip_before_a_formula_is_seen(text: str) -> None:
    assert cell(text).startswith("\\")
