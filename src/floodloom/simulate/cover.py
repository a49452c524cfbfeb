"""What covers the ground: parcels, woods, towns, roads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.simulate.fields import course, distance_to, fractal_field, ranks
from floodloom.simulate.place import BIOMES, Cover, Place
from floodloom.simulate.terrain import Ground


@dataclass
class Land:
    """What lies on the ground; everything (y, x).

    `cover` uint8 of `Cover`; `parcel` int, 0-4095, of fields and stands; `canopy` float32, share of
    the ground hidden by trees, 0-1; `building` bool; `smooth` bool, tarmac and concrete.
    """

    cover: Bytes
    parcel: NDArray[np.int_]
    canopy: Floats
    building: Mask


def make_land(draw: np.random.Generator, place: Place, ground: Ground, spacing: float) -> Land:
    """Cover the ground of a place; roads and banks become part of the ground, too.

    Parameters
    ----------
    draw
        Source of random numbers.
    place
        What the place is like.
    ground
        Its ground; the elevation of roads is raised in place.
    spacing
        Pixel spacing, m.

    Returns
    -------
    Land
    """
    side = len(ground.elevation)
    cover = _wild(draw, place, ground, side)
    parcel = (fractal_field(draw, side, 3, side / 6) * 40).astype(int) % 4096
    _lay_fields(draw, place, ground, cover, parcel, spacing)
    cover[ground.bar] = Cover.SAND
    cover[ground.scar & ~ground.water] = draw.choice([Cover.MARSH, Cover.FOREST, Cover.GRASS])
    if draw.random() < 0.35:
        gallery = ground.bank / spacing < draw.uniform(1, 8) + place.river_width / spacing / 2
        cover[gallery & (fractal_field(draw, side, 2.5, 40) > draw.uniform(-1, 0.7))] = Cover.FOREST
    building = np.zeros((side, side), bool)
    for _ in range(place.towns):
        _build_town(draw, ground, cover, building, spacing)
    _scatter_farms(draw, place, cover, building)
    _lay_roads(draw, place, ground, cover, spacing)
    if draw.random() < 0.02 + 0.08 * (place.biome == "city"):
        _lay_runway(draw, ground, cover, spacing)
    _snow(draw, place, ground, cover)
    canopy = np.where(cover == Cover.FOREST, _density(draw, side), 0).astype(np.float32)
    return Land(cover.astype(np.uint8), parcel, canopy, building & ~ground.water)


def _density(draw: np.random.Generator, side: int) -> Floats:
    mean = draw.uniform(0.55, 1.0)
    return np.clip(mean + 0.15 * fractal_field(draw, side, 2.5, 30), 0.2, 1).astype(np.float32)


def _wild(draw: np.random.Generator, place: Place, ground: Ground, side: int) -> NDArray[np.int_]:
    """Patches with fractal edges, of shares that the biome has."""
    kinds = list(BIOMES[place.biome].wild.items())
    draw.shuffle(kinds)
    shares = np.array([share for _, share in kinds]) * draw.gamma(1.5, 1, len(kinds))
    ends = np.cumsum(shares / shares.sum())[:-1]
    outer = side * np.exp(draw.uniform(np.log(0.1), np.log(1.2)))
    field = fractal_field(draw, side, draw.uniform(2.6, 4.0), outer)
    field += draw.normal(0, 0.6) * ranks(ground.elevation)
    codes = np.array([int(cover) for cover, _ in kinds])
    return np.asarray(codes[np.searchsorted(ends, ranks(field))])


def _lay_fields(
    draw: np.random.Generator,
    place: Place,
    ground: Ground,
    cover: NDArray[np.int_],
    parcel: NDArray[np.int_],
    spacing: float,
) -> None:
    """Divide the land under the plough into field systems, each with its own direction."""
    if place.fields < 0.02:
        return
    side = len(cover)
    tilled = (
        ranks(
            fractal_field(draw, side, draw.uniform(2.6, 4), side / 2)
            + draw.uniform(0, 0.6) * ranks(ground.elevation)
        )
        < place.fields
    )
    systems = fractal_field(draw, side, 3.2, side / draw.uniform(1, 4))
    cuts = np.sort(draw.normal(0, 1, int(draw.integers(0, 4))))
    system = np.searchsorted(cuts, systems)
    for number in range(len(cuts) + 1):
        here = tilled & (system == number)
        wide = max(place.parcel * np.exp(draw.normal(0, 0.3)) / spacing, 1.5)
        edge, cell = irregular_cells(draw, side, wide * draw.uniform(1, 6), wide)
        parcel[here] = cell[here]
        wet = (draw.random() < place.paddies) & (ground.above < 8)
        cover[here] = np.where(wet, Cover.PADDY, Cover.CROP)[here]
        other = draw.random(4096)
        share = draw.uniform(0, 0.3)
        for kind in (Cover.GRASS, Cover.SOIL, Cover.FOREST):
            cover[here & (other[cell] < share)] = kind
            other = other + share * draw.uniform(0, 1)
        rim = draw.choice([-1, -1, Cover.FOREST, Cover.GRASS, Cover.ROAD, Cover.SHRUB])
        if rim >= 0:
            cover[here & edge & (draw.random(4096)[cell] < draw.uniform(0.1, 1))] = rim


def irregular_cells(
    draw: np.random.Generator, side: int, long: float, wide: float
) -> tuple[Mask, NDArray[np.int_]]:
    """Return edges and numbers (0-4095) of oblong cells of uneven sizes.

    Parameters
    ----------
    draw
        Source of random numbers.
    side
        Pixels along each side.
    long, wide
        Mean length and width of a cell, px.

    Returns
    -------
    edge, cell
        (side, side) bool, pixels on the border of a cell; (side, side) int.
    """
    rows, cols = np.indices((side, side), dtype=np.float32)
    angle = draw.uniform(0, np.pi)
    if draw.random() < 0.5:
        bend = draw.uniform(0.02, 0.12) * side
        rows = rows + bend * fractal_field(draw, side, 4, side)
        cols = cols + bend * fractal_field(draw, side, 4, side)
    along = np.cos(angle) * rows + np.sin(angle) * cols
    across = np.cos(angle) * cols - np.sin(angle) * rows
    spread = draw.uniform(0.2, 1.0)

    def cuts(mean: float) -> NDArray[np.float64]:
        count = int(4 * side / mean) + 8
        return np.cumsum(mean * draw.gamma(1 / spread**2, spread**2, count) + 1.0) - 1.5 * side

    strip = np.searchsorted(cuts(long), along)
    staggered = draw.uniform(0, 5 * wide, 8192) * (draw.random() < 0.7)
    row = np.searchsorted(cuts(wide), across + staggered[strip])
    cell = (strip * 7919 + row * 104729) % 4096
    edge = np.zeros((side, side), bool)
    edge[:, 1:] |= cell[:, 1:] != cell[:, :-1]
    edge[1:] |= cell[1:] != cell[:-1]
    return edge, cell


def _build_town(
    draw: np.random.Generator,
    ground: Ground,
    cover: NDArray[np.int_],
    building: Mask,
    spacing: float,
) -> None:
    side = len(cover)
    rows, cols = np.indices((side, side), dtype=np.float32)
    radius = np.exp(draw.uniform(np.log(80), np.log(1500))) / spacing
    middle = draw.uniform(0, side, 2)
    reach = np.hypot(rows - middle[0], cols - middle[1]) / radius
    town = reach + 0.4 * fractal_field(draw, side, 2.6, max(radius, 8)) < 1
    town &= ~ground.water & (ground.above > draw.uniform(-1, 2))
    streets, block = irregular_cells(
        draw, side, draw.uniform(80, 250) / spacing, draw.uniform(40, 120) / spacing
    )
    built = draw.random(4096)[block]
    cover[town & (built > 0.12)] = Cover.TOWN
    cover[town & (built <= 0.12)] = draw.choice([Cover.GRASS, Cover.FOREST, Cover.SOIL])
    cover[town & streets] = Cover.ROAD
    dense = draw.uniform(0.1, 0.6)
    building |= town & ~streets & (built > 0.12) & (draw.random((side, side)) < dense)


def _scatter_farms(
    draw: np.random.Generator, place: Place, cover: NDArray[np.int_], building: Mask
) -> None:
    density = 10 ** draw.uniform(-5, -3) if place.fields > 0.1 else 1e-5
    building |= (draw.random(cover.shape) < density) & (cover != Cover.FOREST)


def _lay_roads(
    draw: np.random.Generator,
    place: Place,
    ground: Ground,
    cover: NDArray[np.int_],
    spacing: float,
) -> None:
    side = len(cover)
    for _ in range(int(draw.poisson(0.4 if place.towns == 0 else 1.6))):
        found = distance_to(course(draw, side, side * draw.uniform(0.5, 2), 0.3), side)
        if found is None:
            continue
        distance, _ = found
        width = draw.uniform(8, 35) / spacing
        road = (distance < max(width / 2, 0.5)) & ~ground.sea
        bridge = road & ground.water
        ground.elevation[road] += draw.uniform(0, 2.5)
        ground.above[road] += draw.uniform(0, 2.5)
        if draw.random() < 0.3:
            cover[binary_dilation(road) & ~road & ~ground.water] = Cover.FOREST
        cover[road] = Cover.ROAD
        if draw.random() < 0.7:
            ground.water &= ~bridge
            ground.brook[bridge] = 0.4


def _lay_runway(
    draw: np.random.Generator, ground: Ground, cover: NDArray[np.int_], spacing: float
) -> None:
    side = len(cover)
    rows, cols = np.indices((side, side), dtype=np.float32) - side * draw.uniform(0.3, 0.7)
    angle = draw.uniform(0, np.pi)
    along = np.abs(np.cos(angle) * rows + np.sin(angle) * cols) * spacing
    across = np.abs(np.cos(angle) * cols - np.sin(angle) * rows) * spacing
    length = draw.uniform(500, 1700)
    free = ~ground.water
    cover[(along < length + 200) & (across < 250) & free] = Cover.GRASS
    cover[(along < length) & (across < draw.uniform(15, 35)) & free] = Cover.ROAD
    apron = (along < length / 3) & (across > 120) & (across < 200)
    cover[apron & free] = Cover.ROAD


def _snow(draw: np.random.Generator, place: Place, ground: Ground, cover: NDArray[np.int_]) -> None:
    """Wet snow above a line, or in patches; ice on a part of the lakes."""
    if not place.snow:
        return
    patchy = ranks(
        ground.elevation + 0.5 * ground.elevation.std() * fractal_field(draw, len(cover), 2.5, 80)
    )
    open_land = ~np.isin(cover, (Cover.FOREST, Cover.TOWN, Cover.ROAD))
    cover[(patchy > draw.uniform(0, 1)) & open_land] = Cover.SNOW
    if draw.random() < 0.6:
        frozen = fractal_field(draw, len(cover), 3, 60) > draw.uniform(-2, 1.5)
        ice = ground.water & ~ground.sea & frozen
        cover[ice] = Cover.ICE
        ground.water &= ~ice
