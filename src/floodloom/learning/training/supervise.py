"""From labelled tiles to a calibrated checkpoint, from fresh weights or from a checkpoint's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from floodloom.learning.calibration import fit_temperature, held_out_pixels
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.class_statistics import described, survey
from floodloom.learning.data.samples import Tiles
from floodloom.learning.inference import ensemble_of
from floodloom.learning.losses.semisupervised import Guided, SemiSupervision, semi_supervised
from floodloom.learning.training.loop import WARM_UP, Fitted, fit
from floodloom.learning.training.objective import Objective, objective_of
from floodloom.learning.training.settings import ReadingSettings, TrainingSettings
from floodloom.learning.training.step import CLIP
from floodloom.learning.training.training_log import Sidecars


def learn(
    start: Checkpoint,
    training: Tiles,
    validation: Tiles,
    settings: TrainingSettings,
    *,
    loss: str,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
    pseudo: Tensor | None = None,
    pseudo_share: float | None = 0.5,
    semi: SemiSupervision | None = None,
) -> Checkpoint:
    """Train a checkpoint's weights on labelled tiles, and maybe on others.

    Parameters
    ----------
    start
        Where training starts.
    training, validation
        Tiles.
    settings
        How to train.
    loss
        A name of `floodloom.learning.training.objective.objective_of`.
    augmentation, sidecars, pseudo, pseudo_share
        See `floodloom.learning.training.loop.fit`.
    semi
        How the tiles where `pseudo` teach.

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
    classes = len(start.classes)
    seen = survey(training, classes, "training", settings.workers, labelled=pseudo is None)
    validated, supervised = objective_of(loss, seen.class_fractions)
    minimised: Objective | Guided = supervised
    if pseudo is not None:
        minimised = semi_supervised(validated, semi or SemiSupervision())
    fitted = fit(
        start.model(),
        training,
        validation,
        settings,
        classes=classes,
        loss=validated,
        objective=minimised,
        augmentation=augmentation,
        sidecars=sidecars,
        seen=seen,
        pseudo=pseudo,
        pseudo_share=pseudo_share,
        depends_on=(loss, semi),
    )
    bands = start.channels or start.recipe.bands
    drop = 0.0 if augmentation is None else augmentation.sensor_drop
    held = described(seen, start.recipe, bands)
    record = training_record(
        settings, pseudo_share=pseudo_share, loss=loss, sensor_drop=drop, **held
    )
    return completed(start, fitted, fitted.weights, validation, record)


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
    return recalibrated(learned, validation)


def recalibrated(checkpoint: Checkpoint, validation: Tiles) -> Checkpoint:
    """Return a checkpoint with the temperature that held-out labelled tiles ask for."""
    uncalibrated = ensemble_of([replace(checkpoint, temperature=1.0)])
    pixels = held_out_pixels(uncalibrated.logits, validation)
    return replace(checkpoint, temperature=fit_temperature(*pixels))


def training_record(settings: TrainingSettings, **more: Any) -> dict[str, Any]:
    """Return the settings of a training as plain values."""
    kept = set(TrainingSettings.model_fields) - set(ReadingSettings.model_fields)
    shared = settings.model_dump(mode="json", include=kept)
    return {**shared, "warm_up": WARM_UP, "clip": CLIP, **more}
