"""STAC items of tiles → the tiles in a folder, verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from floodloom.acquire.catalogues import ELEVATIONS, file_name
from floodloom.acquire.fetch import fetch
from floodloom.acquire.item import read_asset
from floodloom.acquire.signing import signed
from floodloom.errors import InputError
from floodloom.files import GATHERED, atomic_path, write_json
from floodloom.outputs import writes
from floodloom.texts import redact


@writes("out", reads=("tiles",))
def gather(*, tiles: Sequence[str], out: Path, asset: str = ELEVATIONS) -> Path:
    """Fetch the tiles of a raster and verify them; leave all of them or none.

    Parameters
    ----------
    tiles
        Paths or addresses of STAC items, such as those of Copernicus DEM; downloads are those of
        `acquire`. Files of Planetary Computer are signed by its service.
    out
        Folder to write: the tiles under their own names, and what they came from (gathered.json).
    asset
        Key of the asset of each item, which may state its size and digest.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If a tile can't be read to its end, isn't what its item states, or two have one name.
    """
    with atomic_path(out) as temporary:
        temporary.mkdir()
        for item in tiles:
            wanted = read_asset(str(item), asset)
            path = temporary / file_name(wanted.source)
            if not path.name or path.exists():
                raise InputError(f"{redact(wanted.source)}: no name of its own; give other tiles")
            fetch(replace(wanted, source=signed(wanted.source)), path)
        write_json(temporary / GATHERED, {"gathered": [redact(str(item)) for item in tiles]})
    return Path(out)
