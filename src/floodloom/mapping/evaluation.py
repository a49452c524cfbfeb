"""Scoring flood maps and probabilities against the truth, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from floodloom.errors import InputError
from floodloom.learning.metrics.maps import PairScores, score_map, score_probability
from floodloom.mapping.event import event_of
from floodloom.mapping.percent import read_percent
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.masks import require_no_mask
from floodloom.raster.nodata import IGNORE
from floodloom.raster.placing import place_raster
from floodloom.raster.product import FLOOD_MAP, PROBABILITY, TRUTH, FloodClass, require_product
from floodloom.tiles.labels import classes, labels_on_grid

_KINDS = ("inductive", "transductive")
_SCORED = (PROBABILITY, FLOOD_MAP, TRUTH)
_PREDICTION = Kind("prediction", unknown=(IGNORE,))
_CLASSES = replace(_PREDICTION, what="flood map", low=0, high=3, whole=True)


def event_names(event: Sequence[str], prediction: Sequence[Path]) -> list[str]:
    """Return the event of each prediction: its file's folder where none is named.

    Raises
    ------
    InputError
        If there are names, but not one per prediction.
    """
    if event and len(event) != len(prediction):
        raise InputError(
            f"evaluate: {len(event)} events for {len(prediction)} predictions; give one per map"
        )
    return list(event) or [event_of(path) for path in prediction]


def summarise(
    names: Sequence[str],
    pairs: Sequence[PairScores],
    tested: dict[str, Any] | None,
    transductive: Sequence[str],
) -> dict[str, Any]:
    """Return the scores of all events together, of either kind, and of each event.

    Parameters
    ----------
    names
        Event of each pair.
    pairs
        Scores of a map, or a probability, beside the truth.
    tested
        Scores of an ensemble on tiles, see `floodloom.mapping.tile_scores`; None: there are none.
    transductive
        Events whose scenes were used in training, without their labels.
    """
    by_event = {
        name: _together([pair for own, pair in zip(names, pairs, strict=True) if own == name])
        for name in dict.fromkeys(names)
    }
    total = _together(pairs)
    summary: dict[str, Any] = {}
    if tested is not None:
        summary["tiles"] = {**tested["summary"], "by_event": tested["by_event"]}
        by_event = {**tested["by_event"], **by_event}
        total = total if pairs else tested["pooled"]
    by_event = {
        name: {**one, "scored": _kind(name, transductive)} for name, one in by_event.items()
    }
    kinds = {kind: _of_kind(kind, names, pairs, transductive) for kind in _KINDS}
    return {**total, **kinds, "by_event": by_event, **summary}


def score_pair(prediction: Path, truth: Path) -> PairScores:
    """Score a flood map or a probability of water; those of others go by their numbers.

    Raises
    ------
    InputError
        If either can't be read or placed, or they have nothing in common.
    """
    raster = open_foreign(prediction, _PREDICTION)
    product = require_product(raster, _SCORED, "a flood map or the probability of water")
    true = labels_on_grid(truth, raster.geobox)
    if (true == IGNORE).all():
        raise InputError(f"{truth}: has no class anywhere on {prediction}; give its truth")
    if product == PROBABILITY or (product is None and not _holds_classes(raster)):
        pair = score_probability(read_percent(prediction).percent, true)
    else:
        classed = replace(raster, kind=_CLASSES)
        pair = score_map(place_raster(classed, raster.geobox, classes, nodata=IGNORE), true)
    if not pair.scored:
        raise InputError(
            f"{prediction}: has no data wherever {truth} has a class, so nothing can be "
            "scored; give truth of its ground"
        )
    return pair


def _kind(name: str, transductive: Sequence[str]) -> str:
    return _KINDS[name in transductive]


def _of_kind(
    kind: str, names: Sequence[str], pairs: Sequence[PairScores], transductive: Sequence[str]
) -> dict[str, Any] | None:
    """Scores of the maps of one kind; tiles of a test split have their own section."""
    chosen = [p for name, p in zip(names, pairs, strict=True) if _kind(name, transductive) == kind]
    return _together(chosen) if chosen else None


def _holds_classes(raster: ForeignRaster) -> bool:
    """Whether a raster that doesn't state what it is has the numbers of a flood map alone."""
    numbers = raster.read()
    known = numbers[np.isfinite(numbers)]
    if known.size and not known.any():
        require_no_mask(raster)
    return bool(np.isin(known, list(FloodClass)).all())


def _together(pairs: Sequence[PairScores]) -> dict[str, Any]:
    return sum(pairs, PairScores()).as_dict()
