"""The members of an ensemble that label, and the one whose statistics they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import xarray as xr

from floodloom.learning.data.zarr_tiles import radar_tiles
from floodloom.learning.inference import Ensemble, ensemble_of
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.relabelling.acceptance import (
    Acceptance,
)
from floodloom.learning.relabelling.adaptation import (
    AdaptedNetwork,
    adapt_statistics,
    sensor_difference,
)
from floodloom.learning.relabelling.gates import GATES
from floodloom.learning.relabelling.settings import RelabelSettings


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
    acceptance = Acceptance(radar_tiles(held_out), cross_entropy, limited=settings.acceptance)
    adapting = settings.batch_statistics and offered.sizes["tile"]
    target = radar_tiles(offered) if adapting else None
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


def _other_sensor(
    members: Sequence[AdaptedNetwork], offered: xr.Dataset, held_out: xr.Dataset
) -> str | None:
    """Return why the target mustn't be learnt from by consistency, if its sensor is another.

    What a network takes for water there may be wrong alike in all views.
    """
    if not offered.sizes["tile"]:
        return None
    target, known = radar_tiles(offered), radar_tiles(held_out)
    signs = (sensor_difference(one.checkpoint, target, known) for one in members)
    sign = next((sign for sign in signs if sign), None)
    return sign and f"{sign}, and consistent views can be wrong alike; choose pixel-gate"
