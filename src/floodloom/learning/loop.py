"""The training loop."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import swa_utils

from floodloom.errors import TrainingError
from floodloom.learning.augment import Augmentation
from floodloom.learning.data import Samples, sampling_weights
from floodloom.learning.device import Execution, choose_execution
from floodloom.learning.losses import Loss
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.state import Machinery, Progress, load_state, save_state
from floodloom.learning.validation import validate
from floodloom.log import get_logger

_log = get_logger(__name__)

Objective = Callable[[nn.Module, Samples], Tensor]
"""From the trained module and a batch to what is minimised."""


@dataclass(frozen=True)
class Fitted:
    """The best weights, their validation scores, one record per epoch, and what it ran in."""

    weights: dict[str, Tensor]
    scores: dict[str, float]
    history: tuple[dict[str, Any], ...]
    execution: Execution


@dataclass(frozen=True)
class Sidecars:
    """Files beside the output: one JSON line per epoch, and the state of a killed training."""

    journal: Path | None = None
    state: Path | None = None

    @classmethod
    def of(cls, out: Path) -> Sidecars:
        """Return the usual names beside `out`."""
        return cls(out.with_suffix(".history.jsonl"), out.with_suffix(".state.safetensors"))


def fit(
    module: nn.Module,
    training: Samples,
    validation: Samples,
    plan: TrainingPlan,
    *,
    classes: int,
    loss: Loss,
    objective: Objective | None = None,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
) -> Fitted:
    """Train a module and keep the weights of the epoch with the best validation IoU.

    Parameters
    ----------
    module
        What is trained; `module(image)` gives logits. It ends with the best weights.
    training, validation
        Tiles. Ties of the validation IoU are broken by the validation loss.
    plan
        How to train.
    classes
        Number of classes.
    loss
        Of logits and labels.
    objective
        What is minimised; the loss on the batch by default.
    augmentation
        Of the training tiles.
    sidecars
        Where to write the history as it grows, and the state from which to go on after a kill.

    Raises
    ------
    TrainingError
        If there is nothing to train or to validate on, or the loss is no longer finite.
    """
    if not len(training) or not len(validation):
        raise TrainingError("tiles: training and validation both need at least one labelled tile")
    objective, sidecars = objective or supervised(loss), sidecars or Sidecars()

    # Numbers are as the seed says, whatever the choice of the execution has drawn.
    execution = choose_execution(module, training.image[: min(plan.batch, 4)], plan.precision)
    torch.manual_seed(plan.seed)
    execution.place(module)
    machinery = _machinery(module, plan)
    identity = _identity(plan, training, validation)
    progress = load_state(sidecars.state, identity, machinery)
    weights = sampling_weights(training.label, classes, plan.balance)
    steps = math.ceil(len(training) / plan.batch)

    for epoch in range(progress.epochs, plan.epochs):
        started = time.perf_counter()

        # One pass over as many tiles as there are, drawn with replacement.
        module.train()
        total = 0.0
        for step, batch in enumerate(_batches(training, weights, plan.batch, steps, machinery)):
            changed = augmentation(batch, machinery.draw) if augmentation else batch
            _set_rate(machinery.optimizer, plan, epoch * steps + step, plan.epochs * steps)
            total += _step(machinery, changed, objective, execution, plan.clip)

        # What is validated is what would be kept.
        kept = _kept(machinery)
        scores = validate(kept, validation, classes, loss, execution, plan.batch)
        record = {"epoch": epoch + 1, "loss": total / steps, **scores}
        record["learning_rate"] = machinery.optimizer.param_groups[0]["lr"]
        record["seconds"] = round(time.perf_counter() - started, 2)
        progress = progress.after(record, kept)
        _tell(progress, plan.epochs, sidecars.journal)
        save_state(sidecars.state, identity, progress, machinery)
        if progress.epochs - progress.best_epoch >= plan.patience:
            _log.info("no better validation IoU for %d epochs: stopped", plan.patience)
            break

    module.load_state_dict(progress.best_weights)
    if sidecars.state is not None:
        sidecars.state.unlink(missing_ok=True)
    return Fitted(progress.best_weights, _scores(progress.best), progress.history, execution)


def supervised(loss: Loss) -> Objective:
    """Return the objective that is the loss of the module's logits."""

    def objective(module: nn.Module, batch: Samples) -> Tensor:
        return loss(module(batch.image).float(), batch.label.long())

    return objective


def _machinery(module: nn.Module, plan: TrainingPlan) -> Machinery:
    averaged = None
    if plan.average:
        follow = swa_utils.get_ema_multi_avg_fn(plan.average)  # type: ignore[no-untyped-call]
        averaged = swa_utils.AveragedModel(module, multi_avg_fn=follow, use_buffers=True)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    return Machinery(module, averaged, optimizer, torch.Generator().manual_seed(plan.seed))


def _identity(plan: TrainingPlan, training: Samples, validation: Samples) -> str:
    digest = hashlib.sha256(repr(plan).encode())
    for samples in (training, validation):
        digest.update(samples.image.numpy().tobytes())
        digest.update(samples.label.numpy().tobytes())
    return digest.hexdigest()


def _batches(
    samples: Samples, weights: Tensor, size: int, steps: int, machinery: Machinery
) -> Iterator[Samples]:
    drawn = torch.multinomial(weights, steps * size, replacement=True, generator=machinery.draw)
    for first in range(0, steps * size, size):
        yield samples.take(drawn[first : first + size])


def _set_rate(optimizer: torch.optim.Optimizer, plan: TrainingPlan, step: int, total: int) -> None:
    rising = max(round(plan.warm_up * total), 1)
    if step < rising:
        factor = (step + 1) / rising
    else:
        factor = 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * factor


def _step(
    machinery: Machinery, batch: Samples, objective: Objective, execution: Execution, clip: float
) -> float:
    moved = batch.to(execution.device)
    moved = Samples(execution.image(moved.image), moved.label, moved.optical, moved.clear)
    machinery.optimizer.zero_grad(set_to_none=True)
    with execution.autocast():
        value = objective(machinery.module, moved)
    value.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(machinery.module.parameters(), clip)
    number = float(value.detach())
    if not math.isfinite(number):
        raise TrainingError(
            f"the loss became {number}; lower `learning_rate` or set `precision: float32`"
        )
    machinery.optimizer.step()
    if isinstance(machinery.averaged, swa_utils.AveragedModel):
        machinery.averaged.update_parameters(machinery.module)
    return number


def _kept(machinery: Machinery) -> nn.Module:
    if isinstance(machinery.averaged, swa_utils.AveragedModel):
        averaged: nn.Module = machinery.averaged.module
        return averaged
    return machinery.module


def _scores(record: dict[str, Any]) -> dict[str, float]:
    names = ("iou", "f1", "precision", "recall", "validation_loss")
    return {name: record[name] for name in names}


def _tell(progress: Progress, epochs: int, journal: Path | None) -> None:
    record = progress.history[-1]
    _log.info(
        "epoch %d/%d: loss %.4f, validation loss %.4f, IoU %.4f, %.1f s",
        record["epoch"],
        epochs,
        record["loss"],
        record["validation_loss"],
        record["iou"],
        record["seconds"],
    )
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_text("".join(json.dumps(row) + "\n" for row in progress.history))
