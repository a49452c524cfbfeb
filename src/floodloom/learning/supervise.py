"""From labelled tiles to a calibrated checkpoint, from fresh weights or from a checkpoint's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from floodloom.errors import CheckpointError
from floodloom.learning.augment import Augmentation
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.confidence import fit_temperature, held_out_pixels
from floodloom.learning.data import Standardisation, Tiles
from floodloom.learning.device import Execution, default_device
from floodloom.learning.inference import ensemble_of
from floodloom.learning.journal import Sidecars
from floodloom.learning.loop import Fitted, fit
from floodloom.learning.objective import objective_of
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.survey import described, survey
from floodloom.learning.validation import validate
from floodloom.log import get_logger
from floodloom.models.registry import build
from floodloom.raster.store import recipe_of

_log = get_logger(__name__)


def untrained(
    tiles: xr.Dataset,
    architecture: str,
    width: int,
    seed: int,
    optical: Standardisation | None = None,
) -> Checkpoint:
    """Return a checkpoint with fresh weights for the inputs of a tile store.

    Parameters
    ----------
    tiles
        Tile store that gives recipe and classes.
    architecture, width
        What to build.
    seed
        Of the weights.
    optical
        Given it, the inputs are these optical channels instead of the radar bands.
    """
    recipe, classes = recipe_of(tiles), tuple(json.loads(tiles.attrs["classes"]))
    bands = recipe.bands if optical is None else optical.channels
    arguments: dict[str, Any] = {"in_channels": len(bands), "classes": len(classes), "width": width}
    torch.manual_seed(seed)
    weights = build(architecture, **arguments).state_dict()
    fresh = Checkpoint(architecture, arguments, classes, recipe, weights)
    if optical is None:
        return fresh
    return replace(fresh, inputs="optical", channels=bands, statistics=asdict(optical))


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
    record = training_record(plan, loss=loss, **described(seen, start.recipe, bands))
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


def require_fit(checkpoint: Checkpoint, tiles: xr.Dataset, path: str) -> None:
    """Check that a checkpoint suits a tile store.

    Raises
    ------
    CheckpointError
        If it takes optical inputs or tells other classes apart.
    RecipeMismatchError
        If its recipe differs; the message names the field.
    """
    classes = tuple(json.loads(tiles.attrs["classes"]))
    if checkpoint.inputs != "radar":
        raise CheckpointError(f"{path}: it takes optical channels; give a radar checkpoint")
    if checkpoint.classes != classes:
        raise CheckpointError(
            f"{path}: classes are {list(checkpoint.classes)} but the tiles' are {list(classes)}; "
            "cut the tiles with the same classes"
        )
    checkpoint.recipe.require_inputs(recipe_of(tiles), "tiles")
