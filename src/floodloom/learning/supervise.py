"""From labelled tiles to a calibrated checkpoint, from fresh weights or from a checkpoint's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor

from floodloom.learning.augment import Augmentation
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.confidence import fit_temperature, held_out_pixels
from floodloom.learning.data import Tiles
from floodloom.learning.device import Execution, default_device
from floodloom.learning.inference import ensemble_of
from floodloom.learning.journal import Sidecars
from floodloom.learning.loop import Fitted, fit
from floodloom.learning.objective import objective_of
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.survey import described, survey
from floodloom.learning.validation import validate
from floodloom.log import get_logger

_log = get_logger(__name__)


def learn(
    start: Checkpoint,
    training: Tiles,
    validation: Tiles,
    plan: TrainingPlan,
    *,
    loss: str,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
    places: Sequence[object] = (),
) -> Checkpoint:
    """Train a checkpoint's weights on labelled tiles.

    Parameters
    ----------
    start
        Where training starts.
    training, validation
        Tiles.
    plan
        How to train.
    loss
        A name of `floodloom.learning.objective.objective_of`.
    augmentation, sidecars, places
        See `floodloom.learning.loop.fit`.

    Returns
    -------
    Checkpoint
        With the best weights, their scores, history and temperature, and what the training tiles
        hold: class fractions and statistics of the bands.

    Raises
    ------
    TrainingError
        As `floodloom.learning.loop.fit`.
    """
    seen = survey(training, len(start.classes), "training", plan.workers)
    validated, minimised = objective_of(loss, seen.class_fractions)
    fitted = fit(
        start.model(),
        training,
        validation,
        plan,
        classes=len(start.classes),
        loss=validated,
        objective=minimised,
        augmentation=augmentation,
        sidecars=sidecars,
        seen=seen,
        places=places,
    )
    bands = start.channels or start.recipe.bands
    drop = 0.0 if augmentation is None else augmentation.sensor_drop
    held = described(seen, start.recipe, bands)
    record = training_record(plan, loss=loss, sensor_drop=drop, **held)
    return completed(start, fitted, fitted.weights, validation, record)


def fine_tune(
    start: Checkpoint,
    training: Tiles,
    validation: Tiles,
    plan: TrainingPlan,
    *,
    loss: str,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
    places: Sequence[object] = (),
) -> Checkpoint:
    """Train a checkpoint further, and keep it as it was unless its validation IoU is reached."""
    learned = learn(
        start,
        training,
        validation,
        plan,
        loss=loss,
        augmentation=augmentation,
        sidecars=sidecars,
        places=places,
    )
    before = _validation_iou(start, validation, loss, plan.batch)
    reached = _validation_iou(learned, validation, loss, plan.batch)
    notes = {"initial_iou": before, "fine_tuned_iou": reached}
    if reached >= before:
        return replace(learned, notes={**notes, "kept": "fine-tuned weights"})
    _log.warning("validation IoU %.4f < %.4f: initial weights kept", reached, before)
    return replace(start, history=learned.history, notes={**notes, "kept": "initial weights"})


def _validation_iou(checkpoint: Checkpoint, validation: Tiles, loss: str, batch: int) -> float:
    """Return the foreground IoU in float32, whatever number format training ran in."""
    execution = Execution(default_device(), channels_last=True)
    model = execution.place(checkpoint.model())
    classes = len(checkpoint.classes)
    return validate(model, validation, classes, objective_of(loss)[0], execution, batch)["iou"]


def completed(
    start: Checkpoint,
    fitted: Fitted,
    weights: Mapping[str, Tensor],
    validation: Tiles,
    training: Mapping[str, Any],
) -> Checkpoint:
    """Return `start` with what a training has made of it, and a temperature from validation."""
    learned = replace(
        start,
        weights={name: tensor.cpu() for name, tensor in weights.items()},
        scores=fitted.scores,
        history=fitted.history,
        temperature=1.0,
        training={**training, "execution": str(fitted.execution)},
    )
    pixels = held_out_pixels(ensemble_of([learned]), validation)
    return replace(learned, temperature=fit_temperature(*pixels))


def training_record(plan: TrainingPlan, **more: Any) -> dict[str, Any]:
    """Return the settings of a training as plain values."""
    return {**asdict(plan), **more}
