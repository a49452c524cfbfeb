"""Texts as editors and spreadsheets write them: their encoding, columns and quotation marks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from floodloom.errors import ConfigError, InputError
from floodloom.files import regular_file

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LARGEST = 16 << 20  # bytes
_LONGEST_HEADER = 10_000  # characters
_MOST_VALUES = 100_000
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
        If it can't be read, isn't a regular file, is larger than any such text, or is in another
        encoding.
    """
    try:
        size = regular_file(path, "text").stat().st_size
        content = path.read_bytes() if size <= _LARGEST else b""
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ").partition(";")[0]
        raise ConfigError(f"{name}: can't be read ({reason}); check the path") from error
    except OSError as error:
        raise ConfigError(f"{name}: can't be read ({error.strerror}); check the path") from error
    if size > _LARGEST:
        raise ConfigError(
            f"{name}: {size / 1e6:.0f} MB, more than the {_LARGEST / 1e6:.0f} of any such text"
        )
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
    first = rows[0][1][:_LONGEST_HEADER] if rows else ""
    header = _fields(first)
    missing = [column for column in columns if column not in header]
    if missing:
        parted = _parted_by(first, columns)
        hint = f"the header must have {', '.join(columns)}"
        hint = f"the columns are parted by {parted}: part them by tabs" if parted else hint
        raise ConfigError(f"{name}: column {missing[0]!r} is missing; {hint}")
    twice = next((column for column in columns if header.count(column) > 1), None)
    if twice:
        raise ConfigError(f"{name}: column {twice!r} is there twice; keep one of them")
    for number, line in rows[1:]:
        try:
            fields = _fields(line)
        except csv.Error as error:
            raise ConfigError(f"{name}: row {number}: {error}; shorten its fields") from error
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
    """Check what a parsed configuration doesn't show.

    Keys that are there twice or aren't texts, and aliases (`*name`) that stand for more than anyone
    means: a few lines of them make millions of values, or go round.

    Parameters
    ----------
    path
        A configuration file; one that isn't YAML passes, which may be JSON.

    Raises
    ------
    ConfigError
        One line with the number of the first such key's line, and what to do.
    """
    try:
        root = yaml.compose(read_text(path, str(path)), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deep; see config/README.md") from error
    if root is not None:
        _count_values(root, path, {})
        _check_node(root, path, set())


def _count_values(node: yaml.Node, path: Path, counted: dict[int, int | None]) -> int:
    """Return for how many values a node stands, its aliases written out."""
    known = counted.setdefault(id(node), 0)
    where = f"{path}: line {node.start_mark.line + 1}"
    if known is None:
        raise ConfigError(f"{where}: an alias stands for what it is a part of; write out its value")
    if known:
        return known
    counted[id(node)] = None  # until it is counted
    total = 1 + sum(_count_values(child, path, counted) for child in _children(node))
    if total > _MOST_VALUES:
        raise ConfigError(
            f"{where}: aliases stand for more than {_MOST_VALUES:,} values; write out what is meant"
        )
    counted[id(node)] = total
    return total


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_node(node: yaml.Node, path: Path, checked: set[int]) -> None:
    if id(node) in checked:
        return
    checked.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_node(item, path, checked)
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
        _check_node(value, path, checked)


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
