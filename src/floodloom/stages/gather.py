"""STAC items of tiles, or of a scene's bands → the files in a folder, verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floodloom.acquire.catalogues import AROUND, ELEVATIONS, file_name, scene_facts
from floodloom.acquire.fetch import fetch
from floodloom.acquire.item import Asset, asset_of, read_item
from floodloom.acquire.signing import signed
from floodloom.errors import InputError
from floodloom.files import GATHERED, atomic_path, remove, write_json
from floodloom.log import get_logger
from floodloom.names import as_name
from floodloom.outputs import writes
from floodloom.texts import is_address, redact

if TYPE_CHECKING:
    from floodloom.acquire.window import Area

_log = get_logger(__name__)


@writes("out", reads=("tiles",))
def gather(
    *,
    tiles: Sequence[str],
    out: Path,
    asset: Sequence[str] = (ELEVATIONS,),
    bounds: Sequence[float] | None = None,
    epsg: int | None = None,
    resolution: float = 10.0,
    margin: int = AROUND,
    stack: bool = False,
) -> Path:
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
    bounds
        Left, bottom, right, top of the map, in the units of `epsg`. Of a GeoTIFF on the web of
        which that needs less than half, the part alone is fetched, if the server sends parts; a
        part can't be verified by a digest.
    epsg
        EPSG code of the map, without which files are fetched as a whole.
    resolution
        Pixel spacing of the map.
    margin
        Pixels of each raster that are needed around the map.
    stack
        Put the assets of each item together as one GeoTIFF, on the finest of their grids, whose
        bands are described by the keys: an image of Sentinel-2 L2A with its classification.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If a file can't be read to its end, isn't what its item states, or two have one name; if
        none shows anything of the map.
    """
    area = None
    if bounds is not None and epsg is not None:
        area = _area(bounds, epsg, resolution, margin)
    with atomic_path(out) as temporary:
        temporary.mkdir()
        items = [read_item(str(source)) for source in tiles]
        for source, item in zip(tiles, items, strict=True):
            wanted = {key: asset_of(item["assets"], str(source), key) for key in asset}
            if stack:
                _stack(wanted, item, temporary, area)
            else:
                for one in wanted.values():
                    _fetch(one, temporary, area)
        if not any(temporary.iterdir()):
            raise InputError(f"{redact(str(tiles[0]))}: shows nothing of the map; give other tiles")
        note: dict[str, Any] = {"gathered": [redact(str(source)) for source in tiles]}
        if len(items) == 1:
            note["scene"] = _facts(items[0])
        write_json(temporary / GATHERED, note)
    return Path(out)


def _stack(
    wanted: Mapping[str, Asset], item: Mapping[str, Any], folder: Path, area: Area | None
) -> None:
    """Fetch the bands of an item beside one another, and put them together."""
    from floodloom.acquire.stack import stack_bands, tags_of

    apart = folder / "bands"
    apart.mkdir()
    for one in wanted.values():
        _fetch(one, apart, area)
    bands = {key: apart / file_name(one.source) for key, one in wanted.items()}
    if all(path.exists() for path in bands.values()):  # else it shows nothing of the map
        name = as_name(str(item.get("id") or "image"))
        stack_bands(bands, folder / f"{name}.tif", tags_of(item))
    remove(apart)


def _area(bounds: Sequence[float], epsg: int, resolution: float, margin: int) -> Area:
    from floodloom.acquire.window import Area  # with grids, which whole files don't need
    from floodloom.raster.grid import grid_from_bounds

    left, bottom, right, top = bounds
    return Area(grid_from_bounds((left, bottom, right, top), epsg, resolution), margin)


def _fetch(wanted: Asset, folder: Path, area: Area | None) -> None:
    path = folder / file_name(wanted.source)
    if not path.name or path.exists():
        raise InputError(f"{redact(wanted.source)}: no name of its own; give other tiles")
    source = signed(wanted.source)
    if area is not None and is_address(source):
        from floodloom.acquire.window import Outcome, fetch_part

        outcome = fetch_part(source, path, area)
        if outcome is Outcome.ELSEWHERE:
            _log.info("%s: shows nothing of the map; left out", redact(source))
        if outcome is not Outcome.WHOLE:
            return
    fetch(replace(wanted, source=source), path)


def _facts(item: Mapping[str, Any]) -> dict[str, str | int]:
    """Return what an item states of how its scene was taken; nothing where it can't be read."""
    stated = item.get("properties")
    try:
        return scene_facts(stated) if isinstance(stated, Mapping) else {}
    except ValueError:
        return {}
