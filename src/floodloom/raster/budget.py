"""How many pixels a raster may have: checked before memory is taken for it.

A file of some kilobytes can state any size, and what is asked for by mistake, such as a resolution
in metres that the grid takes for degrees, is as large.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

from floodloom.errors import InputError

SETTING = "FLOODLOOM_MAXIMUM_PIXELS"
"""Variable of the environment that sets the limits."""

MOST_PLANNED = 10_000_000_000
"""Pixels of the largest grid that is worked through by blocks: ten scenes of one pass at 10 m in
their north-up rectangle, of which the lattices of geocoding alone take some GB."""

_MOST_HELD = 2_000_000_000
_BYTES_PER_PIXEL = 8  # of a map, with what is found out about it
_CONTROL_GROUP = Path("/sys/fs/cgroup/memory.max")


def most_planned() -> int:
    """Return how many pixels a grid may have that is worked through by blocks."""
    return _set() or MOST_PLANNED


def most_held() -> int:
    """Return how many pixels a raster may have that is held in memory at once."""
    return _set() or min(_MOST_HELD, _memory() // _BYTES_PER_PIXEL)


def require_pixels(height: int, width: int, name: str) -> None:
    """Check that a raster may be held in memory.

    Parameters
    ----------
    height, width
        Its size, px.
    name
        Of the raster, for messages.

    Raises
    ------
    InputError
        If it has more pixels than `most_held`.
    """
    limit = most_held()
    if height * width > limit:
        raise InputError(
            f"{name}: {height:,} x {width:,} px are more than the {limit:,} that this machine "
            f"should hold; give the part that is needed, or set {SETTING} to a greater number"
        )


def _set() -> int | None:
    text = os.environ.get(SETTING, "").strip()
    if not text:
        return None
    digits = text.replace("_", "").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) < 19 and int(digits)):
        raise InputError(f"{SETTING} is {text[:40]!r}; give a number of pixels, such as 5000000000")
    return int(digits)


def _memory() -> int:
    """Return the memory that this process may ever have, bytes."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        found.append(limit)
    with suppress(OSError, ValueError):  # "max", or no control group
        found.append(int(_CONTROL_GROUP.read_text()))
    return min(found)
