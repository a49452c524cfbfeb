"""The trainings on OMBRIA that `benchmarks.distill` compares: one student, one budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from floodloom.adapters import chip_tiles
from floodloom.arrays import IGNORE
from floodloom.datasets.ombria import chips
from floodloom.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.optical import (
    drop_optical,
    fuse_optical,
    has_optical,
    paired_samples,
    standardise_optical,
)
from floodloom.learning.data.samples import Samples
from floodloom.learning.data.splits import select
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.distillation.settings import DistillationTerms, DistillSettings
from floodloom.learning.distillation.student import distill_student
from floodloom.learning.distillation.teacher import transfer_weights
from floodloom.learning.inference import ensemble_of
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.network import untrained
from floodloom.learning.training.settings import NetworkSettings, TrainingSettings
from floodloom.learning.training.train import train_checkpoint
from floodloom.models.registry import build

SPLITS = {
    "train": ("train", "target", "validation"),
    "all pairs": ("train", "target", "validation", "unlabelled"),
    "validation": ("validation",),
    "test": ("test",),
}
"""All 624 training chips are trained on with their labels and the last epoch is kept, so nothing is
chosen; the validation chips among them show progress. `all pairs` has those without labels, too."""
RUN = 26
"""Chips with neighbouring numbers show the same event, so labels are hidden by runs of numbers."""
View = Callable[[Samples], Samples]


@dataclass(frozen=True)
class Budget:
    """What every training gets; the teacher's, which is done once, `teacher_times` the epochs.

    Epochs are passes over all training chips; where a training sees fewer, it makes more of them,
    so that its steps are as many. Chips are averaged over `shrink` pixels in each direction first.
    One run of chips in `labelled_run` keeps its labels; `chips` is the most of a split.
    """

    architecture: str = "hourglass"
    epochs: int = 15
    teacher_times: int = 3
    width: int = 16
    batch: int = 4
    learning_rate: float = 1e-3
    optical_drop: float = 0.3
    shrink: int = 1
    labelled_run: int = 1
    chips: int | None = None

    def plan(self, seed: int, times: float = 1) -> TrainingSettings:
        """Return the plan of a training, in bfloat16 so that no measurement chooses."""
        epochs = round(self.epochs * times)
        return TrainingSettings(
            epochs=epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            patience=epochs,
            monitor="epoch",
            balance=0.0,
            precision="bfloat16",
            seed=seed,
        )


def ombria_tiles(root: Path, budget: Budget) -> xr.Dataset:
    """Return OMBRIA as tiles, as small and as few as the budget allows."""
    tiles = shrunk(chip_tiles(chips(root)), budget.shrink)
    if budget.chips is None:
        return tiles
    split = tiles["split"].values
    few = [np.flatnonzero(split == name)[: budget.chips] for name in np.unique(split)]
    return tiles.isel(tile=np.concatenate(few))


def shrunk(tiles: xr.Dataset, factor: int) -> xr.Dataset:
    """Return tiles averaged over `factor` pixels in each direction; half a pixel of flood is flood.

    All of their pixels must be labelled. An optical pixel is NaN where all of its parts are.
    """
    if factor == 1:
        return tiles
    mean = tiles.coarsen(y=factor, x=factor).mean()
    flood = (mean["label"] >= 0.5).astype(tiles["label"].dtype)
    return mean.assign(label=flood).assign_attrs(tiles.attrs)


def few_labelled(tiles: xr.Dataset, one_in: int, seed: int) -> xr.Dataset:
    """Hide the labels of all training chips but one run of numbers in `one_in`, which `seed` names.

    Those with an optical image become the split `unlabelled`, the others are left out.
    """
    if one_in == 1:
        return tiles
    split = tiles["split"].values.astype(object)
    training = np.flatnonzero(split != "test")
    hidden = training[np.arange(len(training)) // RUN % one_in != seed % one_in]
    split[hidden] = np.where(has_optical(tiles)[hidden], "unlabelled", "left out")
    kept = np.setdiff1d(training, hidden)
    split[kept] = np.where(np.arange(len(kept)) % 5 == 0, "validation", "train")
    label = tiles["label"].copy(data=tiles["label"].values.copy())
    label[hidden] = IGNORE
    tiles = tiles.assign(label=label).assign_coords(split=("tile", split.astype(str)))
    return select(tiles, split != "left out")


@dataclass(frozen=True)
class Trainings:
    """The trainings of one seed; `folder` keeps the checkpoints that several of them need."""

    tiles: xr.Dataset
    budget: Budget
    seed: int
    folder: Path

    def plan(self, seen: int, times: int = 1) -> TrainingSettings:
        """Return the plan of a training on so many chips; `times` multiplies the budget's steps."""
        labelled = int(np.isin(self.tiles["split"].values, SPLITS["train"]).sum())
        return self.budget.plan(self.seed, times * self.budget.labelled_run * labelled / seen)

    def samples(self, split: str, tiles: xr.Dataset | None = None) -> Samples:
        """Return the chips of a split with their companions."""
        tiles = self.tiles if tiles is None else tiles
        chosen = select(tiles, np.isin(tiles["split"].values, SPLITS[split]))
        return paired_samples(chosen, standardise_optical(self.tiles))

    def untrained(self, inputs: str, architecture: str = "") -> Checkpoint:
        """Return fresh weights of this seed; the budget's architecture, also within late fusion."""
        architecture = architecture or self.budget.architecture
        network = NetworkSettings(model=architecture, width=self.budget.width)
        optical = None if inputs == "radar" else standardise_optical(self.tiles)
        start = untrained(self.tiles, network, self.seed, optical, fused=inputs == "fused")
        if architecture != "late_fusion":
            return start
        arguments = {**start.arguments, "branch": self.budget.architecture}
        torch.manual_seed(self.seed)
        weights = build(architecture, **arguments).state_dict()
        return replace(start, arguments=arguments, weights=weights)

    def supervised(
        self, start: Checkpoint, view: View, tiles: xr.Dataset | None = None, times: int = 1
    ) -> Checkpoint:
        """Return a checkpoint trained on the labels of the chips as `view` shows them.

        `times` multiplies the budget's epochs.
        """
        drop = self.budget.optical_drop if start.inputs == "fused" else 0.0
        seen = self.samples("train", tiles)
        return train_checkpoint(
            start,
            TrainingSet.of(view(seen), 2),
            view(self.samples("validation", tiles)),
            self.plan(len(seen), times),
            augmentation=Augmentation(sensor_drop=drop, second_sensor=len(start.recipe.bands)),
        )

    def kept(self, name: str, make: Callable[[], Checkpoint]) -> Checkpoint:
        """Return a checkpoint from its file, made first if it isn't there."""
        path = self.folder / f"{name}-{self.seed}.safetensors"
        if not path.exists():
            save_checkpoint(make(), path)
        return load_checkpoint(path)

    def distilled(
        self,
        name: str,
        settings: DistillationTerms,
        *,
        from_teacher: bool = False,
        unlabelled: bool = False,
        as_long: bool = False,
        where_clear: bool = False,
    ) -> Checkpoint:
        """Return the student of a distillation.

        With `from_teacher` it begins with the teacher's weights; with `unlabelled` it is taught on
        pairs without labels, too; with `as_long` it has the teacher's epochs and its own; with
        `where_clear` the teacher counts nowhere else, as one that needs its image does.
        """
        times = self.budget.teacher_times + 1 if as_long else 1

        def make() -> Checkpoint:
            teacher = self.teacher()
            if where_clear:
                teacher = replace(teacher, training={**teacher.training, "sensor_drop": 0.0})
            return self._distilled(teacher, settings, from_teacher, unlabelled, times)

        return self.kept(name, make)

    def plain(self) -> Checkpoint:
        """Return the student without a teacher."""
        return self.kept("plain", lambda: self.supervised(self.untrained("radar"), drop_optical))

    def teacher(self) -> Checkpoint:
        """Return the teacher, which sees radar and optical images."""
        return self.kept(
            "teacher",
            lambda: self.supervised(
                self.untrained("fused"), fuse_optical, times=self.budget.teacher_times
            ),
        )

    def optical(self) -> Checkpoint:
        """Return a network that sees the optical images alone, from the chips that have one."""
        seen = select(self.tiles, has_optical(self.tiles))
        return self.kept(
            "optical",
            lambda: self.supervised(self.untrained("optical"), optical_alone, seen),
        )

    def _distilled(
        self,
        teacher: Checkpoint,
        settings: DistillationTerms,
        from_teacher: bool,
        unlabelled: bool,
        times: int,
    ) -> Checkpoint:
        start = self.untrained("radar")
        seen = self.samples("all pairs" if unlabelled else "train")
        return distill_student(
            start,
            teacher,
            seen,
            drop_optical(self.samples("validation")),  # trained on, so it can't score the teacher
            DistillSettings(**self.plan(len(seen), times).model_dump(), **settings.model_dump()),
            begun=None if from_teacher else start,
            augmentation=Augmentation(),
        )

    def score(self, *seen: tuple[Checkpoint, View]) -> float:
        """Return the pooled flood IoU on the test chips, networks' probabilities averaged."""
        test = self.samples("test")
        return flood_iou([(checkpoint, view(test)) for checkpoint, view in seen])


