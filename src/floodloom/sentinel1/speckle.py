"""Speckle filters by name, for whole images and for images in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dask.array as da
import numpy as np
from dask.delayed import delayed

from floodloom.errors import InputError
from floodloom.sentinel1.speckle_moments import Power, boxcar, gamma_map, lee, require_window
from floodloom.sentinel1.speckle_multitemporal import multitemporal
from floodloom.sentinel1.speckle_refined import refined_lee
from floodloom.sentinel1.speckle_sigma import TARGET_RADIUS, count_levels, lee_sigma, level_of

FILTERS: dict[str, Callable[[Power, int, float], Power]] = {
    "boxcar": boxcar,
    "lee": lee,
    "lee_sigma": lee_sigma,
    "refined_lee": refined_lee,
    "gamma_map": gamma_map,
    "multitemporal": multitemporal,
}
"""Filters by name; each takes power, window (px) and the equivalent number of looks.

All but `multitemporal` take and give one image (y, x); that one takes and gives a stack
(time, y, x).
"""


def halo(name: str, window: int) -> int:
    """Return how far around a block a filter must see, px.

    Raises
    ------
    InputError
        If there is no filter of that name.
    """
    require_filter(name)
    return max(window // 2, TARGET_RADIUS) if name == "lee_sigma" else window // 2


def require_filter(name: str) -> None:
    """Check the name of a filter.

    Raises
    ------
    InputError
        If there is no filter of that name.
    """
    if name not in FILTERS:
        raise InputError(f"speckle filter {name!r} must be one of {', '.join(FILTERS)}")


def filter_blocks(power: da.Array, name: str, window: int, looks: float) -> da.Array:
    """Filter an image or a stack lazily, block by block.

    Parameters
    ----------
    power
        (y, x) float32 dask array, linear power, NaN = no data; for `multitemporal`
        (time, y, x).
    name
        Key of `FILTERS`.
    window
        Side of the window, px; odd.
    looks
        Equivalent number of looks.

    Returns
    -------
    dask array
        float32 of the same shape, equal to the last bit to the filter of the whole array, however
        that is chunked.

    Raises
    ------
    InputError
        If the name is unknown, the number of dimensions isn't the filter's, the window is even or
        too small, or the number of looks isn't positive.
    """
    require_filter(name)
    require_window(window, looks, smallest=5 if name == "refined_lee" else 3)
    dimensions = 3 if name == "multitemporal" else 2
    if power.ndim != dimensions:
        raise InputError(f"speckle filter {name}: {power.ndim} dimensions given, not {dimensions}")
    whole: da.Array = power
    if dimensions == 3:
        whole = power.rechunk({0: -1})  # type: ignore[no-untyped-call]
    reach = halo(name, window)
    depth = {axis: reach if axis >= dimensions - 2 else 0 for axis in range(dimensions)}
    apart = dict.fromkeys(range(dimensions), "none")
    extended = da.overlap.overlap(whole, depth, apart)  # type: ignore[no-untyped-call]
    scene = {"bright": _bright_level(whole)} if name == "lee_sigma" else {}
    blank = np.empty((0,) * dimensions, np.float32)
    filtered = extended.map_blocks(
        FILTERS[name], window, looks, **scene, dtype=blank.dtype, meta=blank
    )
    trimmed: da.Array = da.overlap.trim_internal(  # type: ignore[no-untyped-call]
        filtered, depth, apart
    )
    return trimmed


def _bright_level(power: da.Array) -> object:
    """Return the scene's level of point targets, to be computed once for all blocks."""
    counts = [delayed(count_levels)(block) for block in power.to_delayed().ravel()]  # type: ignore[no-untyped-call]
    return delayed(_level_of_all)(counts)


def _level_of_all(counts: list[np.ndarray]) -> float:
    return level_of(np.sum(counts, axis=0))


def despeckle(dates: Sequence[da.Array], name: str, window: int, looks: float) -> da.Array:
    """Filter the first of several dates lazily.

    Parameters
    ----------
    dates
        (y, x) float32 dask arrays of one grid, linear power, NaN = no data; only `multitemporal`
        looks at more than the first.
    name, window, looks
        See `filter_blocks`.

    Returns
    -------
    dask array
        (y, x) float32.
    """
    if name != "multitemporal":
        return filter_blocks(dates[0], name, window, looks)
    stack = da.stack(dates).rechunk({0: -1})  # type: ignore[no-untyped-call]
    first: da.Array = filter_blocks(stack, name, window, looks)[0]
    return first
