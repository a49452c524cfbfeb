"""Which of a catalogue's scenes show the flood best, and which the time before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import shapely
from shapely.geometry.base import BaseGeometry

from floodloom.dates import group_by_pass
from floodloom.prepare.candidates import Candidate
from floodloom.prepare.checks import common
from floodloom.raster.grid import Bounds

WHOLE = 0.995
"""Share of an area from which it counts as all of it: footprints are rounded."""
_SAME = 0.5
"""Share of the smaller of two footprints from which both are one slice."""

Pass = list[Candidate]


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes
    ----------
    after
        Slices of the pass that shows the flood; empty if there is none.
    before
        Those of each date before it, the best first.
    reasons
        A line for each pass that was chosen, and for those that were left out for it.
    """

    after: Pass
    before: list[Pass]
    reasons: list[str]


def choose(candidates: Sequence[Candidate], box: Bounds, since: datetime, dates: int) -> Choice:
    """Choose the scenes that show a flood, and those that show the same ground before it.

    Parameters
    ----------
    candidates
        In any order; the choice doesn't depend on it.
    box
        West, south, east and north of the area, degrees.
    since
        Begin of the flood, UTC. The pass that shows it is the first one since then that shows all
        of the area and has one before the flood that it can be compared with; if there is none, one
        without, and else the one that shows most of the area.
    dates
        How many dates before the flood are wanted: of the same relative orbit, direction and
        polarisations; those that show all of the area first, and of these the latest.
    """
    area = shapely.box(*box)
    passes, reasons = _passes_over(candidates, area)
    later = [one for one in passes if one[0].taken >= since]
    earlier = [one for one in reversed(passes) if one[-1].taken < since]
    if not later:
        return Choice([], [], reasons)

    def rank(one: Pass) -> tuple[bool, bool, float]:
        compared = any(not _difference(other, one) for other in earlier)
        share = _share(one, area)
        whole = share >= WHOLE
        return whole and compared, whole, 0.0 if whole else share

    after = max(later, key=rank)  # the first of several
    before = _alike(after, earlier, area)[:dates]
    return Choice(
        after,
        before,
        [*reasons, *_why_after(after, later, area, since), *_why_before(before, earlier, after)],
    )


def choose_each(
    candidates: Sequence[Candidate], box: Bounds, since: datetime, dates: int
) -> list[Choice]:
    """Choose each pass since a time that shows some of an area, and what it is compared with.

    Parameters
    ----------
    candidates, box, dates
        As for `choose`; what is compared with a pass is earlier than it, but not than `since`.
    since
        UTC.

    Returns
    -------
    list
        By time.
    """
    area = shapely.box(*box)
    passes, _ = _passes_over(candidates, area)
    found = []
    for place, after in enumerate(passes):
        if after[0].taken >= since:
            earlier = passes[:place][::-1]
            before = _alike(after, earlier, area)[:dates]
            found.append(Choice(after, before, list(_why_before(before, earlier, after))))
    return found


def _passes_over(
    candidates: Sequence[Candidate], area: BaseGeometry
) -> tuple[list[Pass], list[str]]:
    """Passes that show some of an area, by time, and why other scenes are left out."""
    usable, reasons = _usable(sorted(candidates, key=lambda one: (one.taken, one.name)))
    seeing = [one for one in usable if _share([one], area) > 0]
    return [_needed(one, area) for one in _passes(seeing)], reasons


def _alike(after: Pass, earlier: Sequence[Pass], area: BaseGeometry) -> list[Pass]:
    """What a pass can be compared with: what shows all of it first, and of these the latest."""
    seen = common(_outline(after), area)

    def wanted(one: Pass) -> tuple[bool, float]:
        share = _share(one, seen)
        return share < WHOLE, 0.0 if share >= WHOLE else -share

    alike = [one for one in earlier if not _difference(one, after) and _share(one, seen) > 0]
    return sorted(alike, key=wanted)


