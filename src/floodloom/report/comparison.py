"""What a map has in common with that of a baseline, and where they disagree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import xarray as xr

from floodloom.arrays import NODATA, Bytes, Mask
from floodloom.classical.choices import BASELINES
from floodloom.mapping.baseline import map_by_baseline
from floodloom.raster.align import onto_grid
from floodloom.raster.grid import geobox_of
from floodloom.raster.placing import before_on_grid
from floodloom.raster.product import FloodClass
from floodloom.report.images import Shrunk, colour_uri
from floodloom.report.scene import EventLayers, shares

_WATER = 50  # percent


class Agreement(IntEnum):
    """What map and baseline call a pixel that both see."""

    NEITHER = 0
    BOTH = 1
    MAP_ONLY = 2
    BASELINE_ONLY = 3


_NAMES = {value.value: value.name.lower() for value in Agreement}
_COLOURS = {
    Agreement.NEITHER.value: (239, 237, 230),
    Agreement.BOTH.value: (31, 78, 121),
    Agreement.MAP_ONLY.value: (230, 85, 13),
    Agreement.BASELINE_ONLY.value: (0, 158, 115),
    NODATA: (190, 186, 174),
}


@dataclass(frozen=True)
class _Water:
    """Where (y, x) water is, and where that is known."""

    water: Mask
    known: Mask

    @classmethod
    def of_percent(cls, percent: Bytes) -> _Water:
        known = percent != NODATA
        return cls(known & (percent >= _WATER), known)

    @classmethod
    def of_classes(cls, classes: Bytes, *wet: FloodClass) -> _Water:
        known = ~np.isin(classes, [FloodClass.EXCLUDED.value, FloodClass.NODATA.value])
        return cls(np.isin(classes, [one.value for one in wet]), known)


def agreement(ours: _Water, baseline: _Water) -> Bytes:
    """Return (y, x) uint8 `Agreement` of two maps on one grid; 255 where either sees nothing."""
    found = np.where(baseline.water, Agreement.BASELINE_ONLY, Agreement.NEITHER)
    wet = np.where(baseline.water, Agreement.BOTH, Agreement.MAP_ONLY)
    found = np.where(ours.water, wet, found)
    return np.where(ours.known & baseline.known, found, NODATA).astype(np.uint8)


def compare_with_baseline(layers: EventLayers, name: str, largest: int) -> dict[str, Any] | None:
    """Map an event by a baseline, too, and compare.

    Parameters
    ----------
    layers
        The event.
    name
        Name of the baseline. One that finds water is compared with the probability of water, from
        50 percent on in both; one that compares dates with the flood of the map.
    largest
        Longest side of the image, px.

    Returns
    -------
    dict or None
        baseline, its name; new, whether it finds new water alone; map, water, the areas of either
        by `floodloom.report.scene.shares`; both, map_only, baseline_only and neither, of pixels
        that both see; disagreement, the share of these on which they differ; iou, of both; image, a
        PNG data URI. None without a scene, or without the scene before that it needs.
    """
    compares_dates = BASELINES.load(name).compares_dates
    if layers.scene is None or (compares_dates and layers.before is None):
        return None
    baseline = _Water.of_percent(_baseline_percent(layers, layers.scene, name))
    found = agreement(_ours(layers, compares_dates), baseline)
    areas = shares(found, _NAMES, layers.geobox)
    both, map_only, only = (areas[key]["pixels"] for key in ("both", "map_only", "baseline_only"))
    seen = sum(area["pixels"] for area in areas.values())
    either = both + map_only + only
    return {
        "baseline": name,
        "new": compares_dates,
        "map": _sum(areas["both"], areas["map_only"]),
        "water": _sum(areas["both"], areas["baseline_only"]),
        **areas,
        "disagreement": (map_only + only) / seen if seen else 0.0,
        "iou": both / either if either else None,
        "image": colour_uri(_coloured(found, largest)),
    }


def _ours(layers: EventLayers, compares_dates: bool) -> _Water:
    if compares_dates:
        return _Water.of_classes(layers.classes[:], FloodClass.FLOOD)
    if layers.percent is None:
        return _Water.of_classes(layers.classes[:], FloodClass.FLOOD, FloodClass.PERMANENT)
    return _Water.of_percent(layers.percent[:])


def _baseline_percent(layers: EventLayers, scene: xr.Dataset, name: str) -> Bytes:
    before = layers.before if BASELINES.load(name).compares_dates else None
    if before is not None:  # whichever its orbit is, the stages before have accepted it
        before = before_on_grid(before, scene, name="scene before the flood", mixed_orbits=True)
    percent = map_by_baseline(scene, name, before=before).percent
    return onto_grid(percent, geobox_of(scene), layers.geobox, NODATA, f"baseline {name}")


def _sum(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {key: one[key] + other[key] for key in one}


def _coloured(found: Bytes, largest: int) -> Bytes:
    palette = np.zeros((256, 3), np.uint8)
    for value, colour in _COLOURS.items():
        palette[value] = colour
    height, width = found.shape
    return np.asarray(palette[Shrunk.to_fit(height, width, largest).every(found)])
