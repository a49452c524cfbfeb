"""A round of relabelling: pseudo labels of tiles by an ensemble, and whether they are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.learning.calibration import fit_temperature, held_out_pixels, reliability_at
from floodloom.learning.data.samples import Tiles, radar_samples
from floodloom.learning.data.splits import labelled_as_a_whole, select
from floodloom.learning.inference import Ensemble
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.relabelling.acceptance import (
    agreement_with,
    round_refusal,
    share_of,
)
from floodloom.learning.relabelling.audit import (
    Audit,
    Calibration,
    TileCounts,
    confidence_histogram,
    kept_area,
    scores_by_event,
)
from floodloom.learning.relabelling.gate import Gate, Labels, Predictions
from floodloom.learning.relabelling.gates import GATES
from floodloom.learning.relabelling.local_likelihood import local_likelihood
from floodloom.learning.relabelling.members import choose_members
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.log import get_logger, track
from floodloom.raster.store import recipe_of

_SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
BEARABLE = 0.05
"""By how much of itself what the foreground IoU lacks on held-out labels may grow."""


@dataclass(frozen=True)
class Labeller:
    """What gives pseudo labels: an ensemble, and each tile's local likelihood.

    Attributes
    ----------
    ensemble
        Calibrated networks.
    tta
        Average over the eight symmetries of the square.
    likelihood
        Weight of `local_likelihood` against the networks' mean logits; 0 leaves it out.
    temperature
        What the sum of both is divided by.
    averaged
        Whether the likelihood is averaged over neighbours: in maps it is, in pseudo labels not.
    """

    ensemble: Ensemble
    tta: bool = True
    likelihood: float = 0.0
    temperature: float = 1.0
    averaged: bool = False

    def evidence(self, image: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the networks' logits and the tiles' local likelihood of the classes.

        Parameters
        ----------
        image
            (tile, band, y, x) float32, 0 = no data in that band.
        valid
            (tile, y, x) bool, where all bands have data.

        Returns
        -------
        logits, likelihood
            (tile, class, y, x) float32 each; the latter is 0 where its weight is.
        """
        logits = self.ensemble.logits(image, tta=self.tta)
        if not self.likelihood:
            return logits, torch.zeros_like(logits)
        likelihood = local_likelihood(
            image.numpy(), valid.numpy(), logits.numpy(), averaged=self.averaged
        )
        return logits, torch.from_numpy(likelihood)

    def predict(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return confidence (tile, y, x), NaN = no data, and predicted class (tile, y, x)."""
        valid = np.isfinite(image).all(axis=1)
        filled = torch.from_numpy(np.where(np.isfinite(image), image, np.float32(0)))
        logits, likelihood = self.evidence(filled, torch.from_numpy(valid))
        weighed = (logits + self.likelihood * likelihood) / self.temperature
        confidence, prediction = weighed.softmax(dim=1).max(dim=1)
        sure = np.where(valid, confidence.numpy(), np.float32(np.nan))
        return sure, prediction.numpy().astype(np.uint8)


def calibrate_labeller(
    labeller: Labeller,
    held_out: Tiles,
    *,
    scale: bool = True,
    reference: Ensemble | None = None,
) -> tuple[Labeller, Calibration]:
    """Find the weight of the local likelihood and the temperature on held-out labelled tiles.

    Held-out labels are few and of other ground, so they can't choose the best weight; they can show
    where networks classify better than a tile's own distributions, which do harm then. What
    is taken is the greatest weight with which the error, 1 - foreground IoU, grows by a twentieth
    at most: half a point where the IoU is .9, three where it is .4 and unknown ground gains more.

    Parameters
    ----------
    labeller
        Its `likelihood` is the greatest weight that is tried, besides shares of it and none.
    held_out
        Labelled tiles that the networks weren't trained on.
    scale
        Without it the temperature stays 1.
    reference
        What predicts the held-out tiles instead of the labeller's own networks, where these were
        adapted to other ground than that: see
        `floodloom.learning.relabelling.adaptation.AdaptedNetwork`.

    Returns
    -------
    labeller, calibration
        With the weight and temperature, and what they come from.
    """
    on_known = labeller if reference is None else replace(labeller, ensemble=reference)
    evidence, label = held_out_pixels(
        lambda part: torch.cat(on_known.evidence(part.image, part.all_valid), dim=1), held_out
    )
    logits, likelihood = evidence.chunk(2, dim=1)
    tried = [share * labeller.likelihood for share in (_SHARES if labeller.likelihood else (0.0,))]
    scores = {w: _foreground_iou(logits + w * likelihood, label) for w in tried}
    least = 1 - (1 - scores[0.0]) * (1 + BEARABLE)
    weight = max(one for one in tried if scores[one] >= least)

    weighed = logits + weight * likelihood
    temperature = fit_temperature(weighed, label) if scale else 1.0
    calibration = Calibration.model_validate(
        {
            "temperature": temperature,
            "likelihood": {f"{one:g}": score for one, score in scores.items()},
            "pixels": len(label),
            "before": reliability_at(weighed, label, 1.0).as_dict(),
            "after": reliability_at(weighed, label, temperature).as_dict(),
        }
    )
    return replace(labeller, likelihood=weight, temperature=temperature), calibration


def _foreground_iou(logits: Tensor, label: Tensor) -> float:
    prediction = logits.argmax(dim=1).numpy()
    matrix = confusion_matrix(prediction, label.numpy(), logits.shape[1])
    return foreground_scores(matrix)["iou"]


_log = get_logger(__name__)
_BATCH = 8
_LEAST_LABELLED = 0.05  # share of a tile's pixels: fewer teach little for the step that they cost


def relabel_tiles(
    offered: xr.Dataset,
    held_out: xr.Dataset,
    ensemble: Ensemble,
    names: Sequence[str],
    settings: RelabelSettings,
    *,
    previous: xr.Dataset | None = None,
) -> tuple[xr.Dataset, Audit]:
    """Label tiles with an ensemble where it is sure.

    Parameters
    ----------
    offered
        Tiles; their labels are never read.
    held_out
        Labelled tiles that the networks weren't trained on: they calibrate the confidences.
    ensemble, names
        The networks, and what the audit calls them.
    settings
        Of the round.
    previous
        Pseudo-labelled tiles of the round before.

    Returns
    -------
    tuple
        The pseudo-labelled tiles, split `train`, without any tile if the round is refused; and
        the audit.

    Raises
    ------
    RecipeMismatchError
        If the tiles aren't what the ensemble was trained on; the message names the field.
    """
    recipe, classes = recipe_of(offered), ensemble.classes
    ensemble = ensemble if settings.calibrate else ensemble.uncalibrated()
    first = previous is None
    if labelled_as_a_whole(held_out):
        # Labels of whole tiles can't show how well pixels are told, and were learnt from already.
        settings, first = settings.model_copy(update={"acceptance": False}), False
    ensemble.recipe.require_inputs(recipe, "tiles", ensemble.accepts)
    members = choose_members(ensemble, names, offered, held_out, settings)

    # What the held-out tiles show is measured with the statistics of those tiles.
    labeller, calibration = calibrate_labeller(
        Labeller(members.ensemble, tta=settings.tta, likelihood=members.likelihood),
        radar_samples(held_out),
        scale=settings.calibrate,
        reference=members.reference,
    )
    predictions = _predict(offered, labeller, first=first)
    gate = GATES.load(settings.gate)
    label, kept = _gated(gate, predictions, settings)
    agreement = _agreement(offered, label, previous)
    pseudo = None if gate.by_consistency else label
    reason = members.refusal or round_refusal(
        predictions, pseudo, agreement, limited=settings.acceptance
    )
    if reason is not None:
        _log.warning("the round is refused: %s", reason)
        kept[:] = False

    known = replace(labeller, ensemble=members.reference)
    audit = Audit(
        round=settings.round,
        preset=settings.preset,
        accepted=reason is None,
        reason=reason,
        tiles=TileCounts(offered=len(label), kept=int(kept.sum())),
        passed_gate=kept_area(label, classes, recipe.spacing),
        water_share=share_of(1, predictions.label, predictions.valid),
        agreement_with_previous=agreement,
        confidence=confidence_histogram(predictions, classes),
        calibration=calibration,
        gate=settings,
        acceptance=settings.acceptance,
        tta=settings.tta,
        likelihood=labeller.likelihood,
        greatest_likelihood=max(map(float, calibration.likelihood)),
        batch_statistics=members.statistics,
        validation=scores_by_event(held_out, known.predict, len(classes)),
        left_out=members.left_out,
        checkpoints=list(names),
    )
    return _pseudo_labelled(offered, label, kept, classes), audit


def _predict(tiles: xr.Dataset, labeller: Labeller, *, first: bool) -> Predictions:
    shape = (tiles.sizes["tile"], tiles.sizes["y"], tiles.sizes["x"])
    confidence = np.empty(shape, dtype=np.float32)
    label = np.empty(shape, dtype=np.uint8)
    for start in track(range(0, shape[0], _BATCH), "labelling tiles"):
        part = slice(start, start + _BATCH)
        image = tiles["image"].isel(tile=part).values
        confidence[part], label[part] = labeller.predict(image)
    known = tiles["tile_label"].values if "tile_label" in tiles.coords else None
    return Predictions(confidence, label, len(labeller.ensemble.classes), known, first)


def _gated(
    gate: Gate, predictions: Predictions, settings: RelabelSettings
) -> tuple[Labels, NDArray[np.bool_]]:
    """Return the labels (tile, y, x) that pass a gate, and which tiles are kept."""
    label = gate.select(predictions, settings)
    kept = np.ones(len(label), dtype=np.bool_)
    if not gate.by_consistency:
        kept = (label != IGNORE).mean(axis=(1, 2)) >= _LEAST_LABELLED
    label[~kept] = IGNORE
    return label, kept


def _agreement(tiles: xr.Dataset, label: Labels, previous: xr.Dataset | None) -> float | None:
    if previous is None:
        return None
    names, before = tiles["tile_id"].values.tolist(), previous["tile_id"].values.tolist()
    return agreement_with(names, label, before, previous["label"].values)


def _pseudo_labelled(
    tiles: xr.Dataset,
    label: Labels,
    kept: NDArray[np.bool_],
    classes: tuple[str, ...],
) -> xr.Dataset:
    labels = label[kept]
    unread = ["label", "optical", "channel"]
    pseudo = select(tiles, kept).drop_vars(unread, errors="ignore").compute()
    fractions = {
        f"fraction_{name}": ("tile", (labels == value).mean(axis=(1, 2)).astype(np.float32))
        for value, name in enumerate(classes)
    }
    split = ("tile", np.full(len(labels), "train", dtype="<U10"))
    pseudo = pseudo.assign(label=(("tile", "y", "x"), labels, {"ignore": IGNORE}))
    return pseudo.assign_coords({"split": split, **fractions})
