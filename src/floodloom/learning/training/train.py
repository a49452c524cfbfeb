"""From labelled tiles to a calibrated checkpoint, from fresh weights or from a checkpoint's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from floodloom.learning.calibration import fit_temperature, held_out_pixels
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Tiles
from floodloom.learning.data.training_set import TrainingSet, describe_statistics
from floodloom.learning.inference import ensemble_of
from floodloom.learning.training.loop import CLIP, Fitted, Objective, fit
from floodloom.learning.training.schedule import WARM_UP
from floodloom.learning.training.settings import ReadingSettings, TrainingSettings
from floodloom.learning.training.state import Sidecars


def train_checkpoint(
    start: Checkpoint,
    training: TrainingSet,
    validation: Tiles,
    settings: TrainingSettings,
    *,
    objective: Objective | None = None,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
) -> Checkpoint:
    """Train a checkpoint's weights.

    Parameters
    ----------
    start
        Where training starts.
    training, validation, settings, objective, augmentation, sidecars
        See `floodloom.learning.training.loop.fit`.

    Returns
    -------
    Checkpoint
        With the best weights, their scores, history and temperature, and what the training tiles
        hold: class fractions and statistics of the bands.

    Raises
    ------
    TrainingError
        As `floodloom.learning.training.loop.fit`.
    """
    fitted = fit(
        start.model(),
        training,
        validation,
        settings,
        objective=objective,
        augmentation=augmentation,
        sidecars=sidecars,
    )
    bands = start.channels or start.recipe.bands
    record = training_record(
        settings,
        sensor_drop=0.0 if augmentation is None else augmentation.sensor_drop,
        **describe_statistics(training.statistics, start.recipe, bands),
    )
    return complete_checkpoint(start, fitted, fitted.weights, validation, record)


def complete_checkpoint(
    start: Checkpoint,
    fitted: Fitted,
    weights: Mapping[str, Tensor],
    validation: Tiles,
    record: Mapping[str, Any],
) -> Checkpoint:
    """Return `start` with what a training has made of it, and a temperature from validation."""
    learned = replace(
        start,
        weights={name: tensor.cpu() for name, tensor in weights.items()},
        scores=fitted.scores,
        history=fitted.history,
        temperature=1.0,
        training={**record, "execution": str(fitted.execution)},
    )
    network = ensemble_of([learned])
    pixels = held_out_pixels(lambda part: network.logits(part.image), validation)
    return replace(learned, temperature=fit_temperature(*pixels))


def training_record(settings: TrainingSettings, **more: Any) -> dict[str, Any]:
    """Return the settings of a training as plain values."""
    kept = set(TrainingSettings.model_fields) - set(ReadingSettings.model_fields)
    shared = settings.model_dump(mode="json", include=kept)
    return {**shared, "warm_up": WARM_UP, "clip": CLIP, **more}
