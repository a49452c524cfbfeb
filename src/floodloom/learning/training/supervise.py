"""From labelled tiles to a calibrated checkpoint, from fresh weights or from a checkpoint's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor

from floodloom.learning.calibration import fit_temperature, held_out_pixels
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.class_statistics import described, survey
from floodloom.learning.data.samples import Tiles
from floodloom.learning.inference import ensemble_of
from floodloom.learning.losses.semisupervised import Guided, SemiSupervision, semi_supervised
from floodloom.learning.training.loop import Fitted, fit
from floodloom.learning.training.objective import Objective, objective_of
from floodloom.learning.training.plan import TrainingPlan
from floodloom.learning.training.training_log import Sidecars
from floodloom.learning.training.validation import scores_of


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
    pseudo: Tensor | None = None,
    semi: SemiSupervision | None = None,
) -> Checkpoint:
    """Train a checkpoint's weights on labelled tiles, and maybe on others.

    Parameters
    ----------
    start
        Where training starts.
    training, validation
        Tiles.
    plan
        How to train.
    loss
        A name of `floodloom.learning.training.objective.objective_of`.
    augmentation, sidecars, places, pseudo
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
    seen = survey(training, classes, "training", plan.workers, labelled=pseudo is None)
    validated, supervised = objective_of(loss, seen.class_fractions)
    minimised: Objective | Guided = supervised
    if pseudo is not None:
        minimised = semi_supervised(validated, semi or SemiSupervision())
    fitted = fit(
        start.model(),
        training,
        validation,
        plan,
        classes=classes,
        loss=validated,
        objective=minimised,
        augmentation=augmentation,
        sidecars=sidecars,
        seen=seen,
        places=places,
        pseudo=pseudo,
        settings=(loss, semi),
    )
    bands = start.channels or start.recipe.bands
    drop = 0.0 if augmentation is None else augmentation.sensor_drop
    held = described(seen, start.recipe, bands)
    record = training_record(plan, loss=loss, sensor_drop=drop, **held)
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


def blended(
    start: Checkpoint, learned: Checkpoint, validation: Tiles, *, share: float, loss: str
) -> Checkpoint:
    """Return a mean of the weights before and after fine-tuning, scored and calibrated anew.

    Between the two lies what serves other ground than the one tuned on better than either
    (Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv 2109.01903, equation 1).

    Parameters
    ----------
    start, learned
        Before and after, of one architecture.
    validation
        Held-out labelled tiles.
    share
        Of the weights of `start`, 0-1.
    loss
        A name of `floodloom.learning.training.objective.objective_of`, for the validation loss.
    """
    weights = {
        name: before.lerp(learned.weights[name], 1 - share)
        if before.is_floating_point()
        else learned.weights[name]
        for name, before in start.weights.items()
    }
    mean = replace(learned, weights=weights)
    scores = scores_of(mean, validation, objective_of(loss)[0])
    return recalibrated(replace(mean, scores=scores), validation)


def recalibrated(checkpoint: Checkpoint, validation: Tiles) -> Checkpoint:
    """Return a checkpoint with the temperature that held-out labelled tiles ask for."""
    uncalibrated = ensemble_of([replace(checkpoint, temperature=1.0)])
    pixels = held_out_pixels(uncalibrated.logits, validation)
    return replace(checkpoint, temperature=fit_temperature(*pixels))


def training_record(plan: TrainingPlan, **more: Any) -> dict[str, Any]:
    """Return the settings of a training as plain values."""
    return {**asdict(plan), **more}
