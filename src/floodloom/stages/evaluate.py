"""Maps and truth, or tiles and checkpoints → scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.pixels import Counts, count, reliability
from floodloom.learning.relabelling.scene_likelihood import tile_predictor
from floodloom.mapping.delineate import FloodClass
from floodloom.mapping.event import event_of
from floodloom.mapping.percent import read_percent
from floodloom.mapping.scores import PairScores, score_map, score_probability
from floodloom.mapping.tiles import predict_tiles
from floodloom.names import require_events
from floodloom.outputs import writes
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.masks import require_no_mask
from floodloom.raster.nodata import IGNORE
from floodloom.raster.placing import placed
from floodloom.raster.product import FLOOD_MAP, PROBABILITY, TRUTH, require_product
from floodloom.raster.store import recipe_of
from floodloom.tiles.labels import classes, labels_on_grid
from floodloom.tiles.store import open_tiles

_KINDS = ("inductive", "transductive")
_SCORED = (PROBABILITY, FLOOD_MAP, TRUTH)
_PREDICTION = Kind("prediction", unknown=(IGNORE,))
_CLASSES = replace(_PREDICTION, what="flood map", low=0, high=3, whole=True)


@writes("out")
def evaluate(
    *,
    out: Path,
    prediction: Sequence[Path] = (),
    truth: Sequence[Path] = (),
    tiles: Sequence[Path] = (),
    checkpoint: Sequence[Path] = (),
    event: Sequence[str] = (),
    transductive: Sequence[str] = (),
    batch: int = 16,
    threads: int = 1,
) -> Path:
    """Score maps against the truth, and checkpoints on test tiles.

    Parameters
    ----------
    out
        Scores to write (.json): `flood` and `water`, each with iou, f1, precision, recall, tp, fp,
        fn, tn, summed over all events, and the same by event. Each event says how it is `scored`:
        transductive, or inductive; `inductive` and `transductive` are the sums over either kind,
        null where there is none.
    prediction
        Flood maps or probability mosaics; those of others go by their numbers.
    truth
        Label rasters, one per prediction: 0 dry, 1 permanent water, 2 flood; others are unknown.
    tiles
        Tile stores; the test split is scored, or everything labelled if there is none.
    checkpoint
        Checkpoints of the ensemble that predicts the tiles.
    event
        Names of the predictions' events; their file's folder when not given.
    transductive
        Events whose scenes were used in training, without their labels.
    batch
        Tiles predicted at once.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If there is nothing to compare, predictions and truths aren't pairs, or a name of an event
        is none.
    """
    require_events(*event)
    if len(prediction) != len(truth):
        raise InputError(
            f"evaluate: {len(prediction)} predictions but {len(truth)} truths; give one per map"
        )
    if bool(tiles) != bool(checkpoint):
        raise InputError("evaluate: tiles are scored with checkpoints; give both or neither")
    if not prediction and not tiles:
        raise InputError("evaluate: nothing to score; give predictions with truths, or tiles")
    names = _event_names(event, prediction)
    pairs = [_score_pair(Path(p), Path(t)) for p, t in zip(prediction, truth, strict=True)]
    by_event = {
        name: _together([pair for own, pair in zip(names, pairs, strict=True) if own == name])
        for name in dict.fromkeys(names)
    }
    total = _together(pairs)
    summary: dict[str, Any] = {}
    if tiles:
        tested = _score_tiles(tiles, checkpoint, batch, threads)
        summary["tiles"] = {**tested["summary"], "by_event": tested["by_event"]}
        by_event = {**tested["by_event"], **by_event}
        if not prediction:
            total = tested["pooled"]
    by_event = {
        name: {**one, "scored": _kind(name, transductive)} for name, one in by_event.items()
    }
    kinds = {kind: _of_kind(kind, names, pairs, transductive) for kind in _KINDS}
    return write_json(out, {**total, **kinds, "by_event": by_event, **summary})


def _kind(name: str, transductive: Sequence[str]) -> str:
    return _KINDS[name in transductive]


def _of_kind(
    kind: str, names: Sequence[str], pairs: Sequence[PairScores], transductive: Sequence[str]
) -> dict[str, Any] | None:
    """Scores of the maps of one kind; tiles of a test split have their own section."""
    chosen = [p for name, p in zip(names, pairs, strict=True) if _kind(name, transductive) == kind]
    return _together(chosen) if chosen else None


def _event_names(event: Sequence[str], prediction: Sequence[Path]) -> list[str]:
    if event and len(event) != len(prediction):
        raise InputError(
            f"evaluate: {len(event)} events for {len(prediction)} predictions; give one per map"
        )
    return list(event) or [event_of(path) for path in prediction]


def _score_pair(prediction: Path, truth: Path) -> PairScores:
    raster = open_foreign(prediction, _PREDICTION)
    product = require_product(raster, _SCORED, "a flood map or the probability of water")
    true = labels_on_grid(truth, raster.geobox)
    if (true == IGNORE).all():
        raise InputError(f"{truth}: says nothing about {prediction}; give truth of its ground")
    if product == PROBABILITY or (product is None and not _holds_classes(raster)):
        pair = score_probability(read_percent(prediction).percent, true)
    else:
        classed = replace(raster, kind=_CLASSES)
        pair = score_map(placed(classed, raster.geobox, classes, nodata=IGNORE), true)
    if not pair.scored:
        raise InputError(
            f"{prediction}: has no data wherever {truth} knows the truth, so nothing can be "
            "scored; give truth of its ground"
        )
    return pair


def _holds_classes(raster: ForeignRaster) -> bool:
    """Whether a raster that doesn't say what it is has the numbers of a flood map alone."""
    numbers = raster.read()
    known = numbers[np.isfinite(numbers)]
    if known.size and not known.any():
        require_no_mask(raster)
    return bool(np.isin(known, list(FloodClass)).all())


