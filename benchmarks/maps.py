"""`make bench-maps`: all scores of `floodloom evaluate`, and what cleaning does to a map.

The model that floodloom brings and a baseline map simulated chips, of before a flood and after it,
and the chips of STAC Overflow, which have no date before. Their probabilities are scored; those of
the model are delineated in several ways, of which each is compared with no cleaning at all. No chip
was trained on. FLOODLOOM_DATA names the folder of the real data sets.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.xr import assign_crs, xr_coords

from benchmarks.baseline_scenes import labelled
from benchmarks.record import record
from floodloom.arrays import IGNORE, NODATA, Bytes, Floats
from floodloom.files import read_json
from floodloom.learning.metrics.reliability import foreground_reliability
from floodloom.mapping.evidence import DelineateFiles
from floodloom.mapping.product_set import FloodProducts
from floodloom.mapping.settings import (
    DelineateSettings,
    EvaluateSettings,
    PredictFiles,
    PredictSettings,
)
from floodloom.mapping.sources import read_percent
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.raster.cog import read_raster, write_cog
from floodloom.raster.grid import geobox_of, grid_from_bounds
from floodloom.raster.product import FloodClass
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.simulate.chips import Chip, make_chip
from floodloom.stages.delineate import delineate
from floodloom.stages.evaluate import evaluate
from floodloom.stages.predict import predict

CHIPS, SIDE = 4, 512
FIRST = 7_100_000  # seeds that nothing was trained, chosen or looked at with
METHODS = {
    "default model": PredictSettings(),
    "default model, not calibrated": PredictSettings(calibrate=False),
    "otsu": PredictSettings(baseline="otsu"),
}
NONE = "no cleaning"
CLEANINGS = {
    NONE: {"minimum_mapping_unit": 0.0},
    "majority": {"minimum_mapping_unit": 0.0, "refine": "majority"},
    "dense CRF": {"minimum_mapping_unit": 0.0, "refine": "crf"},
    "dense CRF of Paul and Ganju": {"minimum_mapping_unit": 0.0, "refine": "paul-ganju"},
    "sieve, 0.3 ha": {"minimum_mapping_unit": 0.3},
    "sieve, 1 ha": {"minimum_mapping_unit": 1.0},
    "least change, 1.5 dB": {"minimum_mapping_unit": 0.0, "minimum_change": 1.5},
}
SETTINGS = {name: DelineateSettings.model_validate(keys) for name, keys in CLEANINGS.items()}
Figures = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A folder with the scene stores of a chip, its truth and its maps."""

    folder: Path

    @property
    def before(self) -> tuple[Path, ...]:
        """The scene store of before the flood, if there is one."""
        path = self.folder / "before.zarr"
        return (path,) if path.exists() else ()

    def mapped(self, date: str, name: str = "default model") -> Path:
        """Return the probability of a date by a method, mapped once."""
        out = self.folder / f"{date} {name}.tif"
        if not out.exists():
            earlier = self.before[0] if self.before and date == "after" else None
            settings = METHODS[name]
            predict(
                scene=self.folder / f"{date}.zarr",
                checkpoint=[] if settings.baseline else [DEFAULT_CHECKPOINT],
                out=out,
                files=PredictFiles(before=None if settings.baseline else earlier),
                settings=settings,
            )
        return out

    def delineated(self, name: str) -> tuple[Path, float]:
        """Return the flood map of a way of cleaning, and the processor seconds that it took."""
        out = self.folder / f"{name}.flood.tif"
        after = self.mapped("after")
        files = DelineateFiles(
            scene=self.folder / "after.zarr",
            before=tuple(self.mapped("before") for _ in self.before),
            before_scene=self.before,
        )
        products = FloodProducts(
            out=out, vectors=out.with_suffix(".gpkg"), item=out.with_suffix(".json")
        )
        began = _processor_seconds()
        delineate(probability=[after], products=products, files=files, settings=SETTINGS[name])
        return out, _processor_seconds() - began


def main() -> None:
    """Take the figures."""
    scores: Figures = {}
    cleanings: Figures = {}
    with tempfile.TemporaryDirectory(prefix="bench-maps-") as name:
        for scenes, places in {"simulator": _simulated, "stac-overflow": _real}.items():
            found = list(places(Path(name) / scenes))
            scores[scenes] = {method: scored(found, method) for method in METHODS}
            cleanings[scenes] = cleaned(found)
            print(scenes, scores[scenes], cleanings[scenes], flush=True)
    figures = {"scores": scores, "cleanings": cleanings, "chips": CHIPS, "side": SIDE}
    record("maps", figures, command="make bench-maps", seeds=[FIRST])


