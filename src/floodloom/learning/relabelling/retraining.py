"""Training within a round, on labels and pseudo labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr

from floodloom.errors import TrainingError
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import (
    Augmentation,
    LosableBands,
    losable_bands,
    radar_noise,
    strong_views,
)
from floodloom.learning.data.samples import Tiles
from floodloom.learning.data.splits import labelled_as_a_whole, select, training_and_validation
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.data.zarr_tiles import load_radar_tiles
from floodloom.learning.losses import LOSSES
from floodloom.learning.relabelling.acceptance import BEFORE, Acceptance
from floodloom.learning.relabelling.adaptation import (
    TARGETS,
    AdaptedNetwork,
    adapt_statistics,
    re_estimate_statistics,
)
from floodloom.learning.relabelling.audit import Audit
from floodloom.learning.relabelling.target_calibration import TargetGround, note_likelihood
from floodloom.learning.training.distributed import processes
from floodloom.learning.training.semisupervised import semisupervised_objective
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.training.state import Sidecars
from floodloom.learning.training.train import train_checkpoint
from floodloom.log import get_logger
from floodloom.raster.store import recipe_of
from floodloom.tiles.store import concatenate_tiles

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
    other_sensor = audit is not None and TARGETS in audit.batch_statistics
    # The network before a round doesn't show what there is of water by another sensor.
    estimated = audit.estimated if audit is not None and limited and not other_sensor else None
    acceptance = Acceptance(tiles.held_out, loss, settings.batch, tiles.target, limited, estimated)

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
    )
    if tiles.pseudo is None:
        _check_classes(training, start.classes, known=before is not None)

    # Labels of adapted networks are another sensor's, whose statistics stay apart.
    other_sensor = audit is not None and TARGETS in audit.batch_statistics
    objective = semisupervised_objective(
        settings.consistency,
        strong_views(start.recipe),
        separate_batchnorm=other_sensor,
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


def _check_classes(training: TrainingSet, classes: tuple[str, ...], *, known: bool) -> None:
    """Refuse to train a network until it has forgotten a class, or warn that it will learn none."""
    absent = " or ".join(classes[number] for number in training.statistics.absent)
    if not absent:
        return
    found = f"training tiles: no labelled pixel is {absent}"
    if known:
        raise TrainingError(
            f"{found}, so what the checkpoint to begin with knows of that would be lost; label "
            "some, or take that checkpoint as it is"
        )
    _log.warning("%s, so that can't be learned; label some", found)


def _losable(start: Checkpoint) -> LosableBands | None:
    absent = () if start.accepts is None else start.accepts.absent
    return losable_bands(start.recipe.bands, absent)
