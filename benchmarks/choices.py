"""`make bench-choices`: what each choice of training buys, one at a time.

Short trainings on simulated chips of 256 px in tiles of 32, scored on chips of other seeds; from a
checkpoint on the chips of STAC Overflow; of pairs with optical images on simulated places. Every
row is a choice beside the same training without it, with three seeds that have chips of their own.
They are cut to what two cores can do: U-Net of width 8, 128 steps of four tiles. FLOODLOOM_DATA
names the folder of the real data sets. What has been taken is kept; delete a score in
`benchmarks/results/choices.json` to have it taken again. `python -m benchmarks.choices CutMix`
takes chosen rows, `--encoder-weights FILE` that of ImageNet weights for ResNet-18, too.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.choices_ground import write_ground, write_test
from benchmarks.choices_pairs import PAIRS
from benchmarks.data import data_root
from benchmarks.labels import Case, score
from benchmarks.labels_protocols import Amount, stac_ground, write_case
from benchmarks.record import RESULTS, record
from floodloom.files import read_json
from floodloom.learning.data import augmentation
from floodloom.learning.relabelling import retraining
from floodloom.learning.relabelling.audit import read_audit
from floodloom.log import set_up_logging
from floodloom.raster.recipe import Recipe

SEEDS = (0, 1, 2)
WORK = Path("results") / "bench-choices"
"""Where stores and networks are kept, so that a run that was stopped goes on."""
FEW_OF_STAC = Amount(chips=0.05)
STEPS = 128
CHANGES = {"balance": 0.0, "average": 0.9, "learning_rate": 3e-3}
"""Settings of all trainings beside those of `make bench-labels`, as they are shorter."""
STAC_EPOCHS = {"epochs": 2, "fine_tune_epochs": 2}
"""Passes over the tiles of STAC Overflow, which have 64 px."""
FROM_SCRATCH, TRANSFERRED = "few labels of STAC Overflow", "the same, from simulated chips"
Learn = Callable[[Case], Path]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Training:
    """How a network is learnt from what ground, and what of the test it sees."""

    learn: Learn
    ground: str = "dense"
    seen: str = "unseen"


def _trained(**settings: Any) -> Learn:
    """Return a training by settings of `train` beside those of all, `CHANGES`."""
    name = "-".join(f"{key}-{value}" for key, value in settings.items()) or "supervised"
    return lambda case: case.trained(_as_file(name), **settings)


def _as_file(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-._" else "" for c in name)


def _without_symmetries(case: Case) -> Path:
    """Train on tiles that aren't turned, which no setting does."""
    with patch.object(augmentation, "rotate_and_flip", lambda tensor, element: tensor):
        return case.trained("no-symmetries")


class RefusedRoundError(Exception):
    """A round of relabelling was refused, so nothing was trained that could be compared."""


def _unimatch(case: Case, *, ramp: bool) -> Path:
    """Train by strong views with the ramp or without it, which no setting leaves out."""
    network = _strong_views(case, ramp=ramp)
    reason = read_audit(network.with_suffix(".json")).reason
    if reason is not None:
        raise RefusedRoundError(reason)
    return network


def _strong_views(case: Case, *, ramp: bool) -> Path:
    if ramp:
        return case.relabelled("unimatch")
    level = case.folder.with_name(f"{case.folder.name}-level")
    if not level.exists():
        shutil.copytree(case.folder, level, ignore=shutil.ignore_patterns("unimatch*"))
    with patch.object(retraining, "strong_views", _level_views):
        return replace(case, folder=level).relabelled("unimatch")


def _level_views(recipe: Recipe) -> augmentation.Augmentation:
    views = augmentation.strong_views(recipe)
    noise = views.noise and replace(views.noise, ramp_db=0.0)
    return replace(views, noise=noise)


