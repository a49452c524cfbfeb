"""Scores of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from floodloom.arrays import IGNORE, NODATA, Bytes
from floodloom.errors import InputError
from floodloom.learning.metrics.foreground import (
    OBJECT_IOU,
    ForegroundScores,
    score_foreground,
)
from floodloom.learning.metrics.pixels import Counts, PairScores, score_map, score_probability
from floodloom.mapping.settings import EvaluateSettings, event_of
from floodloom.mapping.sources import open_percent
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.placing import PlacedRows, require_no_mask, strips
from floodloom.raster.product import FLOOD_MAP, PROBABILITY, TRUTH, FloodClass, require_product
from floodloom.raster.rows import ReadRows, RememberedRows, Rows, by_strips
from floodloom.raster.windows import most_planned, require_pixels
from floodloom.tiles.labels import classes, open_labels

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


def further_scores(
    scores: Sequence[ForegroundScores], settings: EvaluateSettings
) -> dict[str, Any]:
    """Return the further scores of images together, with what they depend on."""
    together = sum(scores, ForegroundScores()).as_dict(settings.beta)
    keys = {"beta": settings.beta, "object_iou": OBJECT_IOU}
    return {"further": {**keys, **together}}


def class_scores(chips: Sequence[Counts]) -> dict[str, Any]:
    """Return the pooled scores of images whose water is all flood."""
    pooled = sum(chips, Counts()).scores()
    return {"flood": pooled, "water": pooled}


@dataclass(frozen=True)
class Scored:
    """Scores of a map beside its truth, and further ones of its flood; those of parts add up."""

    pair: PairScores = field(default_factory=PairScores)
    further: ForegroundScores = field(default_factory=ForegroundScores)

    def __add__(self, other: Scored) -> Scored:
        return Scored(self.pair + other.pair, self.further + other.further)


def summarise(
    names: Sequence[str],
    pairs: Sequence[Scored],
    tested: dict[str, Any] | None,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    """Return the scores of all events together, of either kind, and of each event.

    Parameters
    ----------
    names
        Event of each pair.
    pairs
        Scores of a map, or a probability, beside the truth.
    tested
        Scores of an ensemble on tiles, see `floodloom.mapping.evaluation`; None: there are none.
    settings
        Among them the events whose scenes were used in training, without their labels.
    """
    by_event = {
        name: _together(
            [pair for own, pair in zip(names, pairs, strict=True) if own == name], settings
        )
        for name in dict.fromkeys(names)
    }
    total = _together(pairs, settings)
    summary: dict[str, Any] = {}
    if tested is not None:
        summary["tiles"] = {**tested["summary"], "by_event": tested["by_event"]}
        by_event = {**tested["by_event"], **by_event}
        total = total if pairs else {**tested["pooled"], "further": tested["summary"]["further"]}
    by_event = {name: {**one, "scored": _kind(name, settings)} for name, one in by_event.items()}
    kinds = {kind: _of_kind(kind, names, pairs, settings) for kind in _KINDS}
    return {**total, **kinds, "by_event": by_event, **summary}


def score_pair(
    prediction: Path, truth: Path, settings: EvaluateSettings, threads: int = 1
) -> Scored:
    """Score a flood map or a probability of water, by strips; those of others go by their numbers.

    Raises
    ------
    InputError
        If either can't be read or placed, is too large, or they have nothing in common.
    """
    raster = open_foreign(prediction, _PREDICTION)
    height, width = raster.geobox.shape.yx
    require_pixels(height, width, raster.path, most_planned())
    product = require_product(raster, _SCORED, "a flood map or the probability of water")
    label, counts = open_labels(truth, raster.geobox)
    if counts[IGNORE] == counts.sum():
        raise InputError(f"{truth}: has no class anywhere on {prediction}; give its truth")
    found: Rows
    score: Callable[[Bytes, Bytes], PairScores] = score_map
    flood = _flood_of_map
    if product == PROBABILITY or (product is None and not _holds_classes(raster)):
        found = open_percent(prediction).on(raster.geobox)
        separate = bool(counts[FloodClass.FLOOD.value])
        score = partial(score_probability, separate=separate)
        flood = partial(_flood_of_percent, separate=separate)
    else:
        classed = replace(raster, kind=_CLASSES)
        found = PlacedRows(classed, raster.geobox, classes, nodata=IGNORE)
    layers = RememberedRows(found), RememberedRows(label)

    def compared(start: int, stop: int) -> tuple[Bytes, Bytes]:
        return layers[0][start:stop], layers[1][start:stop]

    pairs = by_strips(lambda a, b: score(*compared(a, b)), height, threads=threads)
    pair = sum((part for _, part in pairs), PairScores())
    if not pair.scored:
        raise InputError(
            f"{prediction}: has no data wherever {truth} has a class, so nothing can be "
            "scored; give truth of its ground"
        )
    further = score_foreground(
        ReadRows((height, width), lambda a, b: flood(*compared(a, b))[0]),
        ReadRows((height, width), lambda a, b: flood(*compared(a, b))[1]),
        scale=100,
        beta=settings.beta,
        threads=threads,
    )
    return Scored(pair, further)


def _flood_of_map(found: Bytes, truth: Bytes) -> tuple[Bytes, Bytes]:
    """Return the flood of a map in percent, and its truth: excluded ground is not flooded."""
    label = (truth == FloodClass.FLOOD.value).astype(np.uint8)
    label[(truth == IGNORE) | (found == FloodClass.NODATA.value)] = IGNORE
    return np.where(found == FloodClass.FLOOD.value, np.uint8(100), np.uint8(0)), label


def _flood_of_percent(percent: Bytes, truth: Bytes, *, separate: bool) -> tuple[Bytes, Bytes]:
    """Return a probability in percent, and the truth of what it is compared with.

    As in `score_probability`: flood, permanent water not counted, or water where there is no flood.
    """
    label = (truth > 0).astype(np.uint8)
    label[(truth == IGNORE) | (percent == NODATA)] = IGNORE
    if separate:
        label[truth == FloodClass.PERMANENT.value] = IGNORE
    return percent, label


def _kind(name: str, settings: EvaluateSettings) -> str:
    return _KINDS[name in settings.transductive]


def _of_kind(
    kind: str, names: Sequence[str], pairs: Sequence[Scored], settings: EvaluateSettings
) -> dict[str, Any] | None:
    """Scores of the maps of one kind; tiles of a test split have their own section."""
    chosen = [p for name, p in zip(names, pairs, strict=True) if _kind(name, settings) == kind]
    return _together(chosen, settings) if chosen else None


def _holds_classes(raster: ForeignRaster) -> bool:
    """Whether a raster that doesn't state what it is has the numbers of a flood map alone."""
    some, water = False, False
    for numbers in strips(raster):
        known = numbers[np.isfinite(numbers)]
        some, water = some or bool(known.size), water or bool(known.any())
        if not np.isin(known, list(FloodClass)).all():
            return False
    if some and not water:
        require_no_mask(raster)
    return True


def _together(pairs: Sequence[Scored], settings: EvaluateSettings) -> dict[str, Any]:
    scores = sum(pairs, Scored()).pair.as_dict()
    return {**scores, **further_scores([pair.further for pair in pairs], settings)}
