"""The pairs of radar and optical images of `make bench-choices`: distillation and `combine`.

Simulated places, of which a quarter of one is labelled; validation and test lie in two more. All
networks begin with fresh weights but where the preset has it otherwise, and have the same passes
over their tiles; what a preset takes without labels makes them longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import assign_crs, xr_coords

from benchmarks.distill_curves import Pairs, place
from benchmarks.labels import score
from floodloom.arrays import IGNORE, NODATA, Floats
from floodloom.config.load import load_config
from floodloom.config.project import Config
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.pixels import count
from floodloom.learning.relabelling.scene_likelihood import tile_predictor
from floodloom.mapping.sources import read_percent
from floodloom.raster.cog import ACQUIRED, write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.report.examples import predict_tiles
from floodloom.stages.combine import combine
from floodloom.stages.distill import distill
from floodloom.stages.predict import predict
from floodloom.stages.teach import teach
from floodloom.stages.train import train
from floodloom.tiles.store import open_tiles, with_labels, write_tiles

SIDES = {"train": 512, "validation": 256, "test": 512}
TILE = 32
EPOCHS = 6
FEW = 4  # one tile in so many of the training place has labels
CLOUD = Pairs(cloud=0.2)
_WHEN = "2023-05-14T16:58:21"
_RANGE_DB = (-30.0, 5.0)  # of the places' backscatter


@dataclass(frozen=True)
class Places:
    """The stores and networks of a seed, in a folder; each is made once."""

    folder: Path
    seed: int

    @property
    def stores(self) -> list[Path]:
        """Tiles to train on, labelled and not, and to validate on."""
        names = ("labelled", "others", "validation")
        stores = [self.folder / f"pairs-{self.seed}-{name}.zarr" for name in names]
        if not stores[-1].exists():
            tiles = place("train", CLOUD, self.seed, SIDES["train"], TILE)
            hidden = np.arange(tiles.sizes["tile"]) % FEW > 0
            write_tiles(tiles.isel(tile=np.flatnonzero(~hidden)), stores[0])
            write_tiles(_as_target(tiles.isel(tile=np.flatnonzero(hidden))), stores[1])
            held = place("validation", CLOUD, self.seed, SIDES["validation"], TILE)
            write_tiles(held, stores[2])
        return stores

    @property
    def test(self) -> Path:
        """The tiles that are scored."""
        store = self.folder / f"pairs-{self.seed}-test.zarr"
        if not store.exists():
            write_tiles(place("test", CLOUD, self.seed, SIDES["test"], TILE), store)
        return store

    def config(self, preset: str) -> Config:
        """Return a configuration with a preset, in which all trainings are as long."""
        common = {"width": 8, "batch": 4, "precision": "float32", "monitor": "epoch",
                  "learning_rate": 3e-3, "speckle_looks": None, "offset_db": 0.0,
                  "balance": 0.0, "epochs": EPOCHS}  # fmt: skip
        return load_config({
            "run": {"name": "pairs"},
            "scenes": "scenes.tsv",
            "train": common,
            "teach": {"epochs": EPOCHS},
            "distill": {"preset": preset, "epochs": EPOCHS},
        })  # fmt: skip

    def plain(self, preset: str) -> Path:
        """Return the network of a preset that learns from the labels alone."""
        config = self.config(preset)
        model = config.run.models[0]
        out = self.folder / f"pairs-{self.seed}-plain-{model}.safetensors"
        if not out.exists():
            settings = config.train.model_copy(update={"model": model, "seed": self.seed})
            train(tiles=[self.stores[0], self.stores[2]], out=out, settings=settings)
        return out

    def teacher(self, preset: str) -> Path:
        """Return the teacher of a preset, which sees the optical images of labelled tiles alone."""
        settings = self.config(preset).teach
        if settings is None:
            raise TypeError(f"{preset}: no teacher")
        out = self.folder / f"pairs-{self.seed}-teacher-{settings.model}.safetensors"
        if not out.exists():
            settings = settings.model_copy(update={"seed": self.seed})
            teach(tiles=[self.stores[0], self.stores[2]], out=out, settings=settings)
        return out

    def student(self, preset: str) -> Path:
        """Return the student of a preset."""
        config = self.config(preset)
        if config.distill is None:
            raise TypeError(f"{preset}: no student")
        changes = {"model": config.run.models[0], "seed": self.seed}
        return distill(
            tiles=self.stores,
            teacher=self.teacher(preset),
            out=self.folder / f"pairs-{self.seed}-{preset}.safetensors",
            settings=config.distill.model_copy(update=changes),
        )

    def scored(self, network: Path) -> float:
        """Return the IoU of the water of the test place by radar alone."""
        predictor = tile_predictor(load_ensemble([network]), tta=False)
        return score(lambda tiles: predict_tiles(tiles, predictor, 16), self.test)["iou"]

    def scene(self) -> Path:
        """Return the test place as a scene store."""
        store = self.folder / f"pairs-{self.seed}-scene.zarr"
        if not store.exists():
            low, high = _RANGE_DB
            values = _whole(open_tiles(self.test)["image"].values)
            power = 10 ** ((low + (values + 1) / 2 * (high - low)) / 10)
            names = zip(("vv", "vh"), power.astype(np.float32), strict=True)
            data = xr.Dataset({name: (("y", "x"), band) for name, band in names})
            placed = assign_crs(data.assign_coords(xr_coords(_grid())), _grid().crs)
            stamped = stamp(placed, Recipe(quantity="sigma0", spacing=10.0))
            write_store(stamped.assign_attrs(acquisition_time=_WHEN), store)
        return store

    def optical(self) -> Path:
        """Return the optical image of the test place as a raster."""
        tiles = open_tiles(self.test)
        path = self.folder / f"pairs-{self.seed}-optical.tif"
        return write_cog(
            _whole(tiles["optical"].values),
            path,
            geobox=_grid(),
            nodata=np.nan,
            descriptions=[str(name) for name in tiles["channel"].values],
            tags={ACQUIRED: _WHEN},
        )

    def mapped(self, *, both: bool) -> float:
        """Return the IoU of the test scene by radar alone, or with the optical image combined."""
        out = self.folder / f"pairs-{self.seed}-map.tif"
        radar = [self.plain("logits")]
        if both:
            combine(
                scene=self.scene(),
                optical=self.optical(),
                checkpoint=radar,
                optical_checkpoint=[self.teacher("garg")],
                out=out,
            )
        else:
            predict(scene=self.scene(), checkpoint=radar, out=out)
        percent = read_percent(out).percent[:]
        label = _whole(open_tiles(self.test)["label"].values[:, np.newaxis])[0]
        known = (label != IGNORE) & (percent != NODATA)
        return round(count(percent >= 50, label == 1, known).iou, 4)


def _as_target(tiles: xr.Dataset) -> xr.Dataset:
    """Return tiles without their labels, that are nobody's."""
    hidden = with_labels(tiles, np.full(tiles["label"].shape, IGNORE, dtype=np.uint8))
    return hidden.assign_coords(split=("tile", ["target"] * tiles.sizes["tile"]))


