"""The training loop, from top to bottom."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.class_statistics import Survey, survey
from floodloom.learning.data.prefetch import feed
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.learning.data.sampling import Draw, draw_epoch, draw_mixture, sampling_weights
from floodloom.learning.device import Execution, choose_execution, keep_memory
from floodloom.learning.losses.pixels import Loss
from floodloom.learning.losses.semisupervised import Guided
from floodloom.learning.training.distributed import share_normalisation, team
from floodloom.learning.training.ema import followed, moving_average
from floodloom.learning.training.objective import Objective, supervised
from floodloom.learning.training.plan import TrainingPlan
from floodloom.learning.training.state import Machinery, load_state, save_state
from floodloom.learning.training.step import MicroBatch, optimise
from floodloom.learning.training.training_log import LossWatch, Sidecars, bar, tell
from floodloom.learning.training.validation import validate
from floodloom.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True)
class Fitted:
    """The best weights, their validation scores, one record per epoch, and what it ran in."""

    weights: dict[str, Tensor]
    scores: dict[str, float]
    history: tuple[dict[str, Any], ...]
    execution: Execution


def fit(
    module: nn.Module,
    training: Tiles,
    validation: Tiles,
    plan: TrainingPlan,
    *,
    classes: int,
    loss: Loss,
    objective: Objective | Guided | None = None,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
    seen: Survey | None = None,
    places: Sequence[object] = (),
    pseudo: Tensor | None = None,
    settings: object = None,
) -> Fitted:
    """Train a module and keep the weights of the epoch with the best validation score.

    Started by `torchrun` inside `distributed.joined`, each process does its part of every batch;
    all end with the same weights, and the first one writes the sidecars.

    Parameters
    ----------
    module
        What is trained; `module(image)` gives logits. It ends with the best weights.
    training, validation
        Tiles. Ties of the validation score are broken by the validation loss.
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
    seen
        Survey of the training tiles, if it has been made.
    places
        Where each training tile lies, for `plan.space`.
    pseudo
        (tile,) bool: training tiles without true labels. They make up `plan.pseudo_share` of each
        batch and needn't have any label.
    settings
        What else the training depends on, such as that of the loss and the objective, with a
        `repr` that says it all: the state of a training with others isn't taken up.

    Raises
    ------
    TrainingError
        If there is nothing to train or to validate on, labels are wrong, or the loss is no longer
        finite.
    """
    keep_memory()
    # Tiles without labels may still teach otherwise.
    labelled = objective is None and pseudo is None
    seen = seen or survey(training, classes, workers=plan.workers, labelled=labelled)
    survey(validation, classes, "validation", plan.workers)
    objective, sidecars = objective or supervised(loss), sidecars or Sidecars()

    # Numbers are as the seed says, whatever the choice of the execution has drawn.
    crew, micro = team(), MicroBatch(plan.micro_batch or plan.batch)
    probe = training.take(torch.arange(min(plan.batch, 4, len(training)))).image
    execution = crew.agreed(choose_execution(module, probe, plan.precision))
    torch.manual_seed(plan.seed)
    share_normalisation(execution.place(module))
    training = execution.hold(training)
    machinery = _machinery(module, plan, execution)
    identity = (
        _identity(module, training, validation, plan, augmentation, settings)
        if sidecars.state is not None
        else ""
    )
    progress = load_state(sidecars.state, identity, machinery)
    objective = (
        objective.by(followed(machinery.module, machinery.averaged))
        if isinstance(objective, Guided)
        else objective
    )
    weights = sampling_weights(seen.counts, plan.balance, places, plan.space, pseudo)
    steps = math.ceil(len(training) / plan.batch)

    for epoch in range(progress.epochs, plan.epochs):
        started = time.perf_counter()

        # One pass over as many tiles as there are, drawn with replacement.
        module.train()
        watch = LossWatch(epoch + 1)
        draw = _draw(weights, steps, plan, machinery.draw, pseudo).of(crew)
        batches = _batches(training, draw, augmentation, plan.workers, execution, pseudo)
        for step, batch in enumerate(bar(batches, f"epoch {epoch + 1}/{plan.epochs}", steps)):
            _set_rate(machinery.optimizer, plan, epoch * steps + step, plan.epochs * steps)
            watch.see(optimise(machinery, batch, objective, execution, plan, micro), batch.ids)
        trained = time.perf_counter() - started

        # What is validated is what would be kept.
        kept = followed(machinery.module, machinery.averaged)
        record = {"epoch": epoch + 1, "loss": watch.mean()}
        record |= validate(kept, validation, classes, loss, execution, plan.batch, plan.workers)
        record["learning_rate"] = machinery.optimizer.param_groups[0]["lr"]
        record["steps_per_second"] = round(steps / trained, 3)
        record["seconds"] = round(time.perf_counter() - started, 2)
        progress = progress.after(record, kept, plan.monitor)
        if crew.leads:
            tell(progress, plan.epochs, sidecars)
            save_state(sidecars.state, identity, progress, machinery)
        if progress.epochs - progress.best_epoch >= plan.patience:
            _log.info("no better validation %s for %d epochs: stopped", plan.monitor, plan.patience)
            break

    module.load_state_dict(progress.best_weights)
    if sidecars.state is not None and crew.leads:
        sidecars.state.unlink(missing_ok=True)
    return Fitted(progress.best_weights, _scores(progress.best), progress.history, execution)


def _machinery(module: nn.Module, plan: TrainingPlan, execution: Execution) -> Machinery:
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=execution.device.type == "cuda",
    )
    return Machinery(
        module,
        moving_average(module, plan.average),
        optimizer,
        torch.Generator().manual_seed(plan.seed),
    )


def _identity(module: nn.Module, training: Tiles, validation: Tiles, *settings: object) -> str:
    """Return a digest of where a training starts, of what it sees and of how it goes."""
    digest = hashlib.sha256(f"{settings!r}{training.identity()}{validation.identity()}".encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _batches(
    tiles: Tiles,
    draw: Draw,
    augmentation: Augmentation | None,
    workers: int,
    execution: Execution,
    pseudo: Tensor | None = None,
) -> Iterator[Samples]:
    """Yield the batches of an epoch on the device, read ahead there and changed there.

    The tiles to mix in are read with the batch they go into.
    """
    size = draw.tile.shape[1]
    order: Iterable[Tensor] = draw.tile
    if augmentation is not None and augmentation.cutmix > 0:
        order = (
            torch.cat([tile, partner[augmentation.mixes(seeds)]])
            for tile, partner, seeds in zip(draw.tile, draw.partner, draw.seed, strict=True)
        )
    read = feed(tiles, order, workers, pin=execution.pins(tiles))
    for both, seeds, tiles_drawn in zip(read, draw.seed, draw.tile, strict=True):
        moved = both.to(execution.device)
        batch, partners = moved.between(0, size), moved.between(size, len(moved))
        if augmentation is not None:
            batch = augmentation(batch, seeds, partners)
        if pseudo is not None:
            batch = replace(batch, pseudo=pseudo[tiles_drawn].to(execution.device))
        yield execution.samples(batch)


def _draw(
    weights: Tensor,
    steps: int,
    plan: TrainingPlan,
    generator: torch.Generator,
    pseudo: Tensor | None,
) -> Draw:
    if pseudo is None:
        return draw_epoch(weights, steps, plan.batch, generator)
    return draw_mixture(weights, pseudo, plan.pseudo_share, steps, plan.batch, generator)


def _set_rate(optimizer: torch.optim.Optimizer, plan: TrainingPlan, step: int, total: int) -> None:
    rising = max(round(plan.warm_up * total), 1)
    if step < rising:
        factor = (step + 1) / rising
    else:
        factor = 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * factor


def _scores(record: dict[str, Any]) -> dict[str, float]:
    aside = ("epoch", "loss", "learning_rate", "steps_per_second", "seconds")
    return {name: value for name, value in record.items() if name not in aside}
