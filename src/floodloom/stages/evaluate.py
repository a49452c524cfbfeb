"""Maps and truth, or tiles and checkpoints → scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.mapping.evaluation import event_names, score_pair, summarise
from floodloom.mapping.settings import EvaluateSettings
from floodloom.names import require_events
from floodloom.outputs import writes

_MOST_THREADS = 4  # strips of a map that are held at once


@writes("out")
def evaluate(
    *,
    out: Path,
    prediction: Sequence[Path] = (),
    truth: Sequence[Path] = (),
    tiles: Sequence[Path] = (),
    checkpoint: Sequence[Path] = (),
    settings: EvaluateSettings = EvaluateSettings(),
    threads: int = 1,
) -> Path:
    """Score maps against the truth, and checkpoints on test tiles.

    Parameters
    ----------
    out
        Scores to write (.json): `flood` and `water`, each with iou, f1, precision, recall, tp, fp,
        fn, tn, summed over all events, and the same by event. Each event states how it is `scored`:
        transductive, or inductive; `inductive` and `transductive` are the sums over either kind,
        null where there is none. `further` are accuracy, mean IoU, Fβ, mean absolute error and
        boundary F1 of the flood, pooled; its objects; its background; and the means over maps, or
        tiles, of S-measure, E-measure and weighted Fβ.
    prediction
        Flood maps or probability mosaics; those of others go by their numbers.
    truth
        Labels, one per prediction, as for `tile`: rasters of 0 dry, 1 permanent water and 2 flood,
        all else unknown; or points, lines and polygons with their classes.
    tiles
        Tile stores; the test split is scored, or everything labelled if there is none.
    checkpoint
        Checkpoints of the ensemble that predicts the tiles.
    settings
        Whose scores they are, and what the further ones depend on.
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
    require_events(*settings.event)
    if len(prediction) != len(truth):
        raise InputError(
            f"evaluate: {len(prediction)} predictions but {len(truth)} truths; give one per map"
        )
    if bool(tiles) != bool(checkpoint):
        raise InputError("evaluate: tiles are scored with checkpoints; give both or neither")
    if not prediction and not tiles:
        raise InputError("evaluate: nothing to score; give predictions with truths, or tiles")
    names = event_names(settings.event, prediction)
    pairs = [
        score_pair(Path(p), Path(t), settings, min(threads, _MOST_THREADS))
        for p, t in zip(prediction, truth, strict=True)
    ]
    tested = None
    if tiles:
        from floodloom.mapping.tile_scores import score_tiles  # which needs torch

        tested = score_tiles(tiles, checkpoint, settings, threads)
    return write_json(out, summarise(names, pairs, tested, settings))