def _together(pairs: Sequence[PairScores]) -> dict[str, Any]:
    return sum(pairs, PairScores()).as_dict()


def _score_tiles(
    tiles: Sequence[Path], checkpoints: Sequence[Path], batch: int, threads: int
) -> dict[str, Any]:
    """Pooled and per-chip scores of an ensemble on tiles; class 1 is both flood and water."""
    store = open_tiles(tiles)
    ensemble = load_ensemble(checkpoints, threads=threads)
    ensemble.recipe.require_inputs(recipe_of(store), ", ".join(map(str, tiles)))
    if (store.split == "test").any():
        store = store.isel(tile=np.flatnonzero(store.split.values == "test"))
    probability = predict_tiles(store, tile_predictor(ensemble), batch)
    label = _known_classes(store)
    scored = (label != IGNORE) & np.isfinite(probability)
    if not scored.any():
        raise InputError(f"{tiles[0]}: no labelled tile to score; give tiles with labels")
    predicted = probability >= 0.5
    chips = [count(*chip) for chip in zip(predicted, label == 1, scored, strict=True)]
    by_event = {
        str(name): _class_scores([chips[i] for i in np.flatnonzero(store.event.values == name)])
        for name in np.unique(store.event.values)
    }
    pooled = sum(chips, Counts())
    return {
        "pooled": _class_scores(chips),
        "by_event": by_event,
        "summary": {
            "count": len(chips),
            "pooled": pooled.scores(),
            "mean_of_chip_iou": _mean_iou(chips),
            "mean_of_chip_macro_jaccard": _mean_macro_jaccard(chips),
            "calibration": _calibration(probability[scored], (label == 1)[scored]),
        },
    }


def _known_classes(tiles: xr.Dataset) -> NDArray[np.uint8]:
    """Return the labels of tiles; what is none of their classes would count as land."""
    label: NDArray[np.uint8] = tiles.label.values
    number = len(json.loads(tiles.attrs["classes"]))
    strange = label[((label < 0) | (label >= number)) & (label != IGNORE)]
    if strange.size:
        raise InputError(
            f"tiles: label {strange[0]} is no class; labels must be 0 to {number - 1}, or {IGNORE} "
            "for pixels to ignore"
        )
    return label


def _class_scores(chips: Sequence[Counts]) -> dict[str, Any]:
    pooled = sum(chips, Counts()).scores()
    return {"flood": pooled, "water": pooled}


def _mean_iou(chips: Sequence[Counts]) -> float:
    held = [chip.iou for chip in chips if chip.tp + chip.fp + chip.fn]
    return float(np.mean(held)) if held else 0.0


def _mean_macro_jaccard(chips: Sequence[Counts]) -> float:
    both = []
    for chip in (chip for chip in chips if chip != Counts()):
        dry = Counts(tp=chip.tn, fp=chip.fn, fn=chip.fp, tn=chip.tp)
        held = [c.iou for c in (chip, dry) if c.tp + c.fp + c.fn]
        both.append(np.mean(held))
    return float(np.mean(both))


def _calibration(probability: NDArray[np.float32], true: NDArray[np.bool_]) -> dict[str, Any]:
    confidence = np.where(probability >= 0.5, probability, 1 - probability)
    return reliability(confidence, (probability >= 0.5) == true).as_dict()
