"""`make bench-labels`: flood IoU on unseen ground against how much is labelled, and how.

Each (data set, amount of labels, method, seed) that has finished is kept in
`benchmarks/results/labels.json`, its stores and networks in `--work`, so a run that was stopped
goes on. What hasn't been run is no row of the table.

python -m benchmarks.labels [--data-sets ombria stac] [--amounts clicks-10 ...]
    [--methods festa ...] [--seeds 0 1 2] [--repeat] [--data ../shared/data]
    [--work results/labels] [--threads 2]

It is cut to what two cores can do: parts of 64 px, U-Net of width 8, 240 steps of four.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from benchmarks.labels_protocols import (
    AMOUNTS,
    DATA,
    STAC_AS_DEFAULT,
    labelled_pixels,
    map_stac_tiles,
    write_case,
)
from benchmarks.labels_tables import DATA_SETS, fitting
from benchmarks.record import RESULTS, record, require_same_hardware
from floodloom.arrays import IGNORE
from floodloom.config.load import load_config
from floodloom.files import read_json
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.relabelling.audit import read_audit
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.learning.relabelling.scene_likelihood import tile_predictor
from floodloom.learning.training.settings import TrainSettings
from floodloom.log import get_logger, set_up_logging
from floodloom.mapping.settings import PredictSettings
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.report.examples import predict_tiles
from floodloom.stages.pretrain import pretrain
from floodloom.stages.relabel import relabel
from floodloom.stages.train import train
from floodloom.tiles.store import open_tiles

_log = get_logger(__name__)
NAME = "labels"
STEPS = 240
TRAINING: dict[str, Any] = {
    "batch": 4, "width": 8, "precision": "float32", "speckle_looks": None, "offset_db": 0.0,
    "monitor": "epoch", "average": 0.99, "patience": 1000, "loss": "cross_entropy",
}  # fmt: skip
Predictor = Callable[[xr.Dataset], NDArray[np.float32]]
"""From tiles to the probability of flood (tile, y, x), NaN = no data."""


@dataclass(frozen=True)
class Case:
    """An amount of labels of a data set: the folder of its stores, the seed, and the threads.

    `ground` holds all tiles that may be learnt from, without labels; `data` all data sets; every
    training has about so many `steps`, and settings of its own where `changes` has some.
    """

    folder: Path
    seed: int
    threads: int
    ground: Path
    data: Path
    steps: int = STEPS
    changes: Mapping[str, Any] = field(default_factory=dict)

    def trained(self, name: str, *, pseudo: Sequence[Path] = (), **given: Any) -> Path:
        """Return a network of the labelled tiles, trained once; arguments as those of `train`."""
        out = self.folder / f"{name}.safetensors"
        if out.exists():
            return out
        files = {key: given.pop(key) for key in ("init", "audit") if key in given}
        stores = [self.folder / "labelled.zarr", *pseudo]
        tiles = sum(int((open_tiles(store).split.values == "train").sum()) for store in stores)
        epochs = self._epochs(tiles)
        length = {"epochs": epochs, "fine_tune_epochs": epochs}
        settings = {**TRAINING, **self.changes, **length, **given}
        return train(
            tiles=stores[:1],
            pseudo=list(pseudo),
            out=out,
            threads=self.threads,
            settings=TrainSettings(seed=self.seed, **settings),
            **files,
        )

    def longer(self) -> Case:
        """Return the case with the steps of what is pretrained or relabelled, twice as many."""
        return replace(self, steps=2 * self.steps)

    def pretrained(self, task: str) -> Path:
        """Return the network that begins with what a task teaches without labels."""
        start = self.ground.with_name(f"{task}.safetensors")
        if not start.exists():
            epochs = self._epochs(open_tiles(self.ground).sizes["tile"])
            settings = {**TRAINING, **self.changes, "epochs": epochs, "encoder_weights": task}
            pretrain(
                tiles=[self.ground],
                out=start,
                threads=self.threads,
                settings=TrainSettings(seed=self.seed, **settings),
            )
        return self.trained(f"pretrained-{task}", init=start)

    def from_default(self) -> Path:
        """Return the model in the package, trained on if the labels show both classes.

        Where they don't, `train` refuses, and the model as it is remains.
        """
        tiles = open_tiles(self.folder / "labelled.zarr")
        shown = tiles["label"].values[tiles["split"].values == "train"]
        if not np.isin((0, 1), shown).all():
            return DEFAULT_CHECKPOINT
        return self.trained("default-start", init=DEFAULT_CHECKPOINT)

    def relabelled(self, preset: str) -> Path:
        """Return the network after the rounds of a preset, which go on from plain supervision."""
        config = load_config(
            {"run": {"name": preset}, "dataset": "ombria", "data_root": ".",
             "relabel": {"preset": preset}}
        )  # fmt: skip
        current = self.trained("supervised")
        previous = None
        for number in range(1, (config.run.rounds or 1) + 1):
            pseudo = self.folder / f"{preset}-{number}.zarr"
            audit = pseudo.with_suffix(".json")
            relabel(
                tiles=[self.folder / "unlabelled.zarr"],
                validation=[self.folder / "labelled.zarr"],
                checkpoints=[current],
                out=pseudo,
                audit=audit,
                previous=previous,
                settings=config.relabel.model_copy(update={"round": number}),
                threads=self.threads,
            )
            more = {**PRESETS.load(preset).get("train", {}), "init": current, "audit": audit}
            current = self.trained(f"{preset}-{number}", pseudo=[pseudo], **more)
            previous = pseudo
            if (reason := read_audit(audit).reason) is not None:
                _log.warning("%s, round %d: %s", self.folder, number, reason)
        return current

    def network(self, path: Path) -> Predictor:
        """Return what a checkpoint predicts."""
        ensemble = load_ensemble([path], threads=self.threads)
        predictor = tile_predictor(ensemble, tta=False)
        return lambda tiles: predict_tiles(tiles, predictor, 16)

    def _epochs(self, tiles: int) -> int:
        """Return how many passes over so many tiles are nearest to the steps of every training."""
        of_one: int = -(-tiles // TRAINING["batch"])
        return max(round(self.steps / of_one), 1)

    def unlearnt(self, baseline: str | None) -> Predictor:
        """Return what a baseline maps, or the model in the package."""
        settings = PredictSettings(baseline=baseline)
        return lambda tiles: map_stac_tiles(tiles, self.data, settings)


Method = Callable[[Case], Predictor]
METHODS: dict[str, Method] = {
    "supervised": lambda case: case.network(case.trained("supervised")),
    "supervised-longer": lambda case: case.network(case.longer().trained("supervised-longer")),
    "ce-dice": lambda case: case.network(case.trained("ce-dice", loss="ce_dice")),
    "festa": lambda case: case.network(case.trained("festa", loss="festa")),
    "pseudo-labelled": lambda case: case.network(case.relabelled("pixel-gate")),
    "pretrained-masked": lambda case: case.network(case.pretrained("masked")),
    "pretrained-contrast": lambda case: case.network(case.pretrained("mask-contrast")),
    "default-start": lambda case: case.network(case.from_default()),
    "image-level": lambda case: case.network(case.relabelled("image-level")),
    "default-model": lambda case: case.unlearnt(None),
    "otsu": lambda case: case.unlearnt("otsu"),
    "kim": lambda case: case.unlearnt("kim"),
    "mask-contrast": lambda case: case.unlearnt("mask-contrast"),
    "all-flood": lambda case: lambda tiles: np.ones(tiles["label"].shape, dtype=np.float32),
}
"""What is learnt from a case, by name; titles stand in `benchmarks.labels_tables`.

