"""The training loop, from top to bottom: the epochs, a step, the objective."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from floodloom.arrays import IGNORE
from floodloom.errors import TrainingError
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Samples, Tiles, prefetch_batches
from floodloom.learning.data.training_set import (
    Draw,
    TrainingSet,
    class_statistics,
    draw_epoch,
    draw_mixture,
    sampling_weights,
)
from floodloom.learning.loss import Loss, Prediction
from floodloom.learning.losses import LOSSES
from floodloom.learning.network import Execution, choose_execution, keep_memory
from floodloom.learning.training import distributed
from floodloom.learning.training.adamw import AdamW
from floodloom.learning.training.schedule import set_rate
from floodloom.learning.training.settings import TrainingSettings
from floodloom.learning.training.state import (
    Progress,
    RunningLoss,
    Sidecars,
    TrainingState,
    load_state,
    log_epoch,
    moving_average,
    progress_bar,
    save_state,
)
from floodloom.learning.training.validation import validate
from floodloom.log import get_logger

_log = get_logger(__name__)
CLIP = 1.0
"""Greatest norm of the gradient."""


class Objective(Protocol):
    """What is minimised; its `repr` is the same in every process."""

    def __call__(
        self,
        module: nn.Module,
        batch: Samples,
        *,
        loss: Loss,
        averaged: nn.Module,
        progress: float = 1.0,
    ) -> Tensor:
        """Return what is minimised on a batch, ().

        Parameters
        ----------
        module
            What is trained.
        batch
            Tiles on the device.
        loss
            Of the labelled tiles.
        averaged
            The moving average of the module's weights; the module where there is none.
        progress
            Share of the steps that are done, 0-1.
        """
        ...


@dataclass(frozen=True)
class Supervised:
    """The loss of the labelled tiles alone."""

    def __call__(
        self,
        module: nn.Module,
        batch: Samples,
        *,
        loss: Loss,
        averaged: nn.Module,
        progress: float = 1.0,
    ) -> Tensor:
        """Return the loss."""
        return loss(Prediction(module, batch.image), batch)


@dataclass(frozen=True)
class Fitted:
    """The best weights, their validation scores, one record per epoch, and what it ran in."""

    weights: dict[str, Tensor]
    scores: dict[str, float]
    history: tuple[dict[str, Any], ...]
    execution: Execution


def fit(
    module: nn.Module,
    training: TrainingSet,
    validation: Tiles,
    settings: TrainingSettings,
    *,
    objective: Objective | None = None,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
) -> Fitted:
    """Train a module and keep the weights of the epoch with the best validation score.

    Started by `torchrun` inside `distributed.join_processes`, each process does its part of every
    batch; all end with the same weights, and the first one writes the sidecars.

    Parameters
    ----------
    module
        What is trained; `module(image)` gives logits. It ends with the best weights.
    training, validation
        Tiles. Ties of the validation score are broken by the validation loss.
    settings
        How to train. A state is taken up only where the `repr` of these is the same, too, so a
        stage gives all of its settings.
    objective
        What is minimised; the loss by default.
    augmentation
        Of the training tiles.
    sidecars
        Where to write the history as it grows, and the state from which to go on after a kill.

    Raises
    ------
    TrainingError
        If there is nothing to validate on, labels are wrong, or the loss is no longer finite.
    """
    keep_memory()
    class_statistics(validation, training.classes, "validation")
    loss = LOSSES.load(settings.loss).weigh_classes(training.statistics.class_fractions)
    objective, sidecars = objective or Supervised(), sidecars or Sidecars()

    processes = distributed.processes()
    execution = processes.from_first(choose_execution(module, settings.precision))
    torch.manual_seed(settings.seed)
    distributed.synchronise_batchnorm(execution.place(module))
    training = replace(training, tiles=execution.hold(training.tiles))
    state = _initial_state(module, settings, execution)

    # A state of the very same training is taken up.
    identity = ""
    if sidecars.state is not None:
        identity = _identity(
            module, training, validation, settings, execution, objective, augmentation
        )
    progress = load_state(sidecars.state, identity, state)
    processes.require_same_epoch(progress.epochs)
    weights = sampling_weights(training.statistics.counts, settings.balance, training.pseudo)
    steps = math.ceil(len(training.tiles) / settings.batch)
    step = _Step(state, state.kept, objective, loss, execution, settings.batch)

    for epoch in range(progress.epochs, settings.epochs):
        started = time.perf_counter()

        # One pass over as many tiles as there are, drawn with replacement.
        draw = _draw(weights, steps, training, settings.batch, state.generator).of(processes)
        batches = _batches(training, draw, augmentation, execution)
        mean_loss = _run_epoch(step, batches, epoch, steps, settings)
        trained = time.perf_counter() - started

        # What is validated is what would be kept.
        kept = step.kept
        record = {"epoch": epoch + 1, "loss": mean_loss}
        scored = training.classes, loss.of_logits, execution, settings.batch
        record |= validate(kept, validation, *scored)
        record["learning_rate"] = state.optimizer.param_groups[0]["lr"]
        record["steps_per_second"] = round(steps / trained, 3)
        record["seconds"] = round(time.perf_counter() - started, 2)
        progress = progress.after(record, kept, settings.monitor)
        if processes.is_first:
            log_epoch(progress, settings.epochs, sidecars)
            save_state(sidecars.state, identity, progress, state)
        if _is_exhausted(progress, settings):
            break

    return _finish(module, progress, sidecars, execution)


def _is_exhausted(progress: Progress, settings: TrainingSettings) -> bool:
    """Return whether the patience for a better epoch has come to its end."""
    if progress.epochs - progress.best_epoch < settings.patience:
        return False
    _log.info("no better %s for %d epochs: stopped", settings.monitor, settings.patience)
    return True


def _run_epoch(
    step: _Step, batches: Iterator[Samples], epoch: int, steps: int, settings: TrainingSettings
) -> float:
    """Take the steps of an epoch and return the mean loss."""
    state, running = step.state, RunningLoss(epoch + 1)
    state.module.train()
    described = f"epoch {epoch + 1}/{settings.epochs}"
    for number, batch in enumerate(progress_bar(batches, described, steps), epoch * steps):
        total = settings.epochs * steps
        set_rate(state.optimizer, settings, number, total)
        running.add(step(batch, number / total), batch.ids)
    return running.mean()


def _initial_state(
    module: nn.Module, settings: TrainingSettings, execution: Execution
) -> TrainingState:
    optimizer = AdamW(
        module.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=execution.device.type == "cuda",
    )
    averaged = moving_average(module, settings.average)
    return TrainingState(module, averaged, optimizer, torch.Generator().manual_seed(settings.seed))


def _finish(
    module: nn.Module, progress: Progress, sidecars: Sidecars, execution: Execution
) -> Fitted:
    """Put the best weights into the module, and remove the state."""
    module.load_state_dict(progress.best_weights)
    if sidecars.state is not None and distributed.processes().is_first:
        sidecars.state.unlink(missing_ok=True)
    aside = ("epoch", "loss", "learning_rate", "steps_per_second", "seconds")
    scores = {name: value for name, value in progress.best.items() if name not in aside}
    return Fitted(progress.best_weights, scores, progress.history, execution)


def _identity(
    module: nn.Module, training: TrainingSet, validation: Tiles, *settings: object
) -> str:
    """Return a digest of where a training starts, of its tiles and of how it goes."""
    tiles = f"{training.tiles.identity()}{validation.identity()}"
    digest = hashlib.sha256(f"{settings!r}{tiles}".encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _draw(
    weights: Tensor, steps: int, training: TrainingSet, batch: int, generator: torch.Generator
) -> Draw:
    if training.pseudo is None:
        return draw_epoch(weights, steps, batch, generator)
    return draw_mixture(weights, training.pseudo, steps, batch, generator)


def _batches(
    training: TrainingSet,
    draw: Draw,
    augmentation: Augmentation | None,
    execution: Execution,
) -> Iterator[Samples]:
    """Yield the batches of an epoch on the device, read ahead, and augmented there.

    The tiles to mix in are read with the batch they go into.
    """
    size = draw.tile.shape[1]
    order: Iterable[Tensor] = draw.tile
    if augmentation is not None and augmentation.cutmix > 0:
        order = (
            torch.cat([tile, partner[augmentation.mixes(seeds)]])
            for tile, partner, seeds in zip(draw.tile, draw.partner, draw.seed, strict=True)
        )
    pin = execution.pins(training.tiles)
    read = prefetch_batches(training.tiles, order, pin=pin)
    for both, seeds, tiles in zip(read, draw.seed, draw.tile, strict=True):
        on_device = both.to(execution.device)
        batch = on_device.between(0, size)
        if augmentation is not None:
            batch = augmentation(batch, seeds, on_device.between(size, len(on_device)))
        if training.pseudo is not None:
            batch = replace(batch, pseudo=training.pseudo[tiles].to(execution.device))
        yield execution.samples(batch)


@dataclass
class _Step:
    """One step of the optimiser, in as many parts as the memory asks for.

    `kept` is the module whose weights are validated: the moving average, if there is one. `size`
    is how many tiles go through the network at once; it only ever shrinks.
    """

    state: TrainingState
    kept: nn.Module
    objective: Objective
    loss: Loss
    execution: Execution
    size: int

    def __call__(self, batch: Samples, progress: float = 1.0) -> Tensor:
        """Update the weights by one batch and return its loss, () on the device.

        `progress` is the share of all steps that are done, 0-1.

        Raises
        ------
        TrainingError
            If not even one tile fits into the GPU's memory.
        """
        module = self.state.module

        # A GPU that runs out of memory leaves traces in the statistics of batch normalisation.
        buffers = [buffer.clone() for buffer in module.buffers()]
        while (value := self._gradients(batch, progress)) is None:
            self._halve()
            torch.cuda.empty_cache()
            for buffer, before in zip(module.buffers(), buffers, strict=True):
                buffer.copy_(before)

        distributed.sum_gradients(module)
        nn.utils.clip_grad_norm_(module.parameters(), CLIP)
        self.state.optimizer.step()
        if self.state.averaged is not None:
            self.state.averaged.update_parameters(module)
        return value

    def _gradients(self, batch: Samples, progress: float) -> Tensor | None:
        """Compute the gradients of a batch in parts; None if the GPU's memory is too small."""
        self.state.optimizer.zero_grad(set_to_none=True)
        parts = batch.split(self.size)
        value = torch.zeros((), device=self.execution.device)
        with suppress(torch.OutOfMemoryError):
            for part, weight in zip(parts, part_weights(parts), strict=True):
                with self.execution.autocast():
                    minimised = self.objective(
                        self.state.module,
                        part,
                        loss=self.loss,
                        averaged=self.kept,
                        progress=progress,
                    )
                    weighted = weight * minimised
                weighted.backward()
                value = value + weighted.detach()
            return value
        return None

    def _halve(self) -> None:
        """Go on with half as many tiles at once."""
        if distributed.processes().size > 1:
            raise TrainingError(
                f"out of GPU memory with {self.size} tiles at once; lower `batch`, or take one "
                "process, which adds up the gradients of fewer tiles by itself"
            )
        if self.size == 1:
            raise TrainingError(
                "out of GPU memory with one tile at once; cut smaller tiles or lower `width`"
            )
        self.size = math.ceil(self.size / 2)
        _log.warning("out of GPU memory: gradients are now added up over %d tiles", self.size)


def part_weights(parts: list[Samples]) -> Tensor:
    """Return what the parts of a batch weigh (part,), so that together they are the whole.

    They weigh by their labelled pixels, as losses are means over these; by their tiles where those
    without labels teach as well.
    """
    if parts[0].pseudo is not None or parts[0].soft is not None:
        sizes = torch.tensor([float(len(part)) for part in parts], device=parts[0].label.device)
        return sizes / sizes.sum()
    counts = torch.stack([(part.label != IGNORE).sum() for part in parts]).float()
    labelled = distributed.sum_over_processes(counts)
    alike = torch.full_like(labelled, 1 / len(parts))
    return torch.where(labelled.sum() > 0, labelled / labelled.sum().clamp(min=1), alike)
