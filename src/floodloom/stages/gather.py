"""STAC items of tiles, or of a scene's bands → the files in a folder, verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from floodloom.acquire.catalogues import ELEVATIONS, file_name, scene_facts
from floodloom.acquire.fetch import fetch
from floodloom.acquire.item import Asset, asset_of, read_item
from floodloom.acquire.signing import signed
from floodloom.errors import InputError
from floodloom.files import GATHERED, atomic_path, write_json
from floodloom.outputs import writes
from floodloom.texts import redact


@writes("out", reads=("tiles",))
def gather(*, tiles: Sequence[str], out: Path, asset: Sequence[str] = (ELEVATIONS,)) -> Path:
    """Fetch the tiles of a raster, or the bands of a scene, and verify them; leave all or none.

    Parameters
    ----------
    tiles
        Paths or addresses of STAC items, such as those of Copernicus DEM; downloads are those of
        `acquire`. Files of Planetary Computer are signed by its service.
    out
        Folder to write: the files under their own names, what they came from, and of a single item
        when and how its scene was taken (gathered.json).
    asset
        Keys of the assets of each item, which may state their size and digest.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If a file can't be read to its end, isn't what its item states, or two have one name.
    """
    with atomic_path(out) as temporary:
        temporary.mkdir()
        items = [read_item(str(source)) for source in tiles]
        for source, item in zip(tiles, items, strict=True):
            for key in asset:
                _fetch(asset_of(item["assets"], str(source), key), temporary)
        note: dict[str, Any] = {"gathered": [redact(str(source)) for source in tiles]}
        if len(items) == 1:
            note["scene"] = _facts(items[0])
        write_json(temporary / GATHERED, note)
    return Path(out)


def _fetch(wanted: Asset, folder: Path) -> None:
    path = folder / file_name(wanted.source)
    if not path.name or path.exists():
        raise InputError(f"{redact(wanted.source)}: no name of its own; give other tiles")
    fetch(replace(wanted, source=signed(wanted.source)), path)


def _facts(item: Mapping[str, Any]) -> dict[str, str | int]:
    """Return what an item states of how its scene was taken; nothing where it can't be read."""
    stated = item.get("properties")
    try:
        return scene_facts(stated) if isinstance(stated, Mapping) else {}
    except ValueError:
        return {}
