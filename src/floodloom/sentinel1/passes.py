"""Which scenes were taken in one pass of the satellite, and what they have in common.

Source: ESA, Sentinel-1 orbit: 175 orbits in 12 days, one in 98.7 minutes; relative orbits are
counted from the ascending node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import xarray as xr

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.sentinel1.polarisations import POLARISATIONS

LONGEST_PASS_S = 3000.0
"""Greatest time between scenes of one pass: half of an orbit, the ascending or the descending one.
The next pass in the same direction comes a whole orbit later."""

_ORBITS = 175

Facts = Mapping[str, object]


def require_one_pass(scenes: Mapping[str, Facts]) -> None:
    """Check that scenes were taken in one pass.

    Parameters
    ----------
    scenes
        By name, what is known of each: `platform`, `acquisition_time`, `orbit_direction`,
        `relative_orbit`. What isn't there isn't compared.

    Raises
    ------
    InputError
        Naming two scenes, and in what they differ.
    """
    for (one, its), (other, others) in combinations(scenes.items(), 2):
        difference = pass_difference(its, others)
        if difference is not None:
            what, first, second = difference
            raise InputError(
                f"{other}: {what} {second}, but {one} has {first}; scenes of one date must be of "
                "one pass: geocode each pass by itself"
            )


def pass_difference(one: Facts, other: Facts) -> tuple[str, str, str] | None:
    """Return in what two scenes show that they are of different passes.

    Parameters
    ----------
    one, other
        See `require_one_pass`.

    Returns
    -------
    tuple or None
        What differs, and both values; None where they may be of one pass. A pass that crosses the
        equator northward goes on under the next relative orbit.
    """
    for name in ("platform", "orbit_direction"):
        first, second = (str(facts.get(name) or "").lower() for facts in (one, other))
        if first and second and first != second:
            return name.replace("_", " "), str(one[name]), str(other[name])
    gap = _seconds_between(one, other)
    if gap is not None and abs(gap) > LONGEST_PASS_S:
        first, second = (str(facts["acquisition_time"])[:19] for facts in (one, other))
        return "acquisition time", first, second
    orbits = [facts.get("relative_orbit") for facts in (one, other)]
    if all(orbits) and orbits[0] != orbits[1] and not _over_the_node(one, other):
        return "relative orbit", str(orbits[0]), str(orbits[1])
    return None


def _over_the_node(one: Facts, other: Facts) -> bool:
    """Whether the later of two scenes of one ascending pass lies on the next relative orbit."""
    gap = _seconds_between(one, other)
    if gap is None:
        return False
    early, late = (one, other) if gap >= 0 else (other, one)
    ascending = str(early.get("orbit_direction") or "ascending").lower() == "ascending"
    following = int(str(early["relative_orbit"])) % _ORBITS + 1
    return ascending and following == int(str(late["relative_orbit"]))


def _seconds_between(one: Facts, other: Facts) -> float | None:
    times = [facts.get("acquisition_time") for facts in (one, other)]
    if not all(times):
        return None
    start, stop = (np.datetime64(str(time), "ns") for time in times)
    return float((stop - start) / np.timedelta64(1, "s"))


def group_by_pass(scenes: Sequence[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Put scenes together that were taken in one pass.

    Parameters
    ----------
    scenes
        Scenes of several dates; what isn't stated in their attributes isn't compared, and one
        whose time isn't known stays alone.

    Returns
    -------
    list of list
        Passes in the order of their first scenes.
    """
    passes: list[list[xr.Dataset]] = []
    for scene in scenes:
        for taken in passes:
            apart = [pass_difference(scene.attrs, part.attrs) for part in taken]
            timed = _seconds_between(scene.attrs, taken[0].attrs) is not None
            if timed and not any(apart):
                taken.append(scene)
                break
        else:
            passes.append([scene])
    return passes


def common_polarisations(scenes: Mapping[str, xr.Dataset]) -> tuple[str, ...]:
    """Return the polarisations that all scenes have, co-polarised first.

    Parameters
    ----------
    scenes
        By name. Those that not all of them have are named in the log.

    Raises
    ------
    InputError
        If they have none in common.
    """
    have = {name: tuple(p for p in POLARISATIONS if p in scene) for name, scene in scenes.items()}
    common = tuple(p for p in POLARISATIONS if all(p in those for those in have.values()))
    examples: dict[tuple[str, ...], str] = {}
    for name, those in have.items():
        examples.setdefault(those, name)
    listed = "; ".join(
        f"{name} has {', '.join(those) or 'none'}" for those, name in examples.items()
    )
    if not common:
        raise InputError(f"{listed}: no polarisation in common; give scenes that share one")
    if len(examples) > 1:
        get_logger(__name__).warning("%s: only %s is used", listed, ", ".join(common))
    return common
