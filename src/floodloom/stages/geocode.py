"""Backscatter in radar geometry, or that of others → a scene store on a map grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floodloom.dates import day_in_name, read_date, time_in_name
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.outputs import as_paths, writes
from floodloom.raster.store import write_store
from floodloom.sentinel1.map_scene import map_scene, open_alike, warn_of_holes
from floodloom.sentinel1.producers import is_backscatter
from floodloom.sentinel1.settings import BackscatterSettings, GeocodeSettings
from floodloom.texts import brief

_SHARD = 1536


@writes("out")
def geocode(
    *,
    scene: Sequence[Path] | Path,
    out: Path,
    dem: Path | None = None,
    companions: Sequence[Path] = (),
    settings: GeocodeSettings = GeocodeSettings(),
    backscatter: BackscatterSettings = BackscatterSettings(),
    acquired: str | None = None,
) -> Path:
    """Correct the scenes of one pass for the terrain and put them on one map grid.

    Parameters
    ----------
    scene
        Calibrated stores of one pass, or backscatter of others (files or folders of GeoTIFF, VRT or
        NetCDF, or Zarr stores), in the polarisations that all of them have; where they overlap, the
        first that saw the ground counts.
    out
        Scene store to write (.zarr).
    dem
        Elevation raster, or a folder of its tiles. Without one, every pixel is put at
        `constant_height`, and the store and the log state it.
    companions
        The event's other dates, in the same form: the grid covers them, too, so that all dates
        overlay to the pixel.
    settings
        How to geocode.
    backscatter
        What backscatter of others is, where its files don't state it.
    acquired
        When the scenes were taken, UTC, such as 2023-05-14 or 2023-05-14T16:58:21; what they or
        else the name of the first state when not given.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the elevations don't cover the scene, have no CRS or other heights, what backscatter of
        others is can't be known or is contradicted by its values, the scenes aren't made alike, not
        of one pass, without a common polarisation or not as flattening needs, or the grid would be
        absurdly large or coarse or can't show them in one piece, or `acquired` is no date.
    """
    if acquired is not None:
        _require_date(acquired)
    paths = as_paths(scene)
    if dem is None and not is_backscatter(paths[0]):
        get_logger(__name__).warning(
            "no elevations: every pixel is put at %g m, and what lies off it is displaced",
            settings.constant_height,
        )
    opened = open_alike([*paths, *map(Path, companions)], backscatter)
    dataset = map_scene(paths, opened, dem, settings)
    if when := acquired or dataset.attrs.get("acquisition_time") or _named_date(paths[0]):
        dataset.attrs["acquisition_time"] = when
    write_store(dataset, out, progress="geocoding", shard=_SHARD)
    warn_of_holes(Path(out), dem)
    return Path(out)


def _require_date(text: str) -> None:
    try:
        read_date(text)
    except ValueError:
        raise InputError(
            f"acquired {brief(text)}: not a date; give one like 2023-05-14 or 2023-05-14T16:58:21"
        ) from None


def _named_date(path: Path) -> str | None:
    found = time_in_name(str(path)) or day_in_name(str(path))
    return found.isoformat() if found else None
