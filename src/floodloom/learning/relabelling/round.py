"""One round of relabelling: choose the networks, predict, gate, accept or refuse, audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.splits import select
from floodloom.learning.inference import Ensemble, ensemble_of
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.relabelling.acceptance import (
    Acceptance,
    agreement_with,
    round_refusal,
    share_of,
)
from floodloom.learning.relabelling.adaptation import (
    AdaptedNetwork,
    adapt_statistics,
    sensor_difference,
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
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.log import get_logger, track
from floodloom.raster.nodata import IGNORE
from floodloom.raster.store import recipe_of

_log = get_logger(__name__)
_BATCH = 8


@dataclass(frozen=True)
class Members:
    """The networks of a round.

    Attributes
    ----------
    networks
        Those that label; all of them, as they are, where none may.
    left_out
        Why others don't, by name.
    refusal
        Why the round is refused whatever is predicted, if it is.
    likelihood
        Greatest weight of the local likelihood.
    """

    networks: Sequence[AdaptedNetwork]
    left_out: dict[str, str]
    refusal: str | None
    likelihood: float

    @property
    def statistics(self) -> list[str | None]:
        """Which batch statistics each has, None where that was no question."""
        notes = [one.checkpoint.notes.get("batch_statistics", {}) for one in self.networks]
        return [note.get("kept") for note in notes]

    @property
    def ensemble(self) -> Ensemble:
        """What predicts the unlabelled tiles."""
        return ensemble_of([one.checkpoint for one in self.networks])

    @cached_property
    def reference(self) -> Ensemble:
        """What predicts the held-out tiles."""
        return ensemble_of([one.reference for one in self.networks])


def choose_members(
    ensemble: Ensemble,
    names: Sequence[str],
    offered: xr.Dataset,
    held_out: xr.Dataset,
    settings: RelabelSettings,
) -> Members:
    """Choose the networks that may label, each adapted to the unlabelled tiles.

    Parameters
    ----------
    ensemble, names
        The networks, and what the audit calls them.
    offered
        Unlabelled tiles.
    held_out
        Labelled tiles that show which networks are accurate enough.
    settings
        Of the round.
    """
    members = _accurate_members(ensemble, names, offered, held_out, settings)
    if members.refusal is None and GATES.load(settings.gate).by_consistency:
        return replace(members, refusal=_other_sensor(members.networks, offered, held_out))
    return members


def _accurate_members(
    ensemble: Ensemble,
    names: Sequence[str],
    offered: xr.Dataset,
    held_out: xr.Dataset,
    settings: RelabelSettings,
) -> Members:
    """Return the networks that are accurate enough, and can be adapted."""
    acceptance = Acceptance(radar_samples(held_out), cross_entropy, limits=settings)
    adapting = settings.batch_statistics and offered.sizes["tile"]
    target = radar_samples(offered) if adapting else None
    members, left_out, unlike = [], {}, False
    for name, one in zip(names, ensemble.checkpoints, strict=True):
        reason = acceptance.inaccuracy(one)
        if reason is None:
            member = AdaptedNetwork(one, one)
            if target is not None:
                member = adapt_statistics(one, target, acceptance, settings.batch_statistics)
            reason = member.refusal
            unlike = unlike or reason is not None
        if reason is None:
            members.append(member)
        else:
            left_out[name] = reason
    if members:
        return Members(members, left_out, None, settings.likelihood)

    # On ground that no network can be adapted to, the likelihood would spread their errors.
    likelihood = 0.0 if unlike else settings.likelihood
    every = [AdaptedNetwork(one, one) for one in ensemble.checkpoints]
    return Members(every, left_out, next(iter(left_out.values())), likelihood)


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
    ensemble.recipe.require_inputs(recipe, "tiles")
    members = choose_members(ensemble, names, offered, held_out, settings)

    # What the held-out tiles show is measured with the statistics of those tiles.
    labeller, calibration = calibrate_labeller(
        Labeller(members.ensemble, tta=settings.tta, likelihood=members.likelihood),
        radar_samples(held_out),
        scale=settings.calibrate,
        reference=members.reference,
    )
    predictions = _predict(offered, labeller, first=previous is None)
    gate = GATES.load(settings.gate)
    label, kept = _gated(gate, predictions, settings)
    agreement = _agreement(offered, label, previous)
    pseudo = None if gate.by_consistency else label
    reason = members.refusal or round_refusal(predictions, pseudo, agreement, settings)
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
        limits=settings,
        tta=settings.tta,
        likelihood=labeller.likelihood,
        greatest_likelihood=max(map(float, calibration.likelihood)),
        batch_statistics=members.statistics,
        validation=scores_by_event(held_out, known.predict, len(classes)),
        left_out=members.left_out,
        checkpoints=list(names),
    )
    return _pseudo_labelled(offered, label, kept, classes), audit


def _other_sensor(
    members: Sequence[AdaptedNetwork], offered: xr.Dataset, held_out: xr.Dataset
) -> str | None:
    """Return why the target mustn't be learnt from by consistency, if its sensor is another.

    What a network takes for water there may be wrong alike in all views.
    """
    if not offered.sizes["tile"]:
        return None
    target, known = radar_samples(offered), radar_samples(held_out)
    signs = (sensor_difference(one.checkpoint, target, known) for one in members)
    sign = next((sign for sign in signs if sign), None)
    return sign and f"{sign}, and consistent views can be wrong alike; choose pixel-gate"


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
        kept = (label != IGNORE).mean(axis=(1, 2)) >= settings.minimum_kept
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
