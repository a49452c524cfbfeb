"""The frozen teacher of a distillation: its logits, features, weights and scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.errors import CheckpointError
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.optical import drop_optical, network_input
from floodloom.learning.data.samples import Samples, Tiles, prefetch_batches
from floodloom.learning.data.zarr_tiles import labelled_tiles, map_tiles, select_tiles
from floodloom.learning.inference import ensemble_of
from floodloom.learning.losses import LOSSES
from floodloom.learning.network import default_device
from floodloom.learning.training.validation import scores_of
from floodloom.models.base import Segmenter

_AT_ONCE = 16


@dataclass(frozen=True)
class FrozenTeacher:
    """A frozen teacher: what it takes, and its features."""

    network: Segmenter
    inputs: str

    @classmethod
    def of(cls, teacher: Checkpoint) -> FrozenTeacher:
        """Return a checkpoint's network, in evaluation mode; its weights never change."""
        network = teacher.model().to(default_device()).eval().requires_grad_(False)
        return cls(network, teacher.inputs)

    @torch.no_grad()
    def features(self, batch: Samples) -> list[Tensor]:
        """Return the features of tiles with their companions, coarsest first."""
        if batch.optical is None:
            raise CheckpointError("tiles: the teacher's features need the optical images")
        return self.network.features(network_input(batch, self.inputs).image)


@torch.inference_mode()
def add_teacher_logits(
    tiles: Tiles,
    teacher: Checkpoint,
    folder: Path | None = None,
) -> Tiles:
    """Return tiles with the teacher's logits as `soft`, the mean over the square's symmetries.

    They are computed once, before training, so no step needs the teacher for them.

    Parameters
    ----------
    tiles
        Tiles with companions; `clear` becomes where the terms count: wherever the radar has data,
        if the teacher works without its optical image.
    teacher
        Checkpoint with optical or fused inputs.
    folder
        Where the logits of tiles on disk are kept, 2 bytes per pixel and class, in a file without a
        name that vanishes with the process; None: where temporary files are.
    """
    if isinstance(tiles, Samples) and (tiles.optical is None or tiles.clear is None):
        return tiles
    counted = map_tiles(tiles, _clear_by_radar) if teacher.works_without_optical else tiles
    uncalibrated = ensemble_of([replace(teacher, temperature=1.0)])
    order = torch.split(torch.arange(len(tiles)), _AT_ONCE)
    logits = (
        uncalibrated.logits(network_input(part, teacher.inputs).image, tta=True).half()
        for part in prefetch_batches(tiles, order)
    )
    if isinstance(counted, Samples):
        return replace(counted, soft=torch.cat(list(logits)))
    return TilesWithLogits.write(counted, logits, folder)


def _clear_by_radar(samples: Samples) -> Samples:
    """Return tiles that count as clear wherever the radar has data."""
    return replace(samples, clear=samples.any_valid)


@dataclass(frozen=True)
class TilesWithLogits:
    """Tiles on disk, and a teacher's logits for them, which lie there, too."""

    tiles: Tiles
    soft: NDArray[np.float16]

    @classmethod
    def write(cls, tiles: Tiles, logits: Iterator[Tensor], folder: Path | None) -> TilesWithLogits:
        """Write logits as they come, in the order of the tiles."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        shape: tuple[int, ...] = ()
        with TemporaryFile(dir=folder) as file:
            for part in logits:
                shape = tuple(part.shape[1:])
                file.write(part.cpu().contiguous().numpy().data)
            file.flush()
            soft = np.memmap(file, dtype=np.float16, mode="r", shape=(len(tiles), *shape))
        return cls(tiles, soft)

    def __len__(self) -> int:
        return len(self.tiles)

    def take(self, index: Tensor) -> Samples:
        """Return the tiles of `index` in its order."""
        soft = torch.from_numpy(np.asarray(self.soft[index.numpy()]))
        return replace(self.tiles.take(index), soft=soft)

    def identity(self) -> str:
        """Return a digest of the tiles, and of the teacher's logits for some."""
        few = torch.linspace(0, len(self) - 1, min(len(self), _AT_ONCE)).long()
        digest = hashlib.sha256(self.tiles.identity().encode())
        digest.update(np.ascontiguousarray(self.soft[few.numpy()]).tobytes())
        return digest.hexdigest()


