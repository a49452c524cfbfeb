"""The stage `relabel`: pseudo labels for unlabelled tiles, gated, accepted or refused, audited."""

from __future__ import annotations

from pathlib import Path

from floodloom.files import scratch_beside, write_json
from floodloom.learning.data.splits import labelled_as_a_whole, select, training_and_validation
from floodloom.learning.data.zarr_tiles import locate_tiles
from floodloom.learning.inference import load_ensemble
from floodloom.learning.relabelling.audit import names_of
from floodloom.learning.relabelling.round import relabel_tiles
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.outputs import together, writes
from floodloom.tiles.store import concatenate_tiles, open_tiles, write_tiles


@writes("out", "audit")
def relabel(
    *,
    tiles: list[Path],
    validation: list[Path],
    checkpoints: list[Path],
    out: Path,
    audit: Path,
    previous: Path | None = None,
    settings: RelabelSettings = RelabelSettings(),
    threads: int = 1,
) -> Path:
    """Label unlabelled tiles with an ensemble where it is sure.

    Parameters
    ----------
    tiles
        Tile stores; only tiles of the split `target` are used and their labels are never read.
        Where no pixel of the labelled stores is labelled, their wet training tiles are used, too.
    validation
        Labelled tile stores; those of the split `validation` calibrate the confidences.
    checkpoints
        The ensemble.
    out
        Pseudo-labelled tile store; empty if the round is refused.
    audit
        JSON: what was kept, how sure the ensemble was and how reliable that is.
    previous
        Pseudo-labelled tile store of the round before.
    settings
        What is kept, and when the round is refused.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.
    """
    ensemble = load_ensemble(checkpoints, threads=threads)
    labelled = locate_tiles(open_tiles(validation), validation)
    training, held_out = training_and_validation(labelled)
    opened = locate_tiles(open_tiles(tiles), tiles)
    offered = select(opened, opened["split"].values == "target")
    if labelled_as_a_whole(training):  # of the wet ones, the pixels' labels are still to be found
        wet = select(training, training["tile_label"].values == 1)
        offered = concatenate_tiles([offered, wet]) if wet.sizes["tile"] else offered
    with scratch_beside(Path(out)) as scratch:
        pseudo, found = relabel_tiles(
            offered,
            held_out,
            ensemble,
            names_of(checkpoints),
            settings,
            scratch,
            previous=None if previous is None else open_tiles(previous),
        )
        with together({"audit": Path(audit), "out": Path(out)}, folders=("out",)) as made:
            write_json(made["audit"], found.model_dump(mode="json"))
            write_tiles(pseudo, made["out"])
    return Path(out)
