"""Which scenes show the flood and which the time before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import combinations

from floodloom.dates import group_by_pass
from floodloom.errors import InputError
from floodloom.prepare.found import Found
from floodloom.sentinel1.footprint import require_one_pass

_SAME = 0.5
"""Share of the smaller of two footprints from which both show the same ground."""


def part_by_date(
    scenes: Sequence[Found], before: Sequence[Found]
) -> tuple[list[Found], list[list[Found]]]:
    """Separate the pass of the flood from those before it.

    Parameters
    ----------
    scenes
        Scenes of the flood; those of earlier passes than the last one are taken as before it.
    before
        Scenes that are stated to be from before the flood.

    Returns
    -------
    after
        Scenes of the last pass.
    before
        Scenes of each pass before the flood, the latest first.

    Raises
    ------
    InputError
        If the times aren't known, those before the flood aren't earlier, or the scenes of one
        date aren't of one pass.
    """
    after, *rest = sorted(_passes(scenes, "scenes"), key=_first, reverse=True)
    earlier = _passes([*(scene for members in rest for scene in members), *before], "before")
    for members in (after, *earlier):
        require_one_pass({str(scene.path): scene.facts for scene in members})
    for members in earlier:
        _require_earlier(members[0], after[0])
    return after, sorted(earlier, key=_first, reverse=True)


def _passes(scenes: Sequence[Found], option: str) -> list[list[Found]]:
    try:
        groups = group_by_pass([scene.day for scene in scenes])
    except LookupError as error:
        unknown = scenes[error.args[0]]
        raise InputError(
            f"{unknown.path}: neither it nor its name states when it was taken, beside several "
            f"other dates in --{option}; rename it, such as flood_2023-05-14.tif"
        ) from None
    if len(scenes) > 1 and scenes[0].day is None:
        _require_slices(scenes)
    return [[scenes[number] for number in group] for group in groups]


def _require_slices(scenes: Sequence[Found]) -> None:
    """Refuse scenes of unknown dates that show the same ground: they would be mixed as one date."""
    for one, other in combinations(scenes, 2):
        smaller = min(one.outline.area, other.outline.area)
        if one.outline.intersection(other.outline).area > _SAME * smaller:
            raise InputError(
                f"{other.path}: shows the ground of {one.path}, and nothing states when they were "
                "taken; give the one from before the flood as --before, or rename both, such as "
                "flood_2023-05-14.tif"
            )


def _first(members: Sequence[Found]) -> str:
    known = [scene.day.isoformat() for scene in members if scene.day is not None]
    return min(known, default="")


def _require_earlier(scene: Found, after: Found) -> None:
    one, other = scene.day, after.day
    if one is None or other is None:
        return
    if isinstance(one, datetime) and isinstance(other, datetime):
        is_earlier = one < other
    else:
        is_earlier = f"{one:%Y-%m-%d}" < f"{other:%Y-%m-%d}"
    if not is_earlier:
        raise InputError(
            f"{scene.path}: taken at {_written(one)}, not before {after.path} "
            f"({_written(other)}); give the later one as --scenes"
        )


def _written(when: date) -> str:
    return f"{when:%Y-%m-%d %H:%M}" if isinstance(when, datetime) else f"{when:%Y-%m-%d}"
