"""Mapping a scene by a baseline instead of networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from floodloom.arrays import Mask
from floodloom.classical.baseline import WaterMap, map_water
from floodloom.classical.choices import BASELINES
from floodloom.classical.scene import BackscatterScene
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.mapping.probability import LAYERS, acquisition_tags, probability_profile
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.mapping.sources import read_reference
from floodloom.raster.cog import cog_writer
from floodloom.raster.grid import geobox_of
from floodloom.raster.placing import before_on_grid
from floodloom.raster.store import open_store, recipe_of
from floodloom.raster.windows import require_pixels
from floodloom.sentinel1.relief import read_elevation

HIGHEST = 15.0
"""Height above the nearest drainage up to which ground may be under water, m. What such a mask is
worth: Chow, Twele and Martinis (2016), An assessment of the height above nearest drainage terrain
descriptor for the thematic enhancement of automatic SAR-based flood monitoring services, SPIE 9998,
999808."""


def write_baseline(
    scene: Path, out: Path, files: PredictFiles, settings: PredictSettings, threads: int
) -> Path:
    """Map a scene by a baseline and write the probability of water.

    Parameters
    ----------
    scene
        Scene store.
    out
        Cloud-optimised GeoTIFF to write: percent, 255 = no data, as networks' is.
    files
        The scene before, which a baseline that compares dates needs and others don't take; the
        elevations, by which high ground is dry; reference water, for those that learn from it.
    settings
        `baseline` names it, `arguments` are its own.
    threads
        CPU threads.

    Raises
    ------
    ConfigError
        If the baseline has no such argument, or not with that value.
    InputError
        If a package isn't installed that the baseline needs, if it compares dates and there is no
        scene before, or it doesn't and there is one; if an optical image is given; if orbits
        differ.
    RecipeMismatchError
        If the scenes before and after were not made the same way.
    """
    name = settings.baseline or ""
    _require_files(name, files)
    store = open_store(scene, whole_rows=True)
    grid = geobox_of(store)
    height, width = grid.shape.yx
    require_pixels(height, width, str(scene))
    before = None if files.before is None else _earlier(files.before, store, settings)
    low = None if files.dem is None else low_ground(files.dem, grid)
    reference = None
    if files.reference_water is not None:
        classes = read_reference(files.reference_water, grid, settings.reference_minimum)
        reference = np.asarray(classes[:] == 1)
    found = map_by_baseline(
        store, name, arguments=settings.arguments, before=before, low=low, reference=reference
    )
    get_logger(__name__).info("%s: baseline %s", scene, name)
    tags = {
        "FLOODLOOM_PRODUCT": "water_probability",
        "FLOODLOOM_RECIPE": recipe_of(store).fingerprint,
        "FLOODLOOM_SCENE": Path(scene).stem,
        "FLOODLOOM_CHECKPOINT": name,
        "FLOODLOOM_EVENT": settings.event,
        "FLOODLOOM_BACKEND": "numpy",
        "FLOODLOOM_PRECISION": "float32",
        "FLOODLOOM_SAMPLES": "1",
        "FLOODLOOM_THRESHOLD": _thresholds(found),
        "FLOODLOOM_SEAM_RATIO": "",
        **acquisition_tags(store),
    }
    with cog_writer(out, probability_profile(grid, LAYERS[:1], tags)) as raster:
        raster.write(found.percent, 1)
    return out


def map_by_baseline(
    store: xr.Dataset,
    name: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    before: xr.Dataset | None = None,
    low: Mask | None = None,
    reference: Mask | None = None,
) -> WaterMap:
    """Return the map of water that a baseline makes of a scene store.

    Parameters
    ----------
    store, before
        Scene stores after and before the flood, on one grid.
    name
        Name of the baseline.
    arguments
        Its arguments by name; its defaults stand for the others.
    low
        (y, x) bool, ground that water can stand on; all by default.
    reference
        (y, x) bool, where water is always; not known by default.
    """
    baseline = BASELINES.load(name)
    earlier = before if baseline.compares_dates else None
    scene = BackscatterScene.of(store, before=earlier, low=low, reference=reference)
    return map_water(scene, name, baseline, arguments)


def low_ground(dem: Path, grid: GeoBox) -> Mask:
    """Return where ground is not known to be higher above its drainage than water stands.

    Parameters
    ----------
    dem
        Raster of elevation, m.
    grid
        Grid of the scene.

    Returns
    -------
    ndarray
        (y, x) bool.
    """
    height = read_elevation(dem, grid).height_on(grid)[:]
    return np.asarray(~(height > HIGHEST))


def _require_files(name: str, files: PredictFiles) -> None:
    if files.optical is not None or files.radar_checkpoint:
        raise InputError(
            f"baseline {name}: sees radar alone; leave optical and radar_checkpoint out"
        )
    compares = BASELINES.load(name).compares_dates
    if compares and files.before is None:
        raise InputError(
            f"baseline {name}: compares two dates; give the scene before, or choose hsba"
        )
    if files.reference_water is not None and not BASELINES.load(name).sees_reference:
        raise InputError(
            f"baseline {name}: sees no reference water; leave {files.reference_water} out"
        )
    if not compares and files.before is not None:
        raise InputError(f"baseline {name}: sees one date; leave {files.before} out")


def _earlier(path: Path, store: xr.Dataset, settings: PredictSettings) -> xr.Dataset:
    before = open_store(path, whole_rows=True)
    recipe_of(store).require_scene(recipe_of(before), str(path))
    return before_on_grid(before, store, name=str(path), mixed_orbits=settings.mixed_orbits)


def _thresholds(found: WaterMap) -> str:
    return ", ".join(f"{band} {limit:.2f}" for band, limit in found.thresholds.items())
