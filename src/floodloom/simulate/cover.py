"""What covers the ground: wild land, parcels, towns, roads, snow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.simulate.fields import course, distance_to, fractal_field, organic_field, ranks
from floodloom.simulate.place import BIOMES, Cover, Place
from floodloom.simulate.terrain import Ground

PARCELS = 4096
"""Parcels are numbered up to here; those of one number look alike."""


@dataclass
class Land:
    """What lies on the ground; everything (y, x).

    `cover` uint8 of `Cover`; `parcel` int, 0 to `PARCELS` - 1; `tilled` bool, land whose borders
    are sharp; `canopy` float32, share of the ground that trees hide, 0-1; `building` bool; `soaked`
    bool, irrigated fields that stand in water.
    """

    cover: Bytes
    parcel: NDArray[np.int_]
    tilled: Mask
    canopy: Floats
    building: Mask
    soaked: Mask


def make_land(draw: np.random.Generator, place: Place, ground: Ground, spacing: float) -> Land:
    """Cover the ground of a place.

    Parameters
    ----------
    draw
        Source of random numbers.
    place
        What the place is like.
    ground
        Its ground, changed in place: roads and bridges are raised, lakes may freeze, irrigated
        fields become water.
    spacing
        Pixel spacing, m.

    Returns
    -------
    Land
    """
    side = len(ground.elevation)
    land = Land(
        cover=_wild(draw, place, ground),
        parcel=_stands(draw, side),
        tilled=np.zeros((side, side), bool),
        canopy=np.zeros((side, side), np.float32),
        building=np.zeros((side, side), bool),
        soaked=np.zeros((side, side), bool),
    )  # fmt: skip
    _line_rivers(draw, place, ground, land, spacing)
    if place.fields > 0.02:
        _lay_fields(draw, place, ground, land, spacing)
    for _ in range(place.towns):
        _build_town(draw, place, ground, land, spacing)
    farms = 10 ** draw.uniform(-5, -3.3) if place.fields > 0.1 else 1e-5
    land.building |= (draw.random((side, side)) < farms) & (land.cover != Cover.FOREST)
    for _ in range(int(draw.poisson(0.4 if place.towns == 0 else 1.6))):
        _lay_road(draw, ground, land, spacing)
    if draw.random() < 0.02 + 0.08 * (place.biome == "city"):
        _lay_runway(draw, ground, land, spacing)
    if place.snow:
        _let_it_snow(draw, ground, land)
    density = draw.uniform(0.55, 1.0) + 0.15 * fractal_field(draw, side, 3, 30)
    land.canopy[:] = np.where(land.cover == Cover.FOREST, np.clip(density, 0.2, 1), 0)
    land.building &= ~ground.water
    return land


def _stands(draw: np.random.Generator, side: int) -> NDArray[np.int_]:
    field = organic_field(draw, side, draw.uniform(4, 5), side * draw.uniform(0.2, 1))
    stands = draw.uniform(1, 8) * field + PARCELS / 2
    return np.asarray(np.clip(stands, 0, PARCELS - 1), int)


def _wild(draw: np.random.Generator, place: Place, ground: Ground) -> Bytes:
    """Patches of shares that the biome has, with edges from smooth to ragged."""
    side = len(ground.elevation)
    kinds = list(BIOMES[place.biome].wild.items())
    draw.shuffle(kinds)
    shares = np.array([share for _, share in kinds]) * draw.gamma(0.5, 1, len(kinds))
    ends = np.cumsum(shares / shares.sum())[:-1]
    outer = side * np.exp(draw.uniform(np.log(0.2), np.log(2.5)))
    field = organic_field(draw, side, draw.uniform(3.6, 5.4), outer, draw.uniform(0, 0.15))
    field += draw.normal(0, 0.6) * ranks(ground.elevation) + draw.normal(0, 0.3) * ground.swale
    codes = np.array([int(cover) for cover, _ in kinds], np.uint8)
    return np.asarray(codes[np.searchsorted(ends, ranks(field))])


def _line_rivers(
    draw: np.random.Generator, place: Place, ground: Ground, land: Land, spacing: float
) -> None:
    """Sand on bars, plants in former courses, woods along the banks."""
    side = len(land.cover)
    land.cover[ground.bar] = Cover.SAND
    land.cover[ground.scar & ~ground.water] = draw.choice([Cover.MARSH, Cover.FOREST, Cover.GRASS])
    if draw.random() < 0.35:
        gallery = ground.bank / spacing < draw.uniform(1, 8) + place.river_width / spacing / 2
        gallery &= organic_field(draw, side, 3.2, 60) > draw.uniform(-1, 0.7)
        land.cover[gallery & ~ground.bar] = Cover.FOREST
    brook = (ground.brook > 0.15) & ~ground.water
    if draw.random() < 0.4:
        land.cover[binary_dilation(brook)] = Cover.FOREST if draw.random() < 0.6 else Cover.MARSH


def _lay_fields(
    draw: np.random.Generator, place: Place, ground: Ground, land: Land, spacing: float
) -> None:
    """Divide the land under the plough into field systems, each with its own direction."""
    side = len(land.cover)
    suited = organic_field(draw, side, draw.uniform(3, 4.4), side / 2)
    suited += draw.uniform(0, 0.6) * ranks(ground.elevation)
    tilled = (ranks(suited) < place.fields) & ~ground.bar
    cuts = np.sort(draw.normal(0, 1, int(draw.integers(0, 4))))
    system = np.searchsorted(cuts, fractal_field(draw, side, 4, side / draw.uniform(1, 3)))
    for number in range(len(cuts) + 1):
        here = tilled & (system == number)
        if here.any():
            _lay_system(draw, place, ground, land, here, spacing)


def _lay_system(
    draw: np.random.Generator,
    place: Place,
    ground: Ground,
    land: Land,
    here: Mask,
    spacing: float,
) -> None:
    side = len(land.cover)
    wide = max(place.parcel * np.exp(draw.normal(0, 0.3)) / spacing, 1.5)
    edge, cell = irregular_cells(draw, side, wide * np.exp(draw.uniform(0, np.log(15))), wide)
    land.parcel[here] = cell[here]
    land.tilled |= here
    land.cover[here] = Cover.CROP
    if draw.random() < place.paddies:
        wet = here & (ground.above < 8)
        land.cover[wet] = Cover.PADDY
        land.soaked |= wet & (draw.random(PARCELS) < draw.beta(0.6, 1.5))[cell] & ~edge
    other = draw.random(PARCELS)
    share = draw.beta(1, 7)
    for kind in (Cover.GRASS, Cover.SOIL, Cover.FOREST):
        land.cover[here & (other[cell] < share)] = kind
        other = other + share * draw.uniform(0.3, 1.5)
    if draw.random() < 0.15:  # ditches
        ground.brook[here & edge] = draw.uniform(0.15, 0.6)
    if draw.random() < 0.35:
        rim = draw.choice([Cover.FOREST, Cover.GRASS, Cover.ROAD, Cover.SHRUB])
        land.cover[here & edge & (draw.random(PARCELS) < draw.uniform(0.1, 0.8))[cell]] = rim
    land.soaked &= land.cover == Cover.PADDY
    ground.water |= land.soaked


def irregular_cells(
    draw: np.random.Generator, side: int, long: float, wide: float
) -> tuple[Mask, NDArray[np.int_]]:
    """Return edges and numbers of oblong cells of uneven sizes.

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
        (side, side) bool, pixels on the border of a cell; (side, side) int, 0 to `PARCELS` - 1.
    """
    rows, cols = np.indices((side, side), dtype=np.float32)
    angle = draw.uniform(0, np.pi)
    if draw.random() < 0.5:
        bend = draw.uniform(0.02, 0.12) * side
        rows = rows + bend * fractal_field(draw, side, 5, side)
        cols = cols + bend * fractal_field(draw, side, 5, side)
    along = np.cos(angle) * rows + np.sin(angle) * cols
    across = np.cos(angle) * cols - np.sin(angle) * rows
    spread = draw.uniform(0.2, 1.0)

    def cuts(mean: float) -> NDArray[np.float64]:
        count = int(4 * side / mean) + 8
        return np.cumsum(mean * draw.gamma(1 / spread**2, spread**2, count) + 1.0) - 1.5 * side

    strip = np.searchsorted(cuts(long), along)
    staggered = draw.uniform(0, 5 * wide, 8 + 4 * side) * (draw.random() < 0.7)
    row = np.searchsorted(cuts(wide), across + staggered[strip])
    cell = (strip * 7919 + row * 104729) % PARCELS
    edge = np.zeros((side, side), bool)
    edge[:, 1:] |= cell[:, 1:] != cell[:, :-1]
    edge[1:] |= cell[1:] != cell[:-1]
    return edge, cell


def _build_town(
    draw: np.random.Generator, place: Place, ground: Ground, land: Land, spacing: float
) -> None:
    side = len(land.cover)
    rows, cols = np.indices((side, side), dtype=np.float32)
    largest = 2500 if place.biome == "city" else 700
    radius = np.exp(draw.uniform(np.log(50), np.log(largest))) / spacing
    middle = draw.uniform(0, side, 2)
    reach = np.hypot(rows - middle[0], cols - middle[1]) / radius
    town = reach + 0.35 * organic_field(draw, side, 4, max(2 * radius, 10)) < 1
    town &= ~ground.water & (ground.above > draw.uniform(-1, 2))
    streets, block = irregular_cells(
        draw, side, draw.uniform(80, 300) / spacing, draw.uniform(40, 150) / spacing
    )
    open_share = draw.uniform(0.05, 0.5)
    built = draw.random(PARCELS)[block]
    land.cover[town & (built > open_share)] = Cover.TOWN
    park = draw.choice([Cover.GRASS, Cover.FOREST, Cover.SHRUB])
    land.cover[town & (built <= open_share)] = park
    land.cover[town & streets & (draw.random() < 0.6)] = Cover.ROAD
    land.parcel[town] = block[town]
    land.tilled |= town
    dense = draw.uniform(0.01, 0.2) * draw.gamma(1, 1, PARCELS)[block]
    house = town & ~streets & (built > open_share) & (draw.random((side, side)) < dense)
    land.building |= house


def _lay_road(draw: np.random.Generator, ground: Ground, land: Land, spacing: float) -> None:
    """A road or railway, on a bank, with or without trees; most cross rivers by a bridge."""
    side = len(land.cover)
    line = course(draw, side, side * draw.uniform(0.5, 2), draw.uniform(0.02, 0.4))
    found = distance_to(line, side)
    if found is None:
        return
    width = draw.uniform(8, 35) / spacing
    road = (found[0] < max(width / 2, 0.5)) & ~ground.sea
    raised = draw.uniform(0, 2.5)
    ground.elevation[road] += raised
    ground.above[road] += raised
    if draw.random() < 0.3:
        land.cover[binary_dilation(road) & ~road & ~ground.water] = Cover.FOREST
    land.cover[road] = Cover.ROAD
    land.tilled |= road
    if draw.random() < 0.7:
        ground.brook[road & ground.water] = 0.4
        ground.water &= ~road
        land.soaked &= ~road


def _lay_runway(draw: np.random.Generator, ground: Ground, land: Land, spacing: float) -> None:
    side = len(land.cover)
    rows, cols = np.indices((side, side), dtype=np.float32) - side * draw.uniform(0.3, 0.7)
    angle = draw.uniform(0, np.pi)
    along = np.abs(np.cos(angle) * rows + np.sin(angle) * cols) * spacing
    across = np.abs(np.cos(angle) * cols - np.sin(angle) * rows) * spacing
    length = draw.uniform(500, 1700)
    field = (along < length + 200) & (across < 250) & ~ground.water
    tarmac = (along < length) & (across < draw.uniform(15, 35))
    tarmac |= (along < length / 3) & (across > 120) & (across < 200)
    land.cover[field] = Cover.GRASS
    land.cover[field & tarmac] = Cover.ROAD
    land.tilled |= field
    land.building &= ~field


def _let_it_snow(draw: np.random.Generator, ground: Ground, land: Land) -> None:
    """Wet snow above a line or in patches, and ice on a part of the lakes."""
    side = len(land.cover)
    height = ground.elevation / max(float(ground.elevation.std()), 0.1)
    patchy = ranks(height + draw.uniform(0.2, 3) * organic_field(draw, side, 3.4, 100))
    open_land = ~np.isin(land.cover, (Cover.FOREST, Cover.TOWN, Cover.ROAD)) & ~ground.water
    land.cover[(patchy > draw.uniform(0, 1)) & open_land] = Cover.SNOW
    if draw.random() < 0.75:
        frozen = organic_field(draw, side, 4, 100) > draw.uniform(-2, 1.5)
        ice = ground.water & ~ground.sea & frozen
        land.cover[ice] = Cover.ICE
        ground.water &= ~ice
        ground.brook[ice] = 0