def scored(places: Sequence[Place], method: str) -> Figures:
    """Return all scores of a method's probabilities, as `floodloom evaluate` writes them."""
    maps = [place.mapped("after", method) for place in places]
    beta = {}
    for value in (1.0, 2.0):
        out = places[0].folder / "scores.json"
        evaluate(
            out=out,
            prediction=maps,
            truth=[place.folder / "truth.tif" for place in places],
            settings=EvaluateSettings(beta=value),
        )
        beta[value] = read_json(out)
    further, objects = beta[1.0]["further"], beta[1.0]["further"]["objects"]
    return {
        "iou": beta[1.0]["flood"]["iou"],
        "accuracy": further["pooled"]["accuracy"],
        "f1": further["pooled"]["f_beta"],
        "f2": beta[2.0]["further"]["pooled"]["f_beta"],
        "weighted_f1": further["mean_of_images"]["weighted_f_beta"],
        "mean_absolute_error": further["pooled"]["mean_absolute_error"],
        "structure_measure": further["mean_of_images"]["structure_measure"],
        "alignment_measure": further["mean_of_images"]["alignment_measure"],
        "boundary_f1": further["pooled"]["boundary_f1"],
        "objects": {
            "found": objects["tp"],
            "missed": objects["fn"],
            "made_up": objects["fp"],
        },
        "calibration_error": _calibration_error(places, maps),
    }


def cleaned(places: Sequence[Place]) -> Figures:
    """Return what each way of cleaning makes of the maps; those of change need a date before.

    `changed` is the share of the flood without cleaning whose class differs, either way.
    """
    rows: Figures = {}
    plain: list[Bytes] = []
    for name, settings in SETTINGS.items():
        if settings.minimum_change is not None and not all(place.before for place in places):
            continue
        places[0].delineated(name)  # takes what is only done once
        taken = [place.delineated(name) for place in places]
        classes = [read_raster(path)[0] for path, _ in taken]
        plain = plain or classes
        differs = sum(_flood_differs(a, b) for a, b in zip(plain, classes, strict=True))
        out = places[0].folder / "scores.json"
        evaluate(
            out=out,
            prediction=[path for path, _ in taken],
            truth=[place.folder / "truth.tif" for place in places],
        )
        found = read_json(out)["flood"]
        pixels = sum(one.size for one in classes)
        rows[name] = {
            **{key: found[key] for key in ("iou", "precision", "recall")},
            "changed": differs / sum(int((one == _FLOOD).sum()) for one in plain),
            "seconds_per_mpx": sum(seconds for _, seconds in taken) / pixels * 1e6,
        }
    return rows


_FLOOD = FloodClass.FLOOD.value


def _flood_differs(first: Bytes, second: Bytes) -> int:
    return int(((first == _FLOOD) != (second == _FLOOD)).sum())


def _calibration_error(places: Sequence[Place], maps: Sequence[Path]) -> float:
    """Return the expected calibration error of water over all known pixels."""
    probability, water = [], []
    for place, path in zip(places, maps, strict=True):
        percent, truth = read_percent(path).percent[:], read_raster(place.folder / "truth.tif")[0]
        known = (truth != IGNORE) & (percent != NODATA)
        probability.append(percent[known] / 100)
        water.append(truth[known] > 0)
    reliability = foreground_reliability(np.concatenate(probability), np.concatenate(water))
    return reliability.expected_calibration_error


def _simulated(folder: Path) -> Iterator[Place]:
    """Yield chips of VV and VH with a flood."""
    seeds = iter(range(FIRST, FIRST + 100 * CHIPS))
    made = 0
    while made < CHIPS:
        chip = make_chip(next(seeds), SIDE)
        if len(chip.polarisations) < 2 or not (chip.label == _FLOOD).any():
            continue
        made += 1
        place = folder / str(made)
        place.mkdir(parents=True)
        for date, image in (("before", chip.before), ("after", chip.after)):
            write_store(_scene(chip, image), place / f"{date}.zarr")
        truth = np.where(chip.visible & chip.valid, chip.label, IGNORE).astype(np.uint8)
        yield _with_truth(place, truth, _scene(chip, chip.after))


def _real(folder: Path) -> Iterator[Place]:
    """Yield the labelled chips of STAC Overflow, all of whose water is taken for flood."""
    for number, one in enumerate(labelled("stac-overflow")):
        place = folder / str(number)
        place.mkdir(parents=True)
        write_store(one.store, place / "after.zarr")
        truth = np.where(one.water == 1, _FLOOD, one.water).astype(np.uint8)
        yield _with_truth(place, truth, one.store)


def _scene(chip: Chip, image: Floats) -> xr.Dataset:
    spacing = chip.sensor.spacing
    grid = grid_from_bounds((0, 0, spacing * SIDE, spacing * SIDE), 32633, spacing)
    power = np.where(chip.valid, image, np.nan).astype(np.float32)
    bands = zip(chip.polarisations, power, strict=True)
    data = xr.Dataset({name: (("y", "x"), band) for name, band in bands})
    placed = assign_crs(data.assign_coords(xr_coords(grid)), grid.crs)
    return stamp(placed, Recipe(quantity=chip.sensor.quantity, spacing=spacing))


def _with_truth(place: Path, truth: Bytes, scene: xr.Dataset) -> Place:
    write_cog(truth[np.newaxis], place / "truth.tif", geobox=geobox_of(scene), nodata=IGNORE)
    return Place(place)


def _processor_seconds() -> float:
    taken = os.times()
    return taken.user + taken.system


if __name__ == "__main__":
    main()
