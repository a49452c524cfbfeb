"""Densely labelled tiles → the same tiles with the sparse labels of a simulated annotator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floodloom.outputs import writes
from floodloom.tiles.annotator import annotate_tiles
from floodloom.tiles.settings import AnnotateSettings
from floodloom.tiles.store import open_tiles, write_tiles


@writes("out")
def annotate(
    *,
    tiles: Sequence[Path],
    out: Path,
    settings: AnnotateSettings = AnnotateSettings(clicks=10),
) -> Path:
    """Leave of dense labels what an annotator would have set in a given time.

    Labels of training and validation tiles become sparse; those of other splits stay, so that what
    is trained can be scored on them.

    Parameters
    ----------
    tiles
        Tile stores with dense labels.
    out
        Tile store to write (.zarr).
    settings
        What the annotator sets.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If nothing or more than one thing is to be set, or no tile of these splits is labelled.
    """
    return write_tiles(annotate_tiles(open_tiles(tiles), settings), out)
