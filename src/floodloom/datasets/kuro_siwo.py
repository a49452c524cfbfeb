"""Kuro Siwo: labelled chips of floods of 43 activations, with Sentinel-1 before and during each.

Its root is the folder that holds `data/<activation>/<area>/<chip>`. A chip is 224 px of terrain-
corrected sigma0 in linear power after a Lee sigma filter, in Web Mercator; `MS1` was taken during
the flood, `SL1` is the last one before it. Chips without labels (`data/<activation>/00`) are left
out.

Source: Bountos et al. (2024), Kuro Siwo: 33 billion m² under the water, NeurIPS Datasets and
Benchmarks; split and processing: https://github.com/Orion-AI-Lab/KuroSiwo, configs.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.adapters import SceneAdapter, require_root
from floodloom.arrays import IGNORE, Floats
from floodloom.errors import InputError
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.raster.grid import geobox_of
from floodloom.sentinel1.backscatter import scene_of
from floodloom.sentinel1.presets import BackscatterProduct
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.tiles.labels import classes, place_labels
from floodloom.tiles.overlay import LabelledScene
from floodloom.tiles.settings import Split

TITLE = "Kuro Siwo"
PUBLISHED = "https://github.com/Orion-AI-Lab/KuroSiwo"
_SIGMA0 = BackscatterSettings(scale="power", quantity="sigma0", nodata=(0.0,), flattened=False)
_VALIDATION = {514, 559, 279, 520, 437, 1111003, 1111008}
_TEST = {321, 561, 445, 562, 411, 1111002, 277, 1111007, 205, 1111013}
_LABEL, _VALID = Kind("label raster", low=0, high=3, whole=True, unknown=(3,)), Kind("valid mask")


def scene_names(root: Path) -> list[str]:
    """Return the labelled chips below `root` as `<activation>_<area>_<chip>`.

    Raises
    ------
    InputError
        If the data set isn't there.
    """
    data = require_root(root, "data", TITLE, PUBLISHED) / "data"
    labels = data.glob("*/[0-9][0-9]/*/MK0_MLU_*.tif")
    return sorted("_".join(path.parts[-4:-1]) for path in labels)


def read_scene(root: Path, name: str) -> LabelledScene:
    """Read one chip, its labels and the chip before the flood.

    Parameters
    ----------
    root
        See `scene_names`.
    name
        `<activation>_<area>_<chip>`.

    Returns
    -------
    LabelledScene
        Linear power, NaN where data are missing, read when it is asked for; labels 0 dry, 1
        permanent water, 2 flood, 255 unknown, also where the chip's mask calls it invalid. The
        event is the activation.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    activation = name.partition("_")[0]
    folder = root / "data" / Path(*name.split("_", 2))
    scene = _scene(folder, "MS1", name)
    before = _scene(folder, "SL1", name) if list(folder.glob("SL1_IVV_*.tif")) else None
    label = _label(folder, geobox_of(scene))
    return LabelledScene(
        name, scene, label, before=before, event=activation, split=_split(int(activation))
    )


def _split(activation: int) -> Split:
    if activation in _VALIDATION:
        return "validation"
    return "test" if activation in _TEST else "train"


def _scene(folder: Path, image: str, name: str) -> xr.Dataset:
    bands = {band: _file(folder, f"{image}_I{band.upper()}") for band in ("vv", "vh")}
    product = BackscatterProduct(title=TITLE, bands=bands, speckle_filter="lee_sigma-7")
    day = datetime.strptime(bands["vv"].stem.rpartition("_")[2], "%Y%m%d").date()
    scene = scene_of(product, _SIGMA0, name=name, log=False)
    return scene.assign_attrs(title=f"{TITLE}, {name}", acquisition_time=str(day))


def _label(folder: Path, geobox: GeoBox) -> NDArray[np.uint8]:
    label = open_foreign(_file(folder, "MK0_MLU"), _LABEL)
    valid = open_foreign(_file(folder, "MK0_MNA"), _VALID)
    found = place_labels(label, geobox, classes, (0, 1, 2))
    found[place_labels(valid, geobox, _is_valid, (1,)) != 1] = IGNORE
    return found


def _is_valid(numbers: Floats) -> NDArray[np.uint8]:
    return np.where(numbers == 1, np.uint8(1), np.uint8(0))


def _file(folder: Path, what: str) -> Path:
    found = sorted(folder.glob(f"{what}_*.tif"))
    if len(found) != 1:
        raise InputError(f"{folder}: {len(found)} files {what}_*.tif, not one; fetch it again")
    return found[0]


DATASET = SceneAdapter(TITLE, PUBLISHED, scene_names, read_scene)
