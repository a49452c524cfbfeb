"""Real pairs of dates as display values: three tiles of Copernicus EMS activation 763.

8-bit values of VV and VH before and after the flood, and the service's flood mask; nobody trains on
them. Called by `make default-model`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, uniform_filter

from benchmarks.data import data_root
from floodloom.adapters import read_png
from floodloom.arrays import NODATA, Bytes, Floats, Mask
from floodloom.learning.metrics.pixels import Counts, count
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.mapping.sources import read_percent
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.stages.predict import predict
from floodloom.tiles.inputs import standardisation

_BANDS = ("vv", "vh")
_GAP_PX = 5  # the darkest pixels are 0, as is what lies outside the area


@dataclass(frozen=True)
class Pair:
    """A tile: scenes before and after as stores in memory, flood (y, x) bool, where known."""

    name: str
    before: xr.Dataset
    after: xr.Dataset
    flood: Mask
    known: Mask


def read_pairs() -> list[Pair]:
    """Return the tiles of EMSR763."""
    root = data_root("emsr763")
    names = sorted(path.name.removesuffix("_labels.png") for path in root.glob("*_labels.png"))
    return [_pair(root, name) for name in names]


def _pair(root: Path, name: str) -> Pair:
    values = {
        (band, date): read_png(root / f"{name}_{band}_{date}.png")[..., 0].astype(np.float32)
        for band in _BANDS
        for date in ("pre", "post")
    }
    there = np.any([value > 0 for value in values.values()], axis=0)
    known = binary_closing(there, iterations=_GAP_PX)
    flood = read_png(root / f"{name}_labels.png")[..., 0] > 0
    before, after = (
        _scene({band: values[band, date] for band in _BANDS}, known) for date in ("pre", "post")
    )
    return Pair(name, before, after, flood, known)


def _scene(values: dict[str, Floats], known: Mask) -> xr.Dataset:
    shown = {band: np.where(known, value, np.nan) for band, value in values.items()}
    statistics = {band: standardisation(value) for band, value in shown.items()}
    scene = xr.Dataset({band: (("y", "x"), value) for band, value in shown.items()})
    return stamp(scene.assign_attrs(statistics=json.dumps(statistics)), Recipe(quantity="display"))


def score_checkpoint(pairs: Sequence[Pair], checkpoint: Path) -> dict[str, float]:
    """Return the pooled IoU of flood: both dates seen at once, and each mapped by itself."""
    both, alone = Counts(), Counts()
    for pair in pairs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            before = write_store(pair.before, folder / "before.zarr")
            after = write_store(pair.after, folder / "after.zarr")
            dry_before = 1 - _water(before, folder, checkpoint)
            together = _water(after, folder, checkpoint, before=before) * dry_before
            single = _water(after, folder, checkpoint) * dry_before
        both += count(together >= 0.5, pair.flood, pair.known)
        alone += count(single >= 0.5, pair.flood, pair.known)
    return {"both_dates_at_once": round(both.iou, 4), "each_date_alone": round(alone.iou, 4)}


def score_baseline(pairs: Sequence[Pair], name: str) -> float:
    """Return the pooled IoU of flood of a baseline that compares dates."""
    pooled = Counts()
    for pair in pairs:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            before = write_store(pair.before, folder / "before.zarr")
            after = write_store(pair.after, folder / "after.zarr")
            found = _water(after, folder, before=before, baseline=name)
        pooled += count(found >= 0.5, pair.flood, pair.known)
    return round(pooled.iou, 4)


def _water(
    scene: Path,
    folder: Path,
    checkpoint: Path | None = None,
    *,
    before: Path | None = None,
    baseline: str | None = None,
) -> NDArray[np.float32]:
    path = predict(
        scene=scene,
        checkpoint=[checkpoint] if checkpoint else (),
        out=folder / "p.tif",
        files=PredictFiles(before=before),
        settings=PredictSettings(baseline=baseline),
    )
    percent: Bytes = read_percent(path).percent
    return np.where(percent == NODATA, 0, percent / 100).astype(np.float32)


def best_thresholds(pairs: Sequence[Pair]) -> dict[str, dict[str, float | str]]:
    """Return the best thresholds, chosen on these very tiles: of one date, and of the drop."""
    found: dict[str, dict[str, float | str]] = {}
    for kind in ("single_date", "drop"):
        options = (
            (pooled.iou, f"mean of {bands} over {window} px", limit)
            for bands in (("vv",), ("vh",), ("vv", "vh"))
            for window in (1, 3, 5, 9, 15)
            for limit, pooled in _by_limit(pairs, kind, bands, window)
        )
        iou, what, limit = max(options)
        found[kind] = {"pooled_iou": round(iou, 4), "of": what, "threshold": float(limit)}
    return found


def _by_limit(
    pairs: Sequence[Pair], kind: str, bands: tuple[str, ...], window: int
) -> Iterator[tuple[float, Counts]]:
    values = [_smoothed(pair, kind, bands, window) for pair in pairs]
    for limit in np.arange(-100, 101, 10):
        counts = [
            count(value < limit, pair.flood, pair.known)
            for value, pair in zip(values, pairs, strict=True)
        ]
        yield float(limit), sum(counts, Counts())


def _smoothed(pair: Pair, kind: str, bands: tuple[str, ...], window: int) -> Floats:
    """Return values after the flood, or after less before, averaged over bands and window."""
    after, before = (
        np.mean([np.nan_to_num(scene[band].values) for band in bands], axis=0)
        for scene in (pair.after, pair.before)
    )
    return uniform_filter(after if kind == "single_date" else after - before, window)
