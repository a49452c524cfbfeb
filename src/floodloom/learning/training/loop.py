"""The training loop, from top to bottom."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
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
from floodloom.learning.training.settings import TrainingSettings
from floodloom.learning.training.state import Machinery, load_state, save_state
from floodloom.learning.training.step import MicroBatch, optimise
from floodloom.learning.training.training_log import LossWatch, Sidecars, bar, tell
from floodloom.learning.training.validation import validate
from floodloom.log import get_logger

_log = get_logger(__name__)
WARM_UP = 0.05
"""Share of all steps over which the rate rises linearly, before it falls as a cosine to 0."""


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
    settings: TrainingSettings,
    *,
    classes: int,
    loss: Loss,
    objective: Objective | Guided | None = None,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
    seen: Survey | None = None,
    pseudo: Tensor | None = None,
    pseudo_share: float | None = 0.5,
    depends_on: object = None,
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
    settings
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
    pseudo
        (tile,) bool: training tiles without true labels, which needn't have any label.
    pseudo_share
        Share of each batch that they make up; None: that of all tiles.
    depends_on
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
    seen = seen or survey(training, classes, workers=settings.workers, labelled=labelled)
    survey(validation, classes, "validation", settings.workers)
    objective, sidecars = objective or supervised(loss), sidecars or Sidecars()

    crew, micro = team(), MicroBatch(settings.micro_batch or settings.batch)
    execution = crew.agreed(choose_execution(module, settings.precision))
    torch.manual_seed(settings.seed)
    share_normalisation(execution.place(module))
    training = execution.hold(training)
    machinery = _machinery(module, settings, execution)
    identity = (
        _identity(
            module,
            training,
            validation,
            settings,
            execution,
            augmentation,
            (depends_on, pseudo_share),
        )
        if sidecars.state is not None
        else ""
    )
    progress = load_state(sidecars.state, identity, machinery)
    objective = (
        objective.by(followed(machinery.module, machinery.averaged))
        if isinstance(objective, Guided)
        else objective
    )
    weights = sampling_weights(seen.counts, settings.balance, pseudo)
    steps = math.ceil(len(training) / settings.batch)

    for epoch in range(progress.epochs, settings.epochs):
        started = time.perf_counter()

        # One pass over as many tiles as there are, drawn with replacement.
        module.train()
        watch = LossWatch(epoch + 1)
        draw = _draw(weights, steps, settings.batch, machinery.draw, pseudo, pseudo_share).of(crew)
        batches = _batches(training, draw, augmentation, settings.workers, execution, pseudo)
        for step, batch in enumerate(bar(batches, f"epoch {epoch + 1}/{settings.epochs}", steps)):
            _set_rate(machinery.optimizer, settings, epoch * steps + step, settings.epochs * steps)
            watch.see(optimise(machinery, batch, objective, execution, micro), batch.ids)
        trained = time.perf_counter() - started

        # What is validated is what would be kept.
        kept = followed(machinery.module, machinery.averaged)
        record = {"epoch": epoch + 1, "loss": watch.mean()}
        record |= validate(
            kept, validation, classes, loss, execution, settings.batch, settings.workers
        )
        record["learning_rate"] = machinery.optimizer.param_groups[0]["lr"]
        record["steps_per_second"] = round(steps / trained, 3)
        record["seconds"] = round(time.perf_counter() - started, 2)
        progress = progress.after(record, kept, settings.monitor)
        if crew.leads:
            tell(progress, settings.epochs, sidecars)
            save_state(sidecars.state, identity, progress, machinery)
        if progress.epochs - progress.best_epoch >= settings.patience:
            _log.info(
                "no better validation %s for %d epochs: stopped",
                settings.monitor,
                settings.patience,
            )
            break

    module.load_state_dict(progress.best_weights)
    if sidecars.state is not None and crew.leads:
        sidecars.state.unlink(missing_ok=True)
    return Fitted(progress.best_weights, _scores(progress.best), progress.history, execution)


def _machinery(module: nn.Module, settings: TrainingSettings, execution: Execution) -> Machinery:
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=execution.device.type == "cuda",
    )
    return Machinery(
        module,
        moving_average(module, settings.average),
        optimizer,
        torch.Generator().manual_seed(settings.seed),
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
    batch: int,
    generator: torch.Generator,
    pseudo: Tensor | None,
    pseudo_share: float | None,
) -> Draw:
    if pseudo is None:
        return draw_epoch(weights, steps, batch, generator)
    return draw_mixture(weights, pseudo, pseudo_share, steps, batch, generator)


def _set_rate(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, step: int, total: int
) -> None:
    rising = max(round(WARM_UP * total), 1)
    if step < rising:
        factor = (step + 1) / rising
    else:
        factor = 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * factor


def _scores(record: dict[str, Any]) -> dict[str, float]:
    aside = ("epoch", "loss", "learning_rate", "steps_per_second", "seconds")
    return {name: value for name, value in record.items() if name not in aside}
