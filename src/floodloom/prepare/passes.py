"""Which scenes show the flood and which the time before it."""

from __future__ import annotations

from collections.abc import Sequence

from floodloom.dates import group_by_pass
from floodloom.errors import InputError
from floodloom.prepare.found import Found
from floodloom.sentinel1.footprint import require_one_pass


def part_by_date(
    scenes: Sequence[Found], before: Sequence[Found]
) -> tuple[list[Found], list[list[Found]]]:
    """Tell the pass of the flood from those before it.

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
        groups = group_by_pass([scene.taken for scene in scenes])
    except LookupError as error:
        unknown = scenes[error.args[0]]
        raise InputError(
            f"{unknown.path}: neither it nor its name states when it was taken, beside several "
            f"other dates in --{option}; rename it so, such as 20230514T165821.tif"
        ) from None
    return [[scenes[number] for number in group] for group in groups]


def _first(members: Sequence[Found]) -> str:
    known = [scene.taken.isoformat() for scene in members if scene.taken is not None]
    return min(known, default="")


def _require_earlier(scene: Found, after: Found) -> None:
    if scene.taken is None or after.taken is None or scene.taken < after.taken:
        return
    raise InputError(
        f"{scene.path}: taken at {scene.taken:%Y-%m-%d %H:%M}, not before {after.path} "
        f"({after.taken:%Y-%m-%d %H:%M}); give the later one as --scenes"
    )
