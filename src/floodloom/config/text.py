"""Texts as editors and spreadsheets write them: their encoding, columns and quotation marks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from floodloom.errors import ConfigError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = {",": "commas", ";": "semicolons", " ": "spaces"}


def read_text(path: Path, name: str) -> str:
    """Read a text in UTF-8, with or without a byte order mark, with line ends of any system.

    Parameters
    ----------
    path
        The file.
    name
        What it is called in messages.

    Raises
    ------
    ConfigError
        If it can't be read or is in another encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: can't be read ({error.strerror}); check the path") from error
    if content.startswith(_UTF16) or b"\0" in content:
        raise ConfigError(f"{name}: not a text in UTF-8 but in UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{name}: line {line}: byte 0x{content[error.start]:02x} isn't UTF-8; save it as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_table(
    path: Path, name: str, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table whose columns are parted by tabs, without comments (#) and empty rows.

    Parameters
    ----------
    path
        The file.
    name
        What it is called in messages.
    columns
        Columns that must be there.

    Yields
    ------
    int
        Number of the row's line.
    dict
        The row by column, without spaces around names and values.

    Raises
    ------
    ConfigError
        If it can't be read, a column is missing, or a row has more fields than the header.
    """
    lines = enumerate(read_text(path, name).split("\n"), start=1)
    rows = [(number, line) for number, line in lines if line.strip() and line[0] != "#"]
    first = rows[0][1] if rows else ""
    header = _fields(first)
    missing = [column for column in columns if column not in header]
    if missing:
        parted = _parted_by(first, columns)
        hint = f"the header must have {', '.join(columns)}"
        hint = f"the columns are parted by {parted}: part them by tabs" if parted else hint
        raise ConfigError(f"{name}: column {missing[0]!r} is missing; {hint}")
    for number, line in rows[1:]:
        fields = _fields(line)
        if len(fields) > len(header):
            raise ConfigError(
                f"{name}: row {number}: {len(fields)} fields in {len(header)} columns; remove a tab"
            )
        parted = _parted_by(line, ()) if len(fields) == 1 else None
        if parted:
            raise ConfigError(f"{name}: row {number}: parted by {parted}; part the fields by tabs")
        yield number, dict.fromkeys(header, "") | dict(zip(header, fields, strict=False))


def _fields(line: str) -> list[str]:
    """Split a line at its tabs; spreadsheets end lines with tabs that part nothing."""
    (fields,) = csv.reader([line.rstrip()], delimiter="\t")
    return [field.strip() for field in fields]


def _parted_by(line: str, columns: Sequence[str]) -> str | None:
    """Return what parts the fields of a line instead of tabs."""
    for separator, called in _SEPARATORS.items():
        fields = [field.strip(' "') for field in line.split(separator)]
        if separator in line.strip() and set(columns) <= set(fields):
            return called
    return None


def check_keys(path: Path) -> None:
    """Check what a parsed configuration doesn't tell: keys that are there twice, or aren't texts.

    Parameters
    ----------
    path
        A configuration file; nothing is said of one that isn't YAML, which may be JSON.

    Raises
    ------
    ConfigError
        One line with the number of the first such key's line, and what to do.
    """
    try:
        root = yaml.compose(read_text(path, str(path)), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return
    _check_node(root, path)


def _check_node(node: yaml.Node | None, path: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_node(item, path)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        where = f"{path}: line {key.start_mark.line + 1}: key {key.value}"
        if kind := _KINDS.get(key.tag):
            raise ConfigError(f"{where}: read as {kind}; quote it: '{key.value}'")
        if str(key.value) in seen:
            raise ConfigError(
                f"{where} is there already, in line {seen[key.value]}; keep one of them"
            )
        seen[str(key.value)] = key.start_mark.line + 1
        _check_node(value, path)


_KINDS = {
    "tag:yaml.org,2002:timestamp": "a date",
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:null": "nothing",
}


def kind_of(value: Any) -> str | None:
    """Return what YAML has made of a text that was meant as one, or None if it is something else.

    Parameters
    ----------
    value
        A parsed key or value.
    """
    if isinstance(value, date):
        return "a date"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else None
