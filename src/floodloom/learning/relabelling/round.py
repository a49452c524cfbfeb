"""A round of relabelling: pseudo labels of tiles by an ensemble, and whether they are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from floodloom.learning.calibration import held_out_pixels, seen_pixels
from floodloom.learning.data.samples import evenly_spaced
from floodloom.learning.data.splits import labelled_as_a_whole
from floodloom.learning.data.zarr_tiles import radar_tiles
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
)
from floodloom.learning.relabelling.gates import GATES
from floodloom.learning.relabelling.held_out import scores_by_event
from floodloom.learning.relabelling.labeller import Labeller, calibrate_labeller
from floodloom.learning.relabelling.members import Members, choose_members
from floodloom.learning.relabelling.predicted_tiles import GatedTiles, PredictedTiles
from floodloom.learning.relabelling.priors import EstimatedShare, estimate_priors
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.log import get_logger
from floodloom.raster.store import recipe_of

_log = get_logger(__name__)
_SEEN = 128  # tiles of the target that show its share of water, at most


def relabel_tiles(
    offered: xr.Dataset,
    held_out: xr.Dataset,
    ensemble: Ensemble,
    names: Sequence[str],
    settings: RelabelSettings,
    scratch: Path,
    *,
    previous: xr.Dataset | None = None,
) -> tuple[xr.Dataset, Audit]:
    """Label tiles with an ensemble where it is sure.

    Parameters
    ----------
    offered
        Tiles; their labels are never read. Those of stores are read as they are needed, see
        `floodloom.learning.data.zarr_tiles.locate_tiles`.
    held_out
        Labelled tiles that the networks weren't trained on: they calibrate the confidences.
    ensemble, names
        The networks, and what the audit calls them.
    settings
        Of the round.
    scratch
        Folder for what is predicted, which the pseudo-labelled tiles are read from.
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
        # Labels of whole tiles don't score pixels, and were learnt from already.
        settings = settings.model_copy(update={"acceptance": False, "priors": "none"})
        first = False
    ensemble.recipe.require_inputs(recipe, "tiles", ensemble.accepts)
    members = choose_members(ensemble, names, offered, held_out, settings)

    # What the held-out tiles show is measured with the statistics of those tiles.
    labeller, calibration = calibrate_labeller(
        Labeller(members.ensemble, tta=settings.tta, likelihood=members.likelihood),
        radar_tiles(held_out),
        scale=settings.calibrate,
        reference=members.reference,
    )
    estimated = _estimated(members, offered, held_out, settings)
    shares = None if estimated is None else (1 - estimated.share, estimated.share)
    predicted = PredictedTiles.of(offered, labeller, scratch, first=first, shares=shares)
    gated = GatedTiles.of(predicted, GATES.load(settings.gate), settings, scratch)
    labelled, agreement = gated.counts.sum(axis=0), _agreement(offered, gated, previous)
    reason = members.refusal or _refusal(predicted, gated, agreement, settings)
    if reason is not None:
        _log.warning("the round is refused: %s", reason)
        gated = replace(gated, kept=np.zeros_like(gated.kept))

    known = replace(labeller, ensemble=members.reference)
    audit = Audit(
        round=settings.round,
        preset=settings.preset,
        accepted=reason is None,
        reason=reason,
        tiles=TileCounts(offered=len(gated.kept), kept=int(gated.kept.sum())),
        passed_gate=kept_area(labelled, predicted.label.size, classes, recipe.spacing),
        water_share=share_of(1, predicted.ranking.counts),
        agreement_with_previous=agreement,
        confidence=confidence_histogram((part for _, part in predicted.parts()), classes),
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
    return gated.labelled(offered, classes), audit


def _estimated(
    members: Members, offered: xr.Dataset, held_out: xr.Dataset, settings: RelabelSettings
) -> EstimatedShare | None:
    """Return the target's share of water, None where it isn't asked for, or of several classes."""
    if settings.priors == "none" or len(members.ensemble.classes) > 2 or not offered.sizes["tile"]:
        return None
    seen = evenly_spaced(radar_tiles(offered), _SEEN)
    target = seen_pixels(lambda part: members.ensemble.logits(part.image), seen).numpy()
    known, label = np.zeros((0, 2)), np.zeros(0, np.int64)
    if settings.priors != "count":
        drawn = held_out_pixels(
            lambda part: members.reference.logits(part.image), radar_tiles(held_out)
        )
        known, label = (one.numpy() for one in drawn)
    found = estimate_priors(settings.priors, target, known, label)
    if found is None:
        return None
    called = float((target.argmax(axis=1) == 1).mean())
    return EstimatedShare(method=settings.priors, share=float(found[1]), called=called)


def _refusal(
    predicted: PredictedTiles,
    gated: GatedTiles,
    agreement: float | None,
    settings: RelabelSettings,
) -> str | None:
    """Return why what was labelled must be refused, or None."""
    without_labels = GATES.load(settings.gate).by_consistency
    return round_refusal(
        predicted.ranking.counts,
        None if without_labels else gated.counts.sum(axis=0),
        agreement,
        tiles=len(gated.kept),
        limited=settings.acceptance,
    )


def _agreement(tiles: xr.Dataset, gated: GatedTiles, previous: xr.Dataset | None) -> float | None:
    if previous is None:
        return None
    names, before = tiles["tile_id"].values.tolist(), previous["tile_id"].values.tolist()
    label = previous["label"]
    return agreement_with(names, gated.rows, before, lambda rows: label.isel(tile=rows).values)
