"""`make bench-label_shift`: relabelling where the target has another share of flood.

Each method goes on from the same network, trained on the labelled tiles, with the same number of
steps: on labelled tiles alone, which is no round, or on these and pseudo-labelled ones. Every
(protocol, seed, method) that has finished is kept in `benchmarks/results/label_shift.json`, the
stores and first networks in `--work`, so a run that was stopped goes on.

A classifier of pixels shows the same on OMBRIA in seconds (`benchmarks.label_shift_pixels`), the
splits `--pixels`.

python -m benchmarks.label_shift [--protocols ombria-few ...] [--seeds 0 1 2] [--pixels few ...]
    [--methods no-round ...] [--repeat] [--data ../shared/data] [--work results/label_shift]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.label_shift_pixels import SPLITS, pixel_figures
from benchmarks.record import RESULTS, record, require_same_hardware
from benchmarks.relabel_protocols import (
    SMALL,
    Size,
    ombria_shift_protocol,
    simulator_shift_protocol,
    write_protocol,
)
from floodloom.arrays import IGNORE
from floodloom.files import read_json
from floodloom.learning.checkpoint import load_checkpoint
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.relabelling.audit import read_audit
from floodloom.learning.relabelling.scene_likelihood import tile_predictor
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.learning.training.settings import TrainSettings
from floodloom.log import get_logger, set_up_logging
from floodloom.report.examples import predict_tiles
from floodloom.stages.relabel import relabel
from floodloom.stages.train import train
from floodloom.tiles.store import open_tiles

_log = get_logger(__name__)
NAME = "label_shift"
PROTOCOLS: dict[str, Callable[[Path, int, Size], dict[str, xr.Dataset]]] = {
    "ombria-few": lambda data, seed, size: ombria_shift_protocol(data / "ombria", seed, size),
    "ombria-much": lambda data, seed, size: ombria_shift_protocol(
        data / "ombria", seed, size, few_labelled=True
    ),
    "simulator-02": lambda data, seed, size: simulator_shift_protocol(0.02, seed, size),
    "simulator-10": lambda data, seed, size: simulator_shift_protocol(0.10, seed, size),
    "simulator-25": lambda data, seed, size: simulator_shift_protocol(0.25, seed, size),
    "simulator-50": lambda data, seed, size: simulator_shift_protocol(0.50, seed, size),
}
STORES = ("labelled", "unlabelled", "inductive", "transductive")
START, NO_ROUND = "before", "no-round"
METHODS: dict[str, dict[str, Any]] = {
    START: {},
    NO_ROUND: {},
    "earlier": {"priors": "none"},
    "default": {},
}
"""Settings of the round by method; `earlier` is the round as it was without an estimated share."""
FIRST_STEPS, ROUND_STEPS = 240, 80
TRAINING = {
    "batch": 4, "width": 8, "precision": "auto", "speckle_looks": None, "patience": 1000,
    "cutmix": 0.5, "average": 0.99,
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """A protocol with one seed: its folder of stores, and how many threads there are."""

    folder: Path
    seed: int
    threads: int

    def run(self, method: str) -> dict[str, Any]:
        """Return the scores of a method on the target itself and on unseen tiles like it."""
        if method == START:
            return self._scored(self.first())
        if method == NO_ROUND:
            out = self.folder / f"{method}.safetensors"
            return self._scored(self._trained(out, ROUND_STEPS, init=self.first()))
        return self._round(method)

    def first(self) -> Path:
        """Return the network of the labelled tiles, trained once."""
        return self._trained(self.folder / "first.safetensors", FIRST_STEPS)

    def _round(self, method: str) -> dict[str, Any]:
        labelled, out = self.folder / "labelled.zarr", self.folder / f"{method}.safetensors"
        pseudo, audit = self.folder / f"{method}.zarr", self.folder / f"{method}.json"
        relabel(
            tiles=[self.folder / "unlabelled.zarr"],
            validation=[labelled],
            checkpoints=[self.first()],
            out=pseudo,
            audit=audit,
            settings=RelabelSettings(**METHODS[method]),
            threads=self.threads,
        )
        given = {"init": self.first(), "pseudo": [pseudo], "audit": audit}
        scores = self._scored(self._trained(out, ROUND_STEPS, **given))
        found, notes = read_audit(audit), load_checkpoint(out).notes
        weight = notes.get("likelihood", {}).get("weight", 0.0)
        return scores | {
            "refused": found.reason or notes.get("reason"),
            "estimated": found.estimated and found.estimated.model_dump(),
            "label_likelihood": found.likelihood,
            "map_likelihood": weight,
        }

    def _trained(self, out: Path, steps: int, **given: Any) -> Path:
        if not out.exists():
            stores = [self.folder / "labelled.zarr", *given.get("pseudo", ())]
            tiles = sum(int((open_tiles(one).split.values == "train").sum()) for one in stores)
            epochs = max(round(steps / -(-tiles // TRAINING["batch"])), 1)
            settings = {**TRAINING, "epochs": epochs, "fine_tune_epochs": epochs}
            train(
                tiles=stores[:1],
                out=out,
                threads=self.threads,
                settings=TrainSettings(seed=self.seed, **settings),
                **given,
            )
        return out

    def _scored(self, checkpoint: Path) -> dict[str, Any]:
        ensemble = load_ensemble([checkpoint], threads=self.threads)
        scores = {}
        for store in ("inductive", "transductive"):
            tiles = open_tiles(self.folder / f"{store}.zarr")
            probability = predict_tiles(tiles, tile_predictor(ensemble, tta=False), 16)
            label = tiles["label"].values
            known = (label != IGNORE) & np.isfinite(probability)
            guess, truth = probability[known] >= 0.5, label[known] == 1
            matrix = confusion_matrix(guess.astype(np.uint8), truth.astype(np.uint8), 2)
            scores[store] = {
                "iou": round(foreground_scores(matrix)["iou"], 4),
                "called": round(float(guess.mean()), 4),
                "true": round(float(truth.mean()), 4),
            }
        return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what isn't there yet."""
    asked = _arguments(arguments)
    path = RESULTS / f"{NAME}.json"
    figures = read_json(path) if path.exists() else {}
    require_same_hardware(path, figures)
    kept = figures.get("protocols", {})
    pixels = figures.get("pixels", {})
    figures = {"protocols": kept, "pixels": pixels}
    for seed in asked.seeds:
        for split in asked.pixels:
            known = pixels.setdefault(split, {})
            if asked.repeat or str(seed) not in known:
                known[str(seed)] = pixel_figures(asked.data / "ombria", split, seed)
                _record(figures)
        for protocol in asked.protocols:
            done = kept.setdefault(protocol, {}).setdefault(str(seed), {})
            left = [m for m in asked.methods if asked.repeat or m not in done]
            folder = asked.work / f"{protocol}-{seed}"
            if left and not (folder / "transductive.zarr").exists():
                folder.mkdir(parents=True, exist_ok=True)
                made = PROTOCOLS[protocol](asked.data, seed, SMALL)
                write_protocol({name: made[name] for name in STORES}, folder)
            for method in left:
                done[method] = Bench(folder, seed, asked.threads).run(method)
                _log.info("%s, seed %d, %s: %s", protocol, seed, method, done[method])
                _record(figures)


def _record(figures: dict[str, Any]) -> None:
    known = [*figures["protocols"].values(), *figures["pixels"].values()]
    seeds = sorted({int(seed) for found in known for seed in found})
    record(NAME, figures, command="make bench-label_shift", seeds=seeds)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocols", nargs="*", choices=list(PROTOCOLS), default=list(PROTOCOLS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--pixels", nargs="*", choices=SPLITS, default=list(SPLITS))
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("results/label_shift"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(given)


if __name__ == "__main__":
    set_up_logging()
    main()
