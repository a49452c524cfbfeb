"""The training loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from floodloom.errors import TrainingError
from floodloom.learning.augment import Augmentation
from floodloom.learning.data import Samples, sampling_weights
from floodloom.learning.device import Execution, choose_execution
from floodloom.learning.losses import Loss
from floodloom.learning.metrics import confusion_matrix, foreground_scores
from floodloom.learning.state import TrainingState, load_state, save_state
from floodloom.log import get_logger

_log = get_logger(__name__)

Objective = Callable[[nn.Module, Samples], Tensor]
"""From the trained module and a batch to the loss."""


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes
    ----------
    epochs, batch
        Passes over as many tiles as there are, and tiles per step.
    learning_rate, weight_decay
        Of AdamW; the rate rises linearly over `warm_up` of all steps, then falls as a cosine.
    clip
        Greatest norm of the gradient.
    patience
        Epochs without a better validation IoU after which training stops.
    balance
        See `floodloom.learning.data.sampling_weights`.
    average
        Decay of the moving average of the weights that is validated and kept; 0 keeps the weights.
    precision
        See `floodloom.learning.device.choose_execution`.
    seed
        Of the weights, the draw and the augmentation.
    """

    epochs: int = 15
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.05
    clip: float = 1.0
    patience: int = 10
    balance: float = 0.5
    average: float = 0.0
    precision: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Fitted:
    """The best weights, their validation scores, one record per epoch, and what it ran in."""

    weights: dict[str, Tensor]
    scores: dict[str, float]
    history: list[dict[str, Any]]
    execution: str


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
    journal: Path | None = None,
    state: Path | None = None,
) -> Fitted:
    """Train a module and keep the weights of the epoch with the best validation IoU.

    Parameters
    ----------
    module
        What is trained; `module(image)` gives logits. It ends with the best weights.
    training, validation
        Tiles. Ties of the IoU are broken by the validation loss.
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
    journal
        JSON-lines file that gets one record per epoch as it ends.
    state
        File that allows a killed training to go on from its last epoch; removed at the end.

    Raises
    ------
    TrainingError
        If there is nothing to train or to validate on, or the loss is no longer finite.
    """
    if not len(training) or not len(validation):
        raise TrainingError("tiles: training and validation both need at least one tile")
    objective = objective or supervised(loss)
    torch.manual_seed(plan.seed)
    execution = choose_execution(module, training.image[: min(plan.batch, 4)], plan.precision)
    torch.manual_seed(plan.seed)
    execution.place(module)
    averaged = _averaged(module, plan.average)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    draw = torch.Generator().manual_seed(plan.seed)
    weights = sampling_weights(training.label, classes, plan.balance)
    steps = math.ceil(len(training) / plan.batch)
    identity = json.dumps([repr(plan), len(training), len(validation), float(training.image.sum())])
    progress = load_state(state, identity, module, averaged, optimizer, draw)

    for epoch in range(progress.epoch, plan.epochs):
        started = time.perf_counter()
        module.train()
        total = 0.0
        for step, batch in enumerate(_batches(training, weights, plan.batch, steps, draw)):
            batch = augmentation(batch, draw) if augmentation else batch
            _set_rate(optimizer, plan, epoch * steps + step, steps)
            value = _step(module, batch, objective, optimizer, execution, plan.clip)
            if averaged is not None:
                averaged.update_parameters(module)
            total += value
        candidate = module if averaged is None else averaged.module
        scores = validate(candidate, validation, classes, loss, execution, plan.batch)
        record = {
            "epoch": epoch + 1,
            "loss": total / steps,
            "learning_rate": optimizer.param_groups[0]["lr"],
            **scores,
            "seconds": round(time.perf_counter() - started, 2),
        }
        progress = progress.after(record, candidate)
        _report(record, plan.epochs, progress.history, journal)
        save_state(state, identity, progress, module, averaged, optimizer, draw)
        if epoch + 1 - progress.best_epoch >= plan.patience:
            _log.info("no better validation IoU for %d epochs: stopped", plan.patience)
            break

    module.load_state_dict(progress.best_weights)
    if state is not None:
        state.unlink(missing_ok=True)
    best = progress.history[progress.best_epoch - 1]
    chosen = {name: best[name] for name in ("iou", "f1", "precision", "recall", "validation_loss")}
    return Fitted(progress.best_weights, chosen, list(progress.history), str(execution))


def supervised(loss: Loss) -> Objective:
    """Return the objective that is the loss of the module's logits."""

    def objective(module: nn.Module, batch: Samples) -> Tensor:
        return loss(module(batch.image).float(), batch.label.long())

    return objective


def _averaged(module: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _batches(
    samples: Samples, weights: Tensor, size: int, steps: int, draw: torch.Generator
) -> Iterator[Samples]:
    drawn = torch.multinomial(weights, steps * size, replacement=True, generator=draw)
    for index in drawn.split(size):
        yield samples.take(index)


def _set_rate(
    optimizer: torch.optim.Optimizer, plan: TrainingPlan, step: int, steps_per_epoch: int
) -> None:
    total = plan.epochs * steps_per_epoch
    rising = max(round(plan.warm_up * total), 1)
    if step < rising:
        factor = (step + 1) / rising
    else:
        factor = 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * factor


def _step(
    module: nn.Module,
    batch: Samples,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    execution: Execution,
    clip: float,
) -> float:
    moved = batch.to(execution.device)
    moved = Samples(execution.image(moved.image), moved.label, moved.optical, moved.clear)
    optimizer.zero_grad(set_to_none=True)
    with execution.autocast():
        value = objective(module, moved)
    value.backward()
    nn.utils.clip_grad_norm_(module.parameters(), clip)
    number = float(value.detach())
    if not math.isfinite(number):
        raise TrainingError(
            f"the loss became {number}; lower `learning_rate` or set `precision: float32`"
        )
    optimizer.step()
    return number


@torch.inference_mode()
def validate(
    module: nn.Module,
    samples: Samples,
    classes: int,
    loss: Loss,
    execution: Execution,
    batch: int = 8,
) -> dict[str, float]:
    """Return pooled foreground scores and the mean loss of a module on tiles."""
    module.eval()
    matrix = np.zeros((classes, classes), dtype=np.int64)
    total = 0.0
    for index in torch.arange(len(samples)).split(batch):
        part = samples.take(index)
        with execution.autocast():
            logits = module(execution.image(part.image)).float()
        total += float(loss(logits, part.label.long().to(execution.device))) * len(index)
        prediction = logits.argmax(dim=1).cpu().numpy()
        matrix += confusion_matrix(prediction, part.label.numpy(), classes)
    return {"validation_loss": total / len(samples), **foreground_scores(matrix)}


def _report(
    record: dict[str, Any], epochs: int, history: list[dict[str, Any]], journal: Path | None
) -> None:
    _log.info(
        "epoch %d/%d: loss %.4f, validation loss %.4f, IoU %.4f, %.1f s",
        record["epoch"], epochs, record["loss"], record["validation_loss"], record["iou"],
        record["seconds"],
    )  # fmt: skip
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_text("".join(json.dumps(row) + "\n" for row in history))
