"""Backscatter in radar geometry, or that of others → a scene store on a map grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floodloom.log import get_logger
from floodloom.outputs import as_paths, writes
from floodloom.raster.store import write_store
from floodloom.sentinel1.map_scene import map_scene, open_alike, warn_of_holes
from floodloom.sentinel1.producers import is_backscatter
from floodloom.sentinel1.settings import BackscatterSettings, GeocodeSettings

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
        absurdly large or coarse or can't show them in one piece.
    """
    paths = as_paths(scene)
    if dem is None and not is_backscatter(paths[0]):
        get_logger(__name__).warning(
            "no elevations: every pixel is put at %g m, and what lies off it is displaced",
            settings.constant_height,
        )
    opened = open_alike([*paths, *map(Path, companions)], backscatter)
    dataset = map_scene(paths, opened, dem, settings)
    write_store(dataset, out, progress="geocoding", shard=_SHARD)
    warn_of_holes(Path(out), dem)
    return Path(out)
