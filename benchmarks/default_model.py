"""`make default-model`: train the model that floodloom brings, and score it on real chips.

It is trained on simulated chips and on simulated floods of three real places; two other places are
the development set. No real label takes part, and the labelled chips that it is scored on are
looked at only here. All steps are kept in a folder, so that a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks import two_dates
from benchmarks.data import data_root
from benchmarks.record import record
from benchmarks.separability import separability
from floodloom.adapters import SceneAdapter
from floodloom.arrays import IGNORE, NODATA
from floodloom.datasets import DATASETS
from floodloom.learning.metrics.pixels import Counts, count, mean_of_chip_iou
from floodloom.learning.metrics.reliability import foreground_reliability
from floodloom.learning.training.settings import TrainSettings
from floodloom.mapping.settings import PredictSettings
from floodloom.mapping.sources import read_percent
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.raster.store import write_store
from floodloom.simulate.semisynthetic import RealPlace
from floodloom.simulate.tiles import semisynthetic_tiles, write_simulated_tiles
from floodloom.stages.predict import predict
from floodloom.stages.train import train
from floodloom.tiles.inputs import to_decibel
from floodloom.tiles.store import write_tiles

CHIPS = 6000
FLOODS = 120
"""Floods of each real place."""
HELD_OUT = ("433D_629L_3_1", "637U_59R_1_3")
"""Places of TerraMesh that choices are made on; the others are trained on."""
SETTINGS = TrainSettings(
    width=16,
    epochs=10,
    batch=8,
    learning_rate=2e-3,
    fine_tune_epochs=6,
    fine_tune_learning_rate=1e-3,
    speckle_looks=None,  # the chips have theirs
    offset_db=1.0,
    balance=0.3,
    memory_gib=12.0,
    patience=10,
    average=0.995,
)
_WATER, _HIDING = 1, (2, 5)  # of TerraMesh's land cover: trees and towns hide a flood
THRESHOLDS = ("hsba", "kittler-illingworth", "otsu")
_DRY = "awc00"
"""The chip without water."""


@dataclass(frozen=True)
class Scored:
    """A real chip: decibel of VV and VH (band, y, x), probability (y, x), label (y, x), both."""

    name: str
    decibel: NDArray[np.float32]
    probability: NDArray[np.float32]
    label: NDArray[np.uint8]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where both label and probability are known."""
        return (self.label != IGNORE) & np.isfinite(self.probability)


def make_model(
    folder: Path, chips: int, settings: TrainSettings, processes: int, start: Path | None = None
) -> Path:
    """Simulate and train.

    Parameters
    ----------
    folder
        Where tiles and checkpoint are kept.
    chips
        How many are simulated.
    settings
        How to train.
    processes
        Processes that simulate, and threads that train.
    start
        Checkpoint to go on from.

    Returns
    -------
    Path
        The checkpoint.
    """
    tiles = write_simulated_tiles(folder / "tiles", chips, processes=processes)
    flooded = folder / "flooded.zarr"
    if not flooded.exists():
        places = [place for place in terramesh_places() if place.name not in HELD_OUT]
        write_tiles(semisynthetic_tiles(places, FLOODS), flooded)
    trained = folder / "default.safetensors"
    if not trained.exists():
        stores = [*tiles, flooded]
        train(tiles=stores, out=trained, init=start, settings=settings, threads=processes)
    return trained


def terramesh_places() -> list[RealPlace]:
    """Return the real places of TerraMesh; where its land cover says water, that is unknown."""
    root = data_root("terramesh")
    return [_terramesh_place(root, path.stem) for path in sorted((root / "S1RTC").glob("*.tif"))]


def _terramesh_place(root: Path, name: str) -> RealPlace:
    decibel, cover, elevation = (
        _read(root / kind / f"{name}.tif") for kind in ("S1RTC", "LULC", "DEM")
    )
    water = np.where(cover[0] == _WATER, IGNORE, 0).astype(np.uint8)
    hides = np.isin(cover[0], _HIDING)
    return RealPlace(10 ** (decibel / 10), elevation[0], water, hides, 10.0, name)


def _read(path: Path) -> NDArray[np.float32]:
    with rasterio.open(path) as source:
        return np.asarray(source.read(), np.float32)


def predict_chips(checkpoint: Path, *, bands: tuple[str, ...] = ("vv", "vh")) -> list[Scored]:
    """Map the labelled chips of STAC Overflow by a checkpoint as a user would."""
    return _map_chips(
        lambda scene, out: predict(scene=scene, checkpoint=[checkpoint], out=out), bands
    )