def compare_with_teacher(
    teacher: Checkpoint, student: Checkpoint, validation: Tiles, loss: str
) -> dict[str, float]:
    """Return the IoU of both, each as it sees them, on clear ground of held-out tiles.

    Nothing if no labelled pixel is clear.
    """
    clear = map_tiles(validation, _on_clear_ground)
    shown = labelled_tiles(clear)
    if not len(shown):
        return {}
    seen = select_tiles(clear, shown)
    views = {
        "teacher": (teacher, map_tiles(seen, partial(network_input, inputs=teacher.inputs))),
        "student": (student, map_tiles(seen, drop_optical)),
    }
    return {
        f"{name}_iou": scores_of(network, view, LOSSES.load(loss).of_logits)["iou"]
        for name, (network, view) in views.items()
    }


def _on_clear_ground(samples: Samples) -> Samples:
    hidden = torch.full_like(samples.label, IGNORE)
    if samples.clear is None:
        return replace(samples, label=hidden)
    return replace(samples, label=torch.where(samples.clear, samples.label, hidden))


def require_teacher(
    teacher: Checkpoint, student: Checkpoint, path: str, *, identical: bool = False
) -> None:
    """Check that a checkpoint can teach.

    Raises
    ------
    CheckpointError
        If it takes no optical channels or has other classes than the student, or if they must be
        `identical` but for their inputs, and aren't.
    RecipeMismatchError
        If it sees radar bands, too, of another recipe.
    """
    if teacher.inputs == "radar" or teacher.classes != student.classes:
        raise CheckpointError(
            f"{path}: takes {teacher.inputs} inputs and has classes {list(teacher.classes)}, but "
            f"optical inputs and {list(student.classes)} are expected; train it with `teach`"
        )
    ours, theirs = (_without_inputs(one) for one in (student, teacher))
    if identical and ours != theirs:
        raise CheckpointError(
            f"{path}: is {_described(*theirs)}, but the student is {_described(*ours)}; with "
            "`distill.student: identical` both must be one, so give them one `model` and `width`"
        )
    if teacher.inputs == "fused":
        student.recipe.require_inputs(teacher.recipe, path)


def _without_inputs(checkpoint: Checkpoint) -> tuple[str, dict[str, Any]]:
    arguments = {k: v for k, v in checkpoint.arguments.items() if k != "in_channels"}
    return checkpoint.architecture, arguments


def _described(architecture: str, arguments: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{k} {v}" for k, v in sorted(arguments.items()) if k != "classes")
    return f"{architecture} ({listed})" if listed else architecture


def transfer_weights(student: Checkpoint, teacher: Checkpoint) -> Checkpoint:
    """Return the student with the teacher's weights wherever their shapes agree.

    Of a first convolution that takes other inputs, a fused teacher gives the radar bands' part;
    that of an optical one is averaged over its channels, so that the response to an input that is
    alike in all of them stays. What has no counterpart keeps the student's fresh weights.
    """
    bands = len(student.recipe.bands)
    first = next((name for name, ours in student.weights.items() if ours.ndim == 4), "")
    weights = {
        name: _transferred(
            ours,
            teacher.weights.get(name),
            bands,
            fused=teacher.inputs == "fused",
            at_input=name == first and teacher.inputs != "radar",
        )
        for name, ours in student.weights.items()
    }
    return replace(student, weights=weights)


def _transferred(
    ours: Tensor, theirs: Tensor | None, bands: int, *, fused: bool, at_input: bool
) -> Tensor:
    """Return the teacher's weights for ours; those that see the inputs mean other things."""
    if theirs is None:
        return ours
    if theirs.shape == ours.shape and not at_input:
        return theirs.clone()
    takes_inputs = ours.ndim == 4 and ours.shape[1] == bands
    if not takes_inputs or theirs.ndim != 4 or theirs[:, 0].shape != ours[:, 0].shape:
        return ours
    if fused:
        return theirs[:, :bands].clone()
    return theirs.sum(dim=1, keepdim=True).expand_as(ours).clone() / bands