def _grid() -> GeoBox:
    side = 10.0 * SIDES["test"]
    return grid_from_bounds((400_000, 5_000_000, 400_000 + side, 5_000_000 + side), 32633, 10.0)


def _whole(tiles: np.ndarray[Any, Any]) -> Floats:
    """Return tiles (tile, band, y, x), cut row by row, as the place (band, y, x)."""
    across = SIDES["test"] // TILE
    parts = tiles.reshape(across, across, -1, TILE, TILE).transpose(2, 0, 3, 1, 4)
    return np.asarray(parts.reshape(parts.shape[0], SIDES["test"], -1))


def _plain(preset: str, folder: Path, seed: int) -> float:
    places = Places(folder, seed)
    return places.scored(places.plain(preset))


def _distilled(preset: str, folder: Path, seed: int) -> float:
    places = Places(folder, seed)
    return places.scored(places.student(preset))


def _mapped(folder: Path, seed: int, *, both: bool) -> float:
    return Places(folder, seed).mapped(both=both)


PAIRS: dict[str, Callable[[Path, int], float]] = {
    "pairs, U-Net without a teacher": partial(_plain, "logits"),
    "preset garg": partial(_distilled, "garg"),
    "preset zhu": partial(_distilled, "zhu"),
    "pairs, HFD-Net without a teacher": partial(_plain, "hfd-net"),
    "preset hfd-net": partial(_distilled, "hfd-net"),
    "radar alone, a scene": partial(_mapped, both=False),
    "radar and optical, combined": partial(_mapped, both=True),
}
"""From a folder to work in and a seed to the IoU."""