`all-flood` is the trivial map.
"""
GROUNDS = {("stac", "default-start"): STAC_AS_DEFAULT}
"""Whose tiles a method learns from, where these aren't those of the data set."""


def score(predictor: Predictor, unseen: Path) -> dict[str, float]:
    """Return pooled scores of the flood in tiles that nothing was learnt from."""
    tiles = open_tiles(unseen)
    probability, label = predictor(tiles), tiles["label"].values
    known = (label != IGNORE) & np.isfinite(probability)
    found, truth = (probability[known] >= 0.5), label[known] == 1
    scores = foreground_scores(confusion_matrix(found.astype("u1"), truth.astype("u1"), 2))
    kept = {key: round(scores[key], 4) for key in ("iou", "precision", "recall")}
    return {**kept, "called": round(float(found.mean()), 4), "true": round(float(truth.mean()), 4)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what isn't there yet."""
    asked = _arguments(arguments)
    path = RESULTS / f"{NAME}.json"
    figures = read_json(path) if path.exists() else {}
    require_same_hardware(path, figures)
    rows = figures.get("rows", {})
    for seed in asked.seeds:
        for data_set in asked.data_sets:
            for amount in asked.amounts:
                _run_case(rows, data_set, amount, seed, asked)


def _run_case(
    rows: dict[str, Any], data_set: str, amount: str, seed: int, asked: argparse.Namespace
) -> None:
    """Run the methods of one amount of labels and one seed, and write the figures after each."""
    kept = rows.setdefault(data_set, {}).setdefault(amount, {})
    names = [name for name in asked.methods if name in fitting(data_set, amount)]
    left = [m for m in names if asked.repeat or str(seed) not in kept.get(m, {})]
    if not left:
        return
    grounds = {method: GROUNDS.get((data_set, method), data_set) for method in left}
    if asked.repeat:
        for name in set(grounds.values()):
            shutil.rmtree(asked.work / f"{name}-{seed}" / amount, ignore_errors=True)
    for method, name in grounds.items():
        folder, ground = (_written(name, one, seed, asked) for one in (amount, "none"))
        case = Case(folder, seed, asked.threads, ground / "unlabelled.zarr", asked.data)
        found = score(METHODS[method](case), folder / "unseen.zarr")
        found["labelled_pixels"] = labelled_pixels(folder)
        _log.info("%s, %s, %s, seed %d: %s", data_set, amount, method, seed, found)
        kept.setdefault(method, {})[str(seed)] = found
        _record(rows)


def _written(data_set: str, amount: str, seed: int, asked: argparse.Namespace) -> Path:
    """Return the folder of the stores of an amount of labels, which are written once."""
    folder: Path = asked.work / f"{data_set}-{seed}" / amount
    if not (folder / "unseen.zarr").exists():
        folder.mkdir(parents=True, exist_ok=True)
        ground = DATA[data_set](asked.data, asked.work, seed)
        write_case(ground, AMOUNTS[amount], seed, folder)
    return folder


def _record(rows: dict[str, Any]) -> None:
    ordered = {
        data_set: {
            amount: {m: dict(sorted(rows[data_set][amount][m].items())) for m in METHODS
                     if m in rows[data_set][amount]}
            for amount in AMOUNTS if rows[data_set].get(amount)
        }
        for data_set in DATA if data_set in rows
    }  # fmt: skip
    seeds = {int(s) for table in ordered.values() for row in table.values() for f in row.values()
             for s in f}  # fmt: skip
    record(NAME, {"rows": ordered}, command="make bench-labels", seeds=sorted(seeds))


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-sets", nargs="*", choices=list(DATA_SETS), default=list(DATA_SETS))
    parser.add_argument("--amounts", nargs="*", choices=list(AMOUNTS), default=list(AMOUNTS))
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("results/labels"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(given)


if __name__ == "__main__":
    set_up_logging()
    main()
