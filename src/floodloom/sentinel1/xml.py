"""Checks of what the XML of products states."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np

from floodloom.arrays import Doubles

_SHOWN = 40
_FIRST, _LAST = np.datetime64("2014-01-01"), np.datetime64("2100-01-01")


def text_of(element: ET.Element, name: str) -> str:
    """Return the text of a child."""
    text = element.findtext(name)
    if text is None or not text.strip():
        raise ValueError(f"no {name}")
    return text.strip()


def numbers(element: ET.Element, name: str) -> Doubles:
    """Return the numbers in a child, (n,) float64; none where it is missing or empty."""
    texts = (element.findtext(name) or "").split()
    try:
        found = np.array(texts, dtype=np.float64)
    except ValueError as error:
        wrong = next(text for text in texts if not _is_number(text))
        raise ValueError(f"{name} holds {wrong[:_SHOWN]!r}, which is no number") from error
    return finite(found, name)


def number(element: ET.Element, name: str, low: float = -np.inf, high: float = np.inf) -> float:
    """Return the number in a child, from `low` to `high`."""
    found = numbers(element, name)
    if found.size != 1:
        raise ValueError(f"{found.size} numbers in {name}")
    within(found, name, low, high)
    return float(found[0])


def whole(element: ET.Element, name: str, low: int, high: int) -> int:
    """Return the whole number in a child, from `low` to `high`."""
    found = number(element, name, low, high)
    if found != round(found):
        raise ValueError(f"{name} is {found:g}, which isn't whole")
    return int(found)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def instant(text: str) -> np.datetime64:
    """Return a time (UTC, ISO 8601) to the nanosecond, of the years in which Sentinel-1 flies."""
    try:
        found = np.datetime64(text.removesuffix("Z"), "ns")
    except ValueError as error:
        raise ValueError(f"{text[:_SHOWN]!r} is no time") from error
    if not _FIRST <= found < _LAST:  # NaT isn't either
        raise ValueError(f"{text[:_SHOWN]!r} is no time of Sentinel-1's")
    return found


def finite(values: Doubles, what: str) -> Doubles:
    """Return values all of which are finite."""
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise ValueError(f"{what} holds {wrong}, but all must be finite")
    return values


def within(values: Doubles, what: str, low: float, high: float = np.inf) -> Doubles:
    """Return values all of which lie from `low` to `high`."""
    outside = (values < low) | (values > high)
    if outside.any():
        limits = f"at least {low:g}" if np.isinf(high) else f"from {low:g} to {high:g}"
        raise ValueError(f"{what} holds {values[outside][0]:g}, but all must be {limits}")
    return values


def positive(values: Doubles, what: str) -> Doubles:
    """Return values all of which are above 0."""
    if not (values > 0).all():
        raise ValueError(f"{what} holds {values.min():g} but all must be above 0")
    return values


def increasing(values: Doubles, what: str, *, strictly: bool = True) -> Doubles:
    """Return an axis that never turns back, nor, strictly, stands still."""
    steps = np.diff(values)
    turns = steps <= 0 if strictly else steps < 0
    if turns.any():
        at = int(np.argmax(turns))
        raise ValueError(
            f"{what} goes from {values[at]:g} to {values[at + 1]:g}, but must increase"
        )
    return values


def same_length(columns: Sequence[Doubles], names: Sequence[str]) -> None:
    """Check that the columns of a table are of one length, and not empty."""
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1 or lengths[0] == 0:
        found = ", ".join(f"{n} of {name}" for n, name in zip(lengths, names, strict=True))
        raise ValueError(f"{found}, but there must be as many of each")