def optical_alone(samples: Samples) -> Samples:
    """Return tiles whose input is the companion; what it doesn't show isn't labelled."""
    if samples.optical is None or samples.clear is None:
        return samples
    hidden = torch.full_like(samples.label, IGNORE)
    return Samples(samples.optical, torch.where(samples.clear, samples.label, hidden))


def blank(samples: Samples) -> Samples:
    """Return fused tiles whose optical image is lost."""
    seen = fuse_optical(samples)
    image = seen.image.clone()
    image[:, samples.image.shape[1] :] = 0
    return replace(seen, image=image)


def flood_iou(seen: Sequence[tuple[Checkpoint, Samples]]) -> float:
    """Return the IoU of class 1, counts pooled over all tiles, of averaged probabilities."""
    label = seen[0][1].label.numpy()
    matrix = np.zeros((2, 2), dtype=np.int64)
    networks = [(ensemble_of([checkpoint]), samples) for checkpoint, samples in seen]
    for first in range(0, len(label), 8):
        part = slice(first, first + 8)
        mean = sum(net.probabilities(s.image[part].numpy()) for net, s in networks)
        matrix += confusion_matrix(np.asarray(mean).argmax(axis=1), label[part], 2)
    return foreground_scores(matrix)["iou"]


def _fusion(trainings: Trainings) -> dict[str, float]:
    start = trainings.untrained("fused", "late_fusion")
    trained = trainings.supervised(start, fuse_optical)
    return {
        "fusion": trainings.score((trained, fuse_optical)),
        "fusion_without_optical": trainings.score((trained, blank)),
    }


