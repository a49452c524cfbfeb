"""When scenes were taken: read from names and texts, and put together by pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

LONGEST_PASS_S = 3000.0
"""Greatest time between scenes of one pass: half of an orbit, the ascending or the descending one.
The next pass in the same direction comes a whole orbit later."""

_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d{6}T\d{6})(?!\d)", re.IGNORECASE)
_DAY_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)(?!\d)")
_ISO = re.compile(r"[0-9T:.+Z -]{10,40}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MICROSECONDS = 26  # characters of a time up to there


def time_in_name(source: str) -> datetime | None:
    """Return when a product was taken by its name, UTC; None where no part of it states that.

    Parameters
    ----------
    source
        Path or address. The last of its folders that states a time counts, and of several times
        the first, as in `S1A_IW_GRDH_1SDV_20230514T165821_20230514T165846_…`.
    """
    path = re.split(r"[?#]", source, maxsplit=1)[0]
    for part in reversed(re.split(r"[/\\]", path)):
        found = _IN_NAME.search(part)
        if found is not None:
            return _read_compact(found[1])
    return None


def day_in_name(source: str) -> date | None:
    """Return the day that the name of a file states, such as `valley_2023-05-14.tif`; else None.

    Parameters
    ----------
    source
        Path or address; its folders don't count. Of several days none does.
    """
    name = re.split(r"[/\\]", re.split(r"[?#]", source, maxsplit=1)[0])[-1]
    found = set()
    for year, _, month, day in _DAY_IN_NAME.findall(name):
        with suppress(ValueError):  # digits that are no day
            found.add(date(int(year), int(month), int(day)))
    return found.pop() if len(found) == 1 else None


def _read_compact(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.upper(), "%Y%m%dT%H%M%S")
    except ValueError:  # digits that are no time
        return None


def read_time(text: str) -> datetime:
    """Return the time, UTC, that a text of ISO 8601 states, such as 2023-05-14T16:58:21.

    Raises
    ------
    ValueError
        If it states none.
    """
    if not _ISO.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text[:_MICROSECONDS]).replace(tzinfo=None)


def read_date(text: str) -> date:
    """Return the day that a text states, such as 2023-05-14, or else the time, as `read_time`."""
    return date.fromisoformat(text) if _DAY.fullmatch(text) else read_time(text)


def group_by_pass(taken: Sequence[date | None]) -> list[list[int]]:
    """Put scenes together that may be of one pass.

    Parameters
    ----------
    taken
        When each was taken: a time, a day where no more is known, or None.

    Returns
    -------
    list of list
        Numbers of the scenes of each pass, in the order of their first ones. Where all times that
        are known are of one pass, or none is, scenes without one belong to it.

    Raises
    ------
    LookupError
        With the number of a scene whose time isn't known, beside several passes.
    """
    passes: list[list[int]] = []
    for number, when in enumerate(taken):
        if when is None:
            continue
        for members in passes:
            if any(_is_one_pass(when, taken[other]) for other in members):
                members.append(number)
                break
        else:
            passes.append([number])
    if len(passes) <= 1:
        return [list(range(len(taken)))] if taken else []
    if None in taken:
        raise LookupError(list(taken).index(None))
    return passes


def _is_one_pass(one: date, other: date | None) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return abs(one - other) <= timedelta(seconds=LONGEST_PASS_S)
    return _day(one) == _day(other)


def _day(when: date | None) -> date | None:
    return when.date() if isinstance(when, datetime) else when
