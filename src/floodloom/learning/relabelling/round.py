"""A round of relabelling: pseudo labels of tiles by an ensemble, and whether they are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import IGNORE
from floodloom.learning.calibration import held_out_pixels, seen_pixels
from floodloom.learning.data.samples import evenly_spaced, radar_samples
from floodloom.learning.data.splits import labelled_as_a_whole, select
from floodloom.learning.inference import Ensemble
from floodloom.learning.relabelling.acceptance import (
    agreement_with,
    round_refusal,
    share_of,
)
from floodloom.learning.relabelling.audit import (
    Audit,
    TileCounts,
    confidence_histogram,
    kept_area,
    scores_by_event,
)
from floodloom.learning.relabelling.gate import Gate, Labels, Predictions
from floodloom.learning.relabelling.gates import GATES
from floodloom.learning.relabelling.labeller import Labeller, calibrate_labeller
from floodloom.learning.relabelling.members import Members, choose_members
from floodloom.learning.relabelling.priors import EstimatedShare, estimate_priors
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.log import get_logger, track
from floodloom.raster.store import recipe_of

_log = get_logger(__name__)
_BATCH = 8
_SEEN = 128  # tiles of the target that show its share of water, at most
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
        settings = settings.model_copy(update={"acceptance": False, "priors": "none"})
        first = False
    ensemble.recipe.require_inputs(recipe, "tiles", ensemble.accepts)
    members = choose_members(ensemble, names, offered, held_out, settings)

    # What the held-out tiles show is measured with the statistics of those tiles.
    labeller, calibration = calibrate_labeller(
        Labeller(members.ensemble, tta=settings.tta, likelihood=members.likelihood),
        radar_samples(held_out),
        scale=settings.calibrate,
        reference=members.reference,
    )
    estimated = _estimated(members, offered, held_out, settings)
    predictions = _predict(offered, labeller, first=first, estimated=estimated)
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
        estimated=estimated,
        batch_statistics=members.statistics,
        validation=scores_by_event(held_out, known.predict, len(classes)),
        left_out=members.left_out,
        checkpoints=list(names),
    )
    return _pseudo_labelled(offered, label, kept, classes), audit


def _estimated(
    members: Members, offered: xr.Dataset, held_out: xr.Dataset, settings: RelabelSettings
) -> EstimatedShare | None:
    """Return the target's share of water, None where it isn't asked for, or of several classes."""
    if settings.priors == "none" or len(members.ensemble.classes) > 2 or not offered.sizes["tile"]:
        return None
    seen = evenly_spaced(radar_samples(offered), _SEEN)
    target = seen_pixels(lambda part: members.ensemble.logits(part.image), seen).numpy()
    known, label = np.zeros((0, 2)), np.zeros(0, np.int64)
    if settings.priors != "count":
        drawn = held_out_pixels(
            lambda part: members.reference.logits(part.image), radar_samples(held_out)
        )
        known, label = (one.numpy() for one in drawn)
    found = estimate_priors(settings.priors, target, known, label)
    if found is None:
        return None
    called = float((target.argmax(axis=1) == 1).mean())
    return EstimatedShare(method=settings.priors, share=float(found[1]), called=called)


def _predict(
    tiles: xr.Dataset, labeller: Labeller, *, first: bool, estimated: EstimatedShare | None
) -> Predictions:
    shape = (tiles.sizes["tile"], tiles.sizes["y"], tiles.sizes["x"])
    confidence = np.empty(shape, dtype=np.float32)
    label = np.empty(shape, dtype=np.uint8)
    for start in track(range(0, shape[0], _BATCH), "labelling tiles"):
        part = slice(start, start + _BATCH)
        image = tiles["image"].isel(tile=part).values
        confidence[part], label[part] = labeller.predict(image)
    known = tiles["tile_label"].values if "tile_label" in tiles.coords else None
    shares = None if estimated is None else (1 - estimated.share, estimated.share)
    return Predictions(confidence, label, len(labeller.ensemble.classes), known, first, shares)


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