def map_chips_by_baseline(name: str, *, bands: tuple[str, ...] = ("vv", "vh")) -> list[Scored]:
    """Map the same chips by a baseline, which learns nothing, as a user would."""
    settings = PredictSettings(baseline=name)
    return _map_chips(lambda scene, out: predict(scene=scene, out=out, settings=settings), bands)


def score_baselines() -> dict[str, dict[str, Any]]:
    """Score the thresholds of one date: the chips have no scene before."""
    return {
        name: {
            "vv_and_vh": score(map_chips_by_baseline(name)),
            "vv": score(map_chips_by_baseline(name, bands=("vv",))),
        }
        for name in THRESHOLDS
    }


def _map_chips(stage: Callable[[Path, Path], Path], bands: tuple[str, ...]) -> list[Scored]:
    """Map the chips by a stage that takes a scene store and a place for the probability."""
    adapter = DATASETS.load("stac-overflow")
    if not isinstance(adapter, SceneAdapter):
        raise TypeError("stac-overflow: no scenes")
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for labelled in adapter.scenes(data_root("c2s_stac_overflow")):
            if (labelled.label == IGNORE).all():
                continue
            kept = [str(v) for v in labelled.scene.data_vars if v in bands or v not in ("vv", "vh")]
            write_store(labelled.scene[kept], folder / "scene.zarr")
            path = stage(folder / "scene.zarr", folder / "p.tif")
            percent = read_percent(path).percent
            probability = np.where(percent == NODATA, np.nan, percent / 100).astype(np.float32)
            decibel = np.stack([to_decibel(labelled.scene[band]).values for band in ("vv", "vh")])
            found.append(Scored(labelled.name, decibel, probability, labelled.label))
    return found


def score(chips: list[Scored]) -> dict[str, Any]:
    """Score predictions of water, and the best thresholds chosen on these very chips."""
    counts = {chip.name: _counts(chip, chip.probability >= 0.5) for chip in chips}
    pooled = sum(counts.values(), Counts())
    probability = np.concatenate([chip.probability[chip.known] for chip in chips])
    water = np.concatenate([chip.label[chip.known] > 0 for chip in chips])
    dry = [chip for chip in chips if chip.name == _DRY]
    wet = [counts[chip.name] for chip in chips if chip.name != _DRY]
    return {
        "pooled_iou": round(pooled.iou, 4),
        "mean_of_chip_iou": round(mean_of_chip_iou(wet), 4),
        "by_chip": {name: round(one.iou, 4) for name, one in counts.items()},
        "precision": round(pooled.precision, 4),
        "recall": round(pooled.recall, 4),
        "expected_calibration_error": round(
            foreground_reliability(probability, water).expected_calibration_error, 4
        ),
        "water_called_on_dry_chip": round(
            float(np.mean([(chip.probability[chip.known] >= 0.5).mean() for chip in dry])), 5
        ),
    }


def best_thresholds(chips: list[Scored]) -> dict[str, dict[str, float]]:
    """Return the single thresholds with the highest pooled IoU on these very chips, dB."""
    found = {}
    for band, name in enumerate(("vv", "vh")):
        options = [
            (sum((_counts(c, c.decibel[band] < limit) for c in chips), Counts()).iou, limit)
            for limit in np.arange(-32.0, -5.0, 0.25)
        ]
        iou, limit = max(options)
        found[name] = {"threshold_db": float(limit), "pooled_iou": round(iou, 4)}
    return found


def _counts(chip: Scored, water: NDArray[np.bool_]) -> Counts:
    return count(water, chip.label > 0, chip.known)


def main() -> None:
    """Train and score, or score alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("results/default-model"))
    parser.add_argument("--chips", type=int, default=CHIPS)
    parser.add_argument("--start", type=Path, help="go on from this checkpoint")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--score", type=Path, help="score this checkpoint and train none")
    given = parser.parse_args()
    epochs = "fine_tune_epochs" if given.start else "epochs"
    settings = SETTINGS.model_copy(update={epochs: given.epochs} if given.epochs else {})
    path = given.score or make_model(
        given.folder, given.chips, settings, given.processes, given.start
    )
    both, pairs = predict_chips(path), two_dates.read_pairs()
    figures = {
        "vv_and_vh": score(both),
        "vv": score(predict_chips(path, bands=("vv",))),
        "baselines": score_baselines(),
        "best_thresholds": best_thresholds(both),
        "separability": separability(both),
        "two_dates": two_dates.score_checkpoint(pairs, path),
        "two_dates_change_baseline": two_dates.score_baseline(pairs, "change"),
        "two_dates_thresholds": two_dates.best_thresholds(pairs),
    }
    print(figures)
    if given.score is None:
        record("default_model", {"chips": given.chips, **figures}, command="make default-model")
        DEFAULT_CHECKPOINT.write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
