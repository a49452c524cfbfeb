"""Logits and probabilities of one model or an ensemble, with test-time augmentation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from floodloom.errors import CheckpointError
from floodloom.learning.checkpoint import Checkpoint, load_checkpoint
from floodloom.learning.data.augmentation import rotate_and_flip, undo_rotate_and_flip
from floodloom.learning.network import Execution, default_device, keep_memory
from floodloom.learning.relabelling.local_likelihood import LikelihoodWeighting
from floodloom.models.base import Segmenter
from floodloom.models.cropped_decoder import WHOLE, CroppedNetwork, Rim, crop_rim
from floodloom.models.figures import known_figures
from floodloom.models.measure import receptive_field
from floodloom.models.registry import arguments_of, build
from floodloom.raster.recipe import Accepted, Recipe

_PROBE = 64  # px


@dataclass(frozen=True)
class Ensemble:
    """Models of one recipe, each with the temperature that calibrates it.

    With `averages_logits` the probabilities are those of the averaged logits, not averages.
    """

    models: tuple[nn.Module, ...]
    temperatures: tuple[float, ...]
    recipe: Recipe
    classes: tuple[str, ...]
    device: torch.device
    checkpoints: tuple[Checkpoint, ...] = ()
    averages_logits: bool = False

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the inputs: radar bands, and behind them optical channels if it sees any."""
        seen = self.checkpoints[0].channels if self.checkpoints else ()
        return seen or self.recipe.bands

    @property
    def accepts(self) -> Accepted | None:
        """What scenes it takes beside those of its recipe."""
        return self.checkpoints[0].accepts if self.checkpoints else None

    @property
    def likelihood(self) -> LikelihoodWeighting:
        """How the local likelihood of a scene is added to its prediction by this ensemble."""
        return LikelihoodWeighting.of([checkpoint.notes for checkpoint in self.checkpoints])

    def with_joint_temperature(self) -> Ensemble:
        """Return the same ensemble, its logits divided by the temperature of that sum, too.

        So divided, what the networks are sure of isn't lost where it is kept as a percentage.
        """
        joint = self.likelihood.temperature
        return replace(self, temperatures=tuple(own * joint for own in self.temperatures))

    def uncalibrated(self) -> Ensemble:
        """Return the same ensemble with the networks' own logits, which are averaged.

        So Paul and Ganju (2021), arXiv 2107.08369, predict: no temperature divides.
        """
        own = tuple(replace(checkpoint, temperature=1.0) for checkpoint in self.checkpoints)
        alike = (1.0,) * len(self.temperatures)
        return replace(self, temperatures=alike, checkpoints=own, averages_logits=True)

    def samples(self, tta: bool = False) -> int:
        """Return how many predictions are averaged."""
        return len(self.models) * (8 if tta else 1)

    def receptive_field(self) -> int:
        """Return the widest receptive field of the members, px."""
        thin = {_thin(checkpoint) for checkpoint in self.checkpoints}
        return max(_receptive_field(name, json.loads(a), len(self.bands)) for name, a in thin)

    def stride(self) -> int:
        """Return the largest stride of the members, px."""
        return max(getattr(model, "stride", Segmenter.stride) for model in self.models)

    def _calibrated(
        self, image: Tensor, tta: bool, precision: str, rim: Rim = WHOLE
    ) -> Iterator[Tensor]:
        """Logits (N, class, y, x) float32 of each member and view, divided by its temperature."""
        execution = Execution(self.device, bfloat16=precision == "bfloat16", channels_last=True)
        moved = execution.image(image)
        for model, temperature in zip(self.models, self.temperatures, strict=True):
            for element in range(8 if tta else 1):
                view = rotate_and_flip(moved, element)
                view = view.contiguous(memory_format=execution.memory_format)
                with execution.autocast():
                    if element == 0 and isinstance(model, CroppedNetwork):
                        logits = model.cropped_logits(view, rim)
                    else:
                        logits = crop_rim(undo_rotate_and_flip(model(view), element), rim)
                yield logits.float() / temperature

    @torch.inference_mode()
    def logits(self, image: Tensor, *, tta: bool = False, precision: str = "float32") -> Tensor:
        """Return averaged logits.

        Averaging logits instead of probabilities follows Paul and Ganju (2021), arXiv 2107.08369;
        relabelling, which reproduces them, uses it.

        Parameters
        ----------
        image
            (N, band, y, x) float32 without NaN, y and x at least 32 px.
        tta
            Average over the eight symmetries of the square.
        precision
            `float32`, `bfloat16`, or `int8` for networks that are in 8 bits already.

        Returns
        -------
        Tensor
            (N, class, y, x) float32 on the CPU.
        """
        total = torch.zeros((), device=self.device)
        for logits in self._calibrated(image, tta, precision):
            total = total + logits
        return total.cpu() / self.samples(tta)

    @torch.inference_mode()
    def moments(
        self,
        batch: NDArray[np.float32],
        *,
        tta: bool = False,
        precision: str = "float32",
        rim: Rim = WHOLE,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and spread of the calibrated probabilities of all members and views.

        Parameters
        ----------
        batch
            (N, band, y, x) float32, NaN = no data, y and x at least 32 px. The networks see 0
            where there is no data.
        tta, precision
            As for `logits`.
        rim
            What isn't wanted at the top, at the bottom, on the left and on the right, px.

        Returns
        -------
        mean, deviation
            (N, class, y, x) float32 each, without the rim: mean and standard deviation of the class
            probabilities, the latter 0 for a single sample; with `averages_logits` the former are
            the probabilities of the mean logits.
        """
        image = torch.from_numpy(batch).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        views = self._calibrated(image, tta, precision, rim)
        total = next(views)
        mean = total.softmax(dim=1)
        squares = torch.zeros((), device=self.device).expand_as(mean)
        for number, logits in enumerate(views, start=2):
            if self.averages_logits:
                total = total + logits
            probability = logits.softmax(dim=1)
            deviation = probability - mean
            mean = mean + deviation / number
            squares = squares + deviation * (probability - mean)  # Welford (1962)
        spread = squares
        if (count := self.samples(tta)) > 1:
            spread = (squares / count).clamp(min=0).sqrt()
        if self.averages_logits:
            mean = (total / count).softmax(dim=1)
        return mean.cpu().numpy(), spread.cpu().numpy()

    def probabilities(
        self, batch: NDArray[np.float32], *, tta: bool = False, precision: str = "float32"
    ) -> NDArray[np.float32]:
        """Return class probabilities of normalised inputs.

        Parameters
        ----------
        batch, tta, precision
            As for `moments`.

        Returns
        -------
        ndarray
            (N, class, y, x) float32, NaN where any band has no data.
        """
        missing = ~np.isfinite(batch).all(axis=1, keepdims=True)
        mean, _ = self.moments(batch, tta=tta, precision=precision)
        return np.where(missing, np.float32(np.nan), mean)


def load_ensemble(
    paths: str | Path | Sequence[str | Path],
    *,
    threads: int = 1,
    device: torch.device | None = None,
    fused: bool = False,
    optical: bool = False,
) -> Ensemble:
    """Load checkpoints as one ensemble.

    Parameters
    ----------
    paths
        One checkpoint or several.
    threads
        CPU threads of the networks.
    device
        Where they run; a GPU if there is one by default.
    fused
        Whether they may see an optical image beside radar.
    optical
        Whether they must see optical images alone.

    Raises
    ------
    CheckpointError
        If there is none, one can't be read, has other classes, gives nothing that can be used, or
        sees optical channels, if that isn't allowed; even then radar must be among the inputs, and
        all must see the same.
    RecipeMismatchError
        If their recipes differ; the message names the field.
    """
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not several:
        raise CheckpointError("checkpoint: none was given")
    torch.set_num_threads(threads)
    checkpoints = [load_checkpoint(path) for path in several]
    for path, checkpoint in zip(several, checkpoints, strict=True):
        if checkpoint.is_pretrained:
            raise CheckpointError(
                f"{path}: its network was pretrained and has seen no label; train it with "
                "`floodloom train --init`"
            )
        if optical:
            _require_optical(checkpoint, path)
        else:
            _require_radar(checkpoint, path, fused)
        _require_like(checkpoints[0], checkpoint, path)
    ensemble = ensemble_of(checkpoints, device)
    for path, model in zip(several, ensemble.models, strict=True):
        _require_sound(model, len(ensemble.bands), ensemble.device, path)
    return ensemble


def ensemble_of(checkpoints: Sequence[Checkpoint], device: torch.device | None = None) -> Ensemble:
    """Return the ensemble of checkpoints that are known to agree."""
    keep_memory()
    execution = Execution(device or default_device(), channels_last=True)
    return Ensemble(
        tuple(execution.place(checkpoint.model()) for checkpoint in checkpoints),
        tuple(checkpoint.temperature for checkpoint in checkpoints),
        checkpoints[0].recipe,
        checkpoints[0].classes,
        execution.device,
        tuple(checkpoints),
    )


@torch.inference_mode()
def _require_sound(model: nn.Module, bands: int, device: torch.device, path: str | Path) -> None:
    """Refuse a network that overflows, or predicts the same for every pixel, whatever it sees."""
    draw = torch.Generator().manual_seed(0)
    image = torch.randn(1, bands, _PROBE, _PROBE, generator=draw)
    logits = model(image.to(device)).float()
    if not torch.isfinite(logits).all():
        raise CheckpointError(
            f"{path}: its network gives no numbers (NaN or infinity), so it can't separate "
            "water from land; train it again"
        )
    margin = logits[:, 1:] - logits[:, :1]
    if torch.equal(margin.amax(dim=(2, 3)), margin.amin(dim=(2, 3))):
        raise CheckpointError(
            f"{path}: its network predicts the same for every pixel of any input; train it again"
        )


def _thin(checkpoint: Checkpoint) -> tuple[str, str]:
    """The same network with few channels, which has the same receptive field."""
    arguments = dict(checkpoint.arguments)
    if "width" in arguments_of(checkpoint.architecture):
        arguments["width"] = 4
    return checkpoint.architecture, json.dumps(arguments, sort_keys=True)


def _receptive_field(name: str, arguments: dict[str, Any], bands: int) -> int:
    """What is noted of an architecture with its default arguments; of others, what is measured."""
    usual = arguments.keys() <= {"in_channels", "classes", "width"}
    noted = known_figures().get(name) if usual else None
    return noted.receptive_field if noted else receptive_field(build(name, **arguments), bands)


def _require_radar(checkpoint: Checkpoint, path: str | Path, fused: bool) -> None:
    if checkpoint.inputs == "radar" or (fused and checkpoint.inputs == "fused"):
        return
    raise CheckpointError(
        f"{path}: it takes optical channels, so it can't map radar scenes; distill it first"
    )


def _require_optical(checkpoint: Checkpoint, path: str | Path) -> None:
    if checkpoint.inputs != "optical":
        raise CheckpointError(
            f"{path}: takes {checkpoint.inputs} inputs, but optical ones alone are expected; train "
            "it by `teach` with `radar` off"
        )


def _require_like(first: Checkpoint, other: Checkpoint, path: str | Path) -> None:
    if (other.channels, other.statistics) != (first.channels, first.statistics):
        raise CheckpointError(
            f"{path}: sees {', '.join(other.channels or other.recipe.bands)} but the others "
            f"{', '.join(first.channels or first.recipe.bands)}, or scales them otherwise; use "
            "checkpoints of one set of tiles"
        )
    if other.classes != first.classes:
        raise CheckpointError(
            f"{path}: classes are {list(other.classes)} but {list(first.classes)} are expected; "
            "use checkpoints trained on the same classes"
        )
    if other.accepts != first.accepts:
        raise CheckpointError(
            f"{path}: takes other scenes than the others; use checkpoints of one training"
        )
    first.recipe.require_inputs(other.recipe, str(path))
