"""What a place is like: its climate, relief, rivers and land use, drawn before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np


class Cover(IntEnum):
    """What covers the ground."""

    CROP = 0
    GRASS = 1
    SHRUB = 2
    FOREST = 3
    MARSH = 4
    SAND = 5
    SOIL = 6
    ROCK = 7
    FLAT = 8
    TOWN = 9
    ROAD = 10
    SNOW = 11
    ICE = 12
    PADDY = 13


class Span(NamedTuple):
    """Lower and upper end of what a place can have."""

    low: float
    high: float


@dataclass(frozen=True)
class Biome:
    """A climate and its land use.

    `weight` is how often it occurs; `relief` m, standard deviation of the hills' height; `fields`
    share of the land under parcels; `parcel` m, their width; `wild` shares of cover elsewhere;
    `town`, `lakes`, `ponds`, `snow` and `coast` how likely each is, 0-1; `perennial` how likely
    rivers hold water; `green` how much of the year crops stand.
    """

    weight: float
    relief: Span
    fields: Span
    parcel: Span
    wild: dict[Cover, float]
    town: float = 0.3
    lakes: float = 0.2
    ponds: float = 0.05
    paddies: float = 0.0
    snow: float = 0.0
    coast: float = 0.0
    perennial: float = 0.95
    green: float = 0.5


_ = Cover
BIOMES: dict[str, Biome] = {
    "farmland": Biome(
        5, Span(0.3, 15), Span(0.55, 1), Span(60, 500),
        {_.FOREST: 4, _.GRASS: 3, _.SHRUB: 1}, town=0.6,
    ),
    "smallholders": Biome(
        4, Span(0.3, 25), Span(0.4, 0.95), Span(25, 110),
        {_.SHRUB: 3, _.FOREST: 3, _.GRASS: 2, _.SOIL: 1}, town=0.6, ponds=0.15, paddies=0.25,
    ),
    "paddies": Biome(
        3, Span(0.2, 1.5), Span(0.6, 1), Span(30, 140),
        {_.FOREST: 3, _.MARSH: 2, _.GRASS: 2}, town=0.6, ponds=0.45, paddies=0.7, coast=0.1,
        green=0.7,
    ),
    "savanna": Biome(
        3, Span(0.5, 40), Span(0, 0.3), Span(30, 200),
        {_.SHRUB: 4, _.GRASS: 4, _.FOREST: 2, _.SOIL: 1.5, _.SAND: 0.4}, town=0.15,
        perennial=0.6,
    ),
    "rainforest": Biome(
        2.5, Span(0.5, 30), Span(0, 0.25), Span(40, 300),
        {_.FOREST: 12, _.MARSH: 1.5, _.GRASS: 2}, town=0.1, lakes=0.15,
    ),
    "boreal": Biome(
        2, Span(1, 30), Span(0, 0.4), Span(60, 300),
        {_.FOREST: 8, _.MARSH: 3, _.GRASS: 1, _.SHRUB: 2}, town=0.15, lakes=0.6, snow=0.35,
    ),
    "tundra": Biome(
        1.2, Span(0.5, 25), Span(0, 0), Span(60, 200),
        {_.MARSH: 3, _.GRASS: 4, _.ROCK: 1.5, _.SHRUB: 2}, town=0.02, lakes=0.7, snow=0.6,
    ),
    "desert": Biome(
        2, Span(0.5, 40), Span(0, 0.25), Span(60, 400),
        {_.SAND: 5, _.SOIL: 4, _.ROCK: 2, _.FLAT: 1.5, _.SHRUB: 1}, town=0.15, lakes=0.08,
        perennial=0.25, green=0.4,
    ),
    "mountains": Biome(
        2, Span(60, 350), Span(0, 0.2), Span(40, 200),
        {_.FOREST: 5, _.GRASS: 3, _.ROCK: 2, _.SHRUB: 2}, town=0.15, lakes=0.2, snow=0.3,
    ),
    "coast": Biome(
        2.5, Span(0.3, 20), Span(0, 0.7), Span(40, 300),
        {_.GRASS: 3, _.FOREST: 3, _.MARSH: 2, _.SAND: 2, _.FLAT: 1.5}, town=0.4, ponds=0.3,
        coast=1.0,
    ),
    "city": Biome(
        1.3, Span(0.5, 20), Span(0, 0.5), Span(40, 250),
        {_.TOWN: 6, _.GRASS: 2, _.FOREST: 1.5, _.SOIL: 0.5}, town=1.0, coast=0.15,
    ),
    "wetland": Biome(
        2, Span(0.2, 2), Span(0, 0.3), Span(40, 250),
        {_.MARSH: 5, _.GRASS: 4, _.FOREST: 2, _.SHRUB: 1.5, _.FLAT: 0.5}, town=0.1, lakes=0.6,
        ponds=0.1, coast=0.1,
    ),
}  # fmt: skip
"""Climates and their land use, by name."""


@dataclass(frozen=True)
class Place:
    """A place that was drawn from a biome.

    `relief` m, standard deviation of the hills; `roughness` exponent of their spectrum; `river`
    meandering, straight, braided or canal; `rivers` how many, several in a delta; `river_width` m;
    `plain` how many times wider the flood plain is to either side, `rise` m, by which it rises;
    `fields` share of the land under parcels; `parcel` m; `coast` whether there is a sea; `lakes`,
    `ponds`, `paddies` shares of the land; `towns` their number; `snow`, `perennial` bool; `green`
    as in the biome.
    """

    biome: str
    relief: float
    roughness: float
    river: str
    rivers: int
    river_width: float
    plain: float
    rise: float
    fields: float
    parcel: float
    coast: bool
    lakes: float
    ponds: float
    paddies: float
    towns: int
    snow: bool
    perennial: bool
    green: float


RIVERS = {"meandering": 0.58, "straight": 0.14, "braided": 0.13, "canal": 0.15}
"""How often each kind of river occurs, where there is one."""


def draw_place(draw: np.random.Generator, biome: str | None = None) -> Place:
    """Draw a place.

    Parameters
    ----------
    draw
        Source of random numbers.
    biome
        One of `BIOMES`; drawn by weight when not given.

    Returns
    -------
    Place
    """
    weights = np.array([entry.weight for entry in BIOMES.values()])
    chosen = str(draw.choice(list(BIOMES), p=weights / weights.sum()))
    kind = BIOMES[biome or chosen]
    river = str(draw.choice(list(RIVERS), p=list(RIVERS.values())))
    low, high = {"canal": (10.0, 60.0), "braided": (150.0, 700.0)}.get(river, (15.0, 500.0))

    def happens(chance: float) -> bool:
        return bool(draw.random() < chance)

    return Place(
        biome=biome or chosen,
        relief=_between(draw, kind.relief),
        roughness=draw.uniform(3.2, 4.4),
        river=river,
        rivers=_rivers(draw, kind),
        river_width=_between(draw, Span(low, high)),
        plain=_between(draw, Span(2, 25)),
        rise=draw.uniform(0.5, 3),
        fields=draw.uniform(*kind.fields),
        parcel=_between(draw, kind.parcel),
        coast=happens(kind.coast),
        lakes=draw.beta(1, 8) if happens(kind.lakes) else 0.0,
        ponds=draw.beta(1.2, 4) if happens(kind.ponds) else 0.0,
        paddies=draw.beta(2, 2) if happens(kind.paddies) else 0.0,
        towns=int(draw.integers(1, 5)) if happens(kind.town) else 0,
        snow=happens(kind.snow),
        perennial=happens(kind.perennial),
        green=kind.green,
    )


def _rivers(draw: np.random.Generator, kind: Biome) -> int:
    """Number of large rivers: mostly one or none, more where a delta is likely."""
    if draw.random() < 0.42:
        return 0
    return 1 + int(draw.binomial(2, 0.04 + 0.2 * kind.coast))


def _between(draw: np.random.Generator, span: Span) -> float:
    """Draw from a span, evenly in the logarithm."""
    return float(np.exp(draw.uniform(np.log(span.low), np.log(span.high))))