def _usable(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    kept, reasons = [], []
    for one in candidates:
        problem = one.problem
        if not problem and one.mode != "IW":
            problem = f"mode {one.mode or 'not stated'}, not IW"
        if not problem and not {"vv", "vh"} & set(one.found.polarisations):
            problem = f"shows {', '.join(one.found.polarisations) or 'nothing stated'}, no VV or VH"
        if problem:
            reasons.append(f"not {one.name}: {problem}")
        else:
            kept.append(one)
    return _newest(kept, reasons), reasons


def _newest(candidates: Sequence[Candidate], reasons: list[str]) -> list[Candidate]:
    """Leave out what another shows, too, that was made later of the same echoes."""
    kept: list[Candidate] = []
    for one in sorted(candidates, key=lambda c: (*c.age, c.name), reverse=True):
        twin = next((other for other in kept if _is_same(one, other)), None)
        if twin is None:
            kept.append(one)
        else:
            versions = [c.version[0] or "not stated" for c in (one, twin)]
            differ = f", version {versions[0]}, not {versions[1]}" * (versions[0] != versions[1])
            reasons.append(f"not {one.name}: the same echoes as {twin.name}{differ}")
    return sorted(kept, key=lambda c: (c.taken, c.name))


def _is_same(one: Candidate, other: Candidate) -> bool:
    if _track(one) != _track(other) or len(group_by_pass([one.taken, other.taken])) > 1:
        return False
    smaller = min(one.found.outline.area, other.found.outline.area)
    return bool(common(one.found.outline, other.found.outline).area > _SAME * smaller)


def _track(one: Candidate) -> tuple[object, ...]:
    keys = ("platform", "relative_orbit", "orbit_direction")
    return tuple(one.found.facts.get(key) for key in keys)


def _passes(candidates: Sequence[Candidate]) -> list[Pass]:
    """Put slices together; by time."""
    tracks: dict[tuple[object, ...], Pass] = {}
    for one in candidates:
        tracks.setdefault((*_track(one), one.found.polarisations), []).append(one)
    groups = (
        [members[number] for number in group]
        for members in tracks.values()
        for group in group_by_pass([one.taken for one in members])
    )
    return sorted(groups, key=lambda members: (members[0].taken, members[0].name))


def _needed(members: Pass, area: BaseGeometry) -> Pass:
    """Return the slices of a pass, by time, without those that show no more of an area."""
    whole = _share(members, area)
    kept: Pass = []
    for one in sorted(members, key=lambda c: -_share([c], area)):
        if not kept or _share(kept, area) < WHOLE * whole:
            kept.append(one)
    return sorted(kept, key=lambda c: (c.taken, c.name))


def _outline(members: Pass) -> BaseGeometry:
    return shapely.union_all([one.found.outline for one in members])


def _share(members: Pass, area: BaseGeometry) -> float:
    return float(common(_outline(members), area).area / area.area) if area.area else 0.0


def _difference(one: Pass, other: Pass) -> str:
    """Return why one pass can't be compared with another, "" if it can."""
    names = {"relative_orbit": "relative orbit", "orbit_direction": "orbit direction"}
    for key, name in names.items():
        first, second = one[0].found.facts.get(key), other[0].found.facts.get(key)
        if first is not None and second is not None and first != second:
            return f"{name} {first}, not {second}"
    missing = set(other[0].found.polarisations) - set(one[0].found.polarisations)
    return f"without {' and '.join(sorted(missing)).upper()}" if missing else ""


def _why_after(
    after: Pass, later: Sequence[Pass], area: BaseGeometry, since: datetime
) -> Iterator[str]:
    place = later.index(after)
    for one in later[: place + 2]:
        share = _share(one, area)
        shows = "all" if share >= WHOLE else f"{share:.0%}"
        if one is after:
            yield f"after {_named(one)}: shows {shows} of the area, since {since:%Y-%m-%d %H:%M}"
        elif later.index(one) > place:
            yield f"not {_named(one)}: later"
        elif share < WHOLE:
            yield f"not {_named(one)}: shows {shows} of the area"
        else:
            yield f"not {_named(one)}: no scene before the flood can be compared with it"


def _why_before(before: Sequence[Pass], earlier: Sequence[Pass], after: Pass) -> Iterator[str]:
    last = max((earlier.index(one) for one in before), default=len(earlier) - 2)
    for one in earlier[: last + 2]:
        if one in before:
            days = (after[0].taken - one[0].taken).days
            orbit = one[0].found.facts.get("relative_orbit", "not stated")
            yield f"before {_named(one)}: relative orbit {orbit}, too, {days} days earlier"
        else:
            why = _difference(one, after) or (
                "earlier" if earlier.index(one) > last else "shows less of the area"
            )
            yield f"not {_named(one)}: {why}"


def _named(members: Pass) -> str:
    more = len(members) - 1
    slices = f" and {more} more slice{'s' * (more > 1)} of the pass" if more else ""
    return members[0].name + slices