def _plain_as_long(trainings: Trainings) -> dict[str, float]:
    """Return what the student makes of the teacher's epochs and its own, without a teacher."""
    times = trainings.budget.teacher_times + 1
    trained = trainings.supervised(trainings.untrained("radar"), drop_optical, times=times)
    return {"plain_as_long": trainings.score((trained, drop_optical))}


def _pretrained(trainings: Trainings) -> dict[str, float]:
    start = transfer_weights(trainings.untrained("radar"), trainings.teacher())
    return {
        "pretrained": trainings.score((trainings.supervised(start, drop_optical), drop_optical))
    }


SCORES: dict[str, Callable[[Trainings], dict[str, float]]] = {
    "plain": lambda t: {"plain": t.score((t.plain(), drop_optical))},
    "teacher": lambda t: {
        "teacher": t.score((t.teacher(), fuse_optical)),
        "teacher_without_optical": t.score((t.teacher(), blank)),
    },
    "plain_as_long": _plain_as_long,
    "optical": lambda t: {
        "optical": t.score((t.optical(), optical_alone)),
        "two_models": t.score((t.plain(), drop_optical), (t.optical(), optical_alone)),
    },
    "fusion": _fusion,
    "pretrained": _pretrained,
}
"""What is trained beside the distillations, and the scores that each training gives."""
