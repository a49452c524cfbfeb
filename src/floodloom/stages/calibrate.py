"""A SAFE product → backscatter in radar geometry."""

from __future__ import annotations

from pathlib import Path

from floodloom.outputs import writes
from floodloom.raster.store import write_store
from floodloom.sentinel1.product import open_product
from floodloom.sentinel1.radar_scene import calibrated_scene, read_radar_scene, unpack
from floodloom.sentinel1.settings import CalibrateSettings

_SHARD = 1024


@writes("out")
def calibrate(
    *,
    safe: Path,
    out: Path,
    settings: CalibrateSettings = CalibrateSettings(),
) -> Path:
    """Calibrate a ground range product and remove its thermal noise.

    Parameters
    ----------
    safe
        SAFE folder, or its zip under any name.
    out
        Calibrated store to write (.zarr), in lines and pixels of the product.
    settings
        How to calibrate.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the product is damaged, incomplete or of another kind, or no orbit covers it.
    """
    scene = read_radar_scene(open_product(safe), settings)
    with unpack(scene.measurements, Path(out)) as images:
        backscatter = calibrated_scene(scene, images, settings)
        return write_store(backscatter, out, shard=_SHARD, progress="calibrating")
