"""A scene of a published data set → a scene store and its label raster."""

from __future__ import annotations

from pathlib import Path

from floodloom.adapters import SceneAdapter
from floodloom.arrays import IGNORE
from floodloom.datasets import DATASETS
from floodloom.errors import InputError
from floodloom.outputs import together, writes
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import write_store


@writes("out", "labels")
def ingest(*, dataset: str, root: Path, scene: str, out: Path, labels: Path | None = None) -> Path:
    """Rebuild one scene of a published data set.

    Parameters
    ----------
    dataset
        Name of the data set.
    root
        Folder it lies in.
    scene
        Name of the scene.
    out
        Scene store to write (.zarr).
    labels
        Label raster to write: 0 dry, 1 permanent water, 2 flood, 255 unknown.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the data set or the scene isn't there.
    """
    adapter = DATASETS.load(dataset)
    if not isinstance(adapter, SceneAdapter):
        raise InputError(f"dataset {dataset}: holds chips without a place; no scene can be rebuilt")
    found = adapter.scene(Path(root), scene)
    named = {"labels": labels, "out": out}
    paths = {key: Path(path) for key, path in named.items() if path is not None}
    with together(paths, folders=("out",)) as made:
        if labels is not None:
            write_cog(
                found.label,
                made["labels"],
                geobox=geobox_of(found.scene),
                nodata=IGNORE,
                descriptions=("label",),
                tags={"FLOODLOOM_PRODUCT": "truth"},
            )
        write_store(found.scene, made["out"])
    return Path(out)
