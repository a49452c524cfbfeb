"""Training within a round: on pseudo labels, then calibrated on the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from floodloom.learning.calibration import held_out_pixels, seen_pixels, temperature_of_accuracy
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import (
    Augmentation,
    LosableBands,
    losable_bands,
    radar_noise,
    rotate_and_flip,
    strong_views,
    undo_rotate_and_flip,
)
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.learning.data.splits import labelled_as_a_whole, select, training_and_validation
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.data.zarr_tiles import load_radar_tiles
from floodloom.learning.inference import ensemble_of
from floodloom.learning.losses import LOSSES
from floodloom.learning.relabelling.acceptance import BEFORE, Acceptance
from floodloom.learning.relabelling.adaptation import (
    TARGETS,
    AdaptedNetwork,
    adapt_statistics,
    re_estimate_statistics,
)
from floodloom.learning.relabelling.audit import Audit
from floodloom.learning.relabelling.round import Labeller, calibrate_labeller
from floodloom.learning.training.distributed import processes
from floodloom.learning.training.semisupervised import semisupervised_objective
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.training.state import Sidecars
from floodloom.learning.training.train import train_checkpoint
from floodloom.log import get_logger
from floodloom.raster.store import recipe_of
from floodloom.tiles.store import concatenate_tiles

_FEWEST = 0.01  # share of pixels on which two never agree, or never disagree: beyond it is chance
_NORMAL = NormalDist()
_QUARTER = 1  # which of the eight symmetries of the square turns by 90 degrees


def agreement_shift(known: Tensor, target: Tensor) -> float:
    """Return how much less, or more, predictions agree on a target than on known ground.

    Parameters
    ----------
    known, target
        (network, pixel) int64 classes; the first is compared with each of the others.

    Returns
    -------
    float
        Difference of the shares of equal classes, as quantiles of the normal distribution; of the
        pair whose agreement falls the most, so as not to be too sure.
    """
    here, there = (
        [_quantile(float((classes[0] == other).float().mean())) for other in classes[1:]]
        for classes in (known, target)
    )
    return min(b - a for a, b in zip(here, there, strict=True))


def expected_accuracy(accuracy: float, shift: float) -> float:
    """Return what an accuracy becomes where agreement is shifted.

    Parameters
    ----------
    accuracy
        Share of right pixels on known ground, 0-1.
    shift
        Of `agreement_shift`.

    References
    ----------
    Baek et al. (2022), Agreement-on-the-line, arXiv 2206.13089, section 3: over many networks,
    accuracy and agreement on other ground are the same linear function of those on known ground,
    both as quantiles of the normal distribution. Here its slope is taken as 1, as there are too few
    networks to find it. Deng, Gould and Zheng (2022), On the strong correlation between model
    invariance and generalization, arXiv 2207.07065: the same of a network's agreement
    with itself on turned images.
    """
    return _NORMAL.cdf(_quantile(accuracy) + shift)


def _quantile(share: float) -> float:
    return _NORMAL.inv_cdf(min(max(share, _FEWEST), 1 - _FEWEST))


@dataclass(frozen=True)
class TargetGround:
    """Ground without labels that a network has learnt from, and the network before it did.

    Attributes
    ----------
    tiles
        Their labels aren't looked at.
    before
        With the statistics of these tiles and of held-out ones, if what is calibrated has them.
    """

    tiles: Tiles
    before: AdaptedNetwork


def note_likelihood(
    checkpoint: Checkpoint,
    held_out: Tiles,
    greatest: float,
    *,
    reference: Checkpoint | None = None,
    target: TargetGround | None = None,
) -> Checkpoint:
    """Note in a checkpoint the weight of the local likelihood when it predicts.

    Parameters
    ----------
    checkpoint
        Of two classes; others stay as they are.
    held_out
        Labelled tiles that it wasn't trained on.
    greatest
        Weight that is tried at most; see `calibrate_labeller`.
    reference
        What predicts the held-out tiles instead, as in `calibrate_labeller`.
    target
        Where the temperature shall hold, if not on the ground of the held-out tiles: confidences
        are as great there, on average, as the accuracy on held-out labels, moved by as much as an
        agreement moves: of this network with the one before, with itself on tiles turned by a
        quarter, or with the local likelihood, whichever falls most.

    Returns
    -------
    Checkpoint
        Its note `likelihood` holds weight, temperature, the foreground IoU of each weight, and what
        was found on the target. With weight 0, the temperature goes into the network's own.
    """
    if not greatest or len(checkpoint.classes) > 2:
        return checkpoint
    on_known = ensemble_of([reference or checkpoint])
    network = ensemble_of([checkpoint])
    labeller = Labeller(network, tta=False, likelihood=greatest, averaged=True)
    weighed, calibration = calibrate_labeller(labeller, held_out, reference=on_known)
    found: dict[str, Any] = {
        "weight": weighed.likelihood,
        "temperature": weighed.temperature,
        "tried": calibration.likelihood,
    }
    if target is not None:
        known = replace(labeller, ensemble=on_known)
        found |= _calibrated_on_target(labeller, known, held_out, target, weighed)
    if not found["weight"]:  # then it is the network's own temperature
        own = checkpoint.temperature * found["temperature"]
        checkpoint = replace(checkpoint, temperature=own)
        found["temperature"] = 1.0
    return replace(checkpoint, notes={**checkpoint.notes, "likelihood": found})


def _calibrated_on_target(
    labeller: Labeller, known: Labeller, held_out: Tiles, target: TargetGround, weighed: Labeller
) -> dict[str, float]:
    """Return the temperature that holds on a target, and the accuracies that it comes from.

    It is never lower than that of the held-out labels: networks that find no water at all agree,
    too.
    """
    here, label = held_out_pixels(_predictors(target.before.reference, known), held_out)
    there = seen_pixels(_predictors(target.before.checkpoint, labeller), target.tiles)
    parts = [evidence.chunk(4, dim=1) for evidence in (here, there)]
    classes = [torch.stack([logits.argmax(dim=1) for logits in four]) for four in parts]
    sums = [logits + weighed.likelihood * likelihood for logits, likelihood, *_ in parts]
    accuracy = float((sums[0].argmax(dim=1) == label).float().mean())
    expected = expected_accuracy(accuracy, agreement_shift(*classes))
    return {
        "temperature": max(weighed.temperature, temperature_of_accuracy(sums[1], expected)),
        "held_out_accuracy": accuracy,
        "expected_accuracy": expected,
    }


def _predictors(before: Checkpoint, labeller: Labeller) -> Callable[[Samples], Tensor]:
    """Return what gives, by channels, the four predictions whose agreement counts."""
    first = ensemble_of([before])

    def predict(part: Samples) -> Tensor:
        image = part.image
        turned = labeller.ensemble.logits(rotate_and_flip(image, _QUARTER))
        logits, likelihood = labeller.evidence(image, part.all_valid)
        return torch.cat(
            [logits, likelihood, first.logits(image), undo_rotate_and_flip(turned, _QUARTER)], dim=1
        )

    return predict


_log = get_logger(__name__)


@dataclass(frozen=True)
class RoundTiles:
    """The tiles of a round, or of a training before any.

    Attributes
    ----------
    training
        Labelled tiles, and behind them the pseudo-labelled ones.
    pseudo
        (tile,) bool: which are pseudo-labelled; None if there is none.
    held_out
        Labelled tiles to validate on.
    target
        The pseudo-labelled tiles alone, None if there is none.
    """

    training: Tiles
    pseudo: torch.Tensor | None
    held_out: Tiles
    target: Tiles | None

    @classmethod
    def load(
        cls, tiles: xr.Dataset, pseudo: xr.Dataset | None, settings: TrainSettings
    ) -> RoundTiles:
        """Split labelled tiles, and put the training tiles and the pseudo-labelled ones together.

        Raises
        ------
        InputError
            As `training_and_validation`.
        RecipeMismatchError
            If the recipes of both differ.
        """
        training, validation = training_and_validation(tiles)
        if pseudo is not None and labelled_as_a_whole(training):
            training = _without_relabelled(training, pseudo)
        if pseudo is not None:
            recipe_of(tiles).require_inputs(recipe_of(pseudo), "pseudo")
        held_out = load_radar_tiles(validation, settings.memory_gib)
        if pseudo is None or not pseudo.sizes["tile"]:
            return cls(load_radar_tiles(training, settings.memory_gib), None, held_out, None)
        together = load_radar_tiles(concatenate_tiles([training, pseudo]), settings.memory_gib)
        which = torch.arange(len(together)) >= training.sizes["tile"]
        return cls(together, which, held_out, load_radar_tiles(pseudo, settings.memory_gib))


def _without_relabelled(training: xr.Dataset, pseudo: xr.Dataset) -> xr.Dataset:
    """Leave out what had the label of its image and now has pseudo labels, unless that is all."""
    left = ~np.isin(training["tile_id"].values, pseudo["tile_id"].values)
    return select(training, left) if left.any() else training


def train_round(
    fresh: Checkpoint,
    before: Checkpoint | None,
    tiles: RoundTiles,
    settings: TrainSettings,
    *,
    audit: Audit | None = None,
    in_round: bool = False,
    sidecars: Sidecars | None = None,
) -> Checkpoint:
    """Return the network of a round, or of a training before any.

    Several processes take part in everything but the last calibration, which the first does.

    Parameters
    ----------
    fresh
        With fresh weights.
    before
        The model before the round, to fine-tune; if what is learned is refused, its weights are
        kept.
    tiles
        See `RoundTiles`.
    settings
        How to train.
    audit
        Of the round's pseudo labels, which states whether the network has limits to keep to.
    in_round
        Whether there was a round: without any pseudo-labelled tile, `before` is then passed on,
        unless it is too inaccurate.
    sidecars
        See `floodloom.learning.training.loop.fit`.
    """
    limited = audit is None or audit.acceptance
    greatest = 0.0 if audit is None else audit.greatest_likelihood
    loss = LOSSES.load(settings.loss).of_logits
    acceptance = Acceptance(tiles.held_out, loss, settings.batch, tiles.target, limited)

    if before is not None and in_round and tiles.target is None:
        inaccuracy = acceptance.inaccuracy(before)
        if not inaccuracy:
            _log.info("no pseudo labels: the model before the round is passed on")
            passed_on = {"kept": BEFORE, "reason": "no pseudo labels"}
            return note_likelihood(replace(before, notes=passed_on), tiles.held_out, greatest)
        _log.warning("%s, so training starts again from the labels", inaccuracy)
        before = None

    learned = _train(fresh, before, tiles, settings, audit, sidecars)
    if before is not None and limited:
        learned = acceptance.choose(before, learned)
    adapted, share = AdaptedNetwork(learned, learned), settings.batch_statistics
    if share and tiles.target is not None:
        adapted = adapt_statistics(learned, tiles.target, acceptance, share, known=before)
    if not processes().is_first:
        return adapted.checkpoint

    # Confidences must hold on the target, too, where agreement with the model before shows it.
    target = None
    if before is not None and tiles.target is not None:
        alike = AdaptedNetwork(before, before)
        if adapted.changed:
            alike = re_estimate_statistics(before, tiles.target, tiles.held_out, share)
        target = TargetGround(tiles.target, alike)
    return note_likelihood(
        adapted.checkpoint, tiles.held_out, greatest, reference=adapted.reference, target=target
    )


def _train(
    fresh: Checkpoint,
    before: Checkpoint | None,
    tiles: RoundTiles,
    settings: TrainSettings,
    audit: Audit | None,
    sidecars: Sidecars | None,
) -> Checkpoint:
    """Train fresh weights, or fine-tune those before the round."""
    if before is not None:
        fine_tuning: dict[str, Any] = {
            "epochs": settings.fine_tune_epochs,
            "learning_rate": settings.fine_tune_learning_rate,
        }
        if settings.schedule == "constant":
            fine_tuning["schedule"] = "plain-cosine"
        settings = settings.model_copy(update=fine_tuning)
    start = before or fresh
    apart = None if settings.consistency == "joint" else tiles.pseudo
    training = TrainingSet.of(
        tiles.training,
        len(start.classes),
        labelled=tiles.pseudo is None,
        pseudo=apart,
        pseudo_share=settings.pseudo_share,
    )

    # Labels of adapted networks are another sensor's, whose statistics stay apart.
    other_sensor = audit is not None and TARGETS in audit.batch_statistics
    objective = semisupervised_objective(
        settings.consistency,
        strong_views(start.recipe),
        separate_batchnorm=settings.pseudo_share is not None and other_sensor,
    )
    noise = radar_noise(start.recipe, settings.speckle_looks, settings.offset_db)
    return train_checkpoint(
        start,
        training,
        tiles.held_out,
        settings,
        objective=None if apart is None else objective,
        augmentation=Augmentation(
            noise,
            settings.band_drop,
            settings.cutmix,
            losable=_losable(start),
            elastic=settings.elastic,
        ),
        sidecars=sidecars,
    )


def _losable(start: Checkpoint) -> LosableBands | None:
    absent = () if start.accepts is None else start.accepts.absent
    return losable_bands(start.recipe.bands, absent)
