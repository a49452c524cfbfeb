"""A flood map made of whole arrays: what maps made by strips are compared with."""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from rasterio.features import shapes
from scipy.ndimage import binary_dilation, label

from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.areas import PixelAreas


def sieved(water: np.ndarray, seen: np.ndarray, minimum: float, areas: PixelAreas) -> np.ndarray:
    """Each patch below a minimum goes the way of its largest neighbour, one after the other."""
    wet, waters = label(water & seen)
    dry, lands = label(~water & seen)
    patches = np.where(dry > 0, dry + waters, wet)
    sizes = areas.by_value(patches, waters + lands)
    neighbours: dict[int, set[int]] = {number: set() for number in range(1, len(sizes))}
    for one, other in ((patches[:, :-1], patches[:, 1:]), (patches[:-1], patches[1:])):
        border = (one != other) & (one > 0) & (other > 0)
        for a, b in set(zip(one[border].tolist(), other[border].tolist(), strict=True)):
            neighbours[a].add(b)
            neighbours[b].add(a)
    small = sizes < 0.998 * minimum
    becomes = np.arange(len(sizes)) <= waters
    becomes[0] = False
    result = becomes.copy()
    for patch in np.flatnonzero(small[1:]) + 1:
        end, passed = int(patch), set()
        while small[end] and neighbours[end] and end not in passed:
            passed.add(end)
            end = min(neighbours[end], key=lambda n: (-sizes[n], n))
        result[patch] = becomes[patch] if small[end] else becomes[end]
    return result[patches]


def classified(
    after: np.ndarray, before: np.ndarray, settings: DelineateSettings, areas: PixelAreas
) -> np.ndarray:
    """Classes of a map by one date before the flood, without exclusions."""
    least = settings.minimum_mapping_unit * areas.hectare
    seen, known = after != 255, before != 255
    water = sieved(seen & (after >= settings.threshold), seen, least, areas)
    earlier = sieved(known & (before >= settings.threshold), known, least, areas)
    maybe = known & (before >= settings.before_threshold)
    shores = [
        binary_dilation(mask, np.ones((3, 3)), iterations=settings.shore_buffer)
        for mask in (earlier, maybe)
    ]
    beyond = water & known & ~shores[0] & ~shores[1]
    flooded = binary_dilation(beyond, np.ones((3, 3)), iterations=settings.shore_buffer)
    permanent, doubtful = (
        mask | shore & ~flooded for mask, shore in zip((earlier, maybe), shores, strict=True)
    )
    flood = sieved(water & ~permanent, water, least, areas)
    classes = water.astype("uint8")
    classes[flood] = 2
    classes[flood & (doubtful | ~known)] = 3
    classes[~seen] = 255
    return classes


def outlined(values: np.ndarray, affine: Affine) -> set[tuple[int, bytes]]:
    """Value and outline of each patch by GDAL."""
    found = shapes(values, mask=values > 0, connectivity=4, transform=affine)
    return {(int(value), shapely.geometry.shape(outline).wkb) for outline, value in found}