PLAIN = _trained()
TRAININGS: dict[str, Training] = {
    "plain": Training(PLAIN),
    "plain, VH lost in the test": Training(PLAIN, seen="unseen-vh-lost"),
    "random, class-balanced patches": Training(PLAIN, "balanced patches"),
    "class-balanced draws": Training(_trained(balance=1.0)),
    "no symmetries": Training(_without_symmetries),
    "gamma speckle of 4.4 looks": Training(_trained(speckle_looks=4.4)),
    "offset of 1 dB": Training(_trained(offset_db=1.0)),
    "band lost, 10 %": Training(_trained(band_drop=0.1)),
    "band lost, 10 %, VH lost in the test": Training(
        _trained(band_drop=0.1), seen="unseen-vh-lost"
    ),
    "CutMix": Training(_trained(cutmix=0.5)),
    "skips, added": Training(_trained(arguments={"skips": "add"})),
    "FCN-8s": Training(_trained(model="fcn8")),
    "FCN-8s, transposed 4 x 4": Training(
        _trained(model="fcn8", arguments={"upsampling": "transposed_4x4"})
    ),
    "points": Training(PLAIN, "points"),
    "lines": Training(PLAIN, "lines"),
    "polygons": Training(PLAIN, "polygons"),
    "label of the image for each pixel": Training(PLAIN, "images"),
    "image-level": Training(lambda case: case.relabelled("image-level"), "images"),
    "few labels": Training(PLAIN, "few"),
    "pretrained, mask-contrast": Training(lambda case: case.pretrained("mask-contrast"), "few"),
    "UniMatch, no ramp": Training(partial(_unimatch, ramp=False), "few"),
    "UniMatch, ramp": Training(partial(_unimatch, ramp=True), "few"),
    "encoder resnet34": Training(_trained(arguments={"encoder": "resnet34"})),
    "encoder mobilenet_v2": Training(_trained(arguments={"encoder": "mobilenet_v2"})),
    FROM_SCRATCH: Training(_trained(**STAC_EPOCHS), "stac"),
    TRANSFERRED: Training(_trained(**STAC_EPOCHS), "stac"),
}
"""What is trained; `TRANSFERRED` begins with the plain network of the simulated chips."""


@dataclass(frozen=True)
class Grounds:
    """The stores of a seed, in a folder, written once."""

    folder: Path
    seed: int
    more: dict[str, Training] = field(default_factory=dict)

    def scored(self, name: str) -> dict[str, float]:
        """Return the scores of a training."""
        training = {**TRAININGS, **self.more}[name]
        ground = self._ground(training.ground)
        case = self._case(ground)
        unseen = ground if training.ground == "stac" else self._test()
        path = training.learn(case) if name != TRANSFERRED else self._transferred(case)
        return score(case.network(path), unseen / f"{training.seen}.zarr")

    def _case(self, ground: Path) -> Case:
        return Case(
            ground, self.seed, 1, ground / "unlabelled.zarr", data_root("x").parent, STEPS, CHANGES
        )

    def _transferred(self, case: Case) -> Path:
        dense = self._ground("dense")
        plain = PLAIN(self._case(dense))
        return case.trained("transferred", init=plain, **STAC_EPOCHS)

    def _ground(self, kind: str) -> Path:
        folder = self.folder / f"{kind}-{self.seed}"
        if all((folder / f"{name}.zarr").exists() for name in ("labelled", "unlabelled")):
            return folder
        if kind != "stac":
            return write_ground(folder, kind, self.seed)
        folder.mkdir(parents=True, exist_ok=True)
        ground = stac_ground(data_root("x").parent, self.folder, self.seed)
        write_case(ground, FEW_OF_STAC, self.seed, folder)
        return folder

    def _test(self) -> Path:
        folder = self.folder / "test"
        return folder if (folder / "unseen-vh-lost.zarr").exists() else write_test(folder)


def main() -> None:
    """Take what is missing of the given trainings, or of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*TRAININGS, *PAIRS])
    parser.add_argument("--encoder-weights", type=Path, help="ImageNet's, for ResNet-18")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    asked = parser.parse_args()
    more = {}
    if asked.encoder_weights:
        learn = _trained(arguments={"encoder": "resnet18"}, encoder_weights=asked.encoder_weights)
        more = {
            "encoder resnet18": Training(_trained(arguments={"encoder": "resnet18"})),
            "encoder resnet18, ImageNet weights": Training(learn),
        }
    path = RESULTS / "choices.json"
    figures: Figures = read_json(path) if path.exists() else {"iou": {}}
    for seed, training in product(asked.seeds, (*asked.names, *more)):
        taken = figures["iou"].setdefault(training, {})
        if str(seed) in taken:
            continue
        try:
            if training in PAIRS:
                taken[str(seed)] = PAIRS[training](WORK, seed)
            else:
                taken[str(seed)] = Grounds(WORK, seed, more).scored(training)["iou"]
        except RefusedRoundError as refused:
            print(f"{training}, seed {seed}: no figure, {refused}", flush=True)
            continue
        print(f"{training}, seed {seed}: {taken[str(seed)]:.4f}", flush=True)
        seeds = sorted({int(one) for scores in figures["iou"].values() for one in scores})
        record("choices", figures, command="make bench-choices", seeds=seeds)


if __name__ == "__main__":
    set_up_logging()
    main()
