"""A seed → SAFE products before and after a flood, elevation, optical image, truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from floodloom.files import atomic_path
from floodloom.log import get_logger
from floodloom.raster.cog import ACQUIRED, write_cog
from floodloom.simulate.event import AFTER, image_event, make_event, product_content
from floodloom.simulate.optical import CHANNELS, optical_image
from floodloom.simulate.safe import write_safe


def simulate(
    *,
    out_before: Path,
    out_after: Path,
    dem: Path,
    optical: Path,
    truth: Path,
    event: str = "simulated",
    seed: int | None = None,
    size: int = 1024,
    spacing: float = 10.0,
    flood_depth: float = 2.5,
    relief: float = 40.0,
    cloud_share: float = 0.3,
) -> Path:
    """Simulate a flood event whose truth is known.

    Parameters
    ----------
    out_before, out_after
        SAFE folders to write: IW GRDH, VV and VH, on the same pass.
    dem
        Elevation raster to write, m above the ellipsoid.
    optical
        Optical raster to write: green, red, nir, swir reflectance and cloud, after the flood.
    truth
        Label raster to write: 0 dry, 1 permanent water, 2 flood.
    event
        Name of the event, for the log.
    seed
        Seed of the place; 0 when not given.
    size
        Lines and pixels of the radar image.
    spacing
        Pixel spacing of image and map, m.
    flood_depth
        Level of the flood above the drainage, m.
    relief
        Standard deviation of the hills' height, m.
    cloud_share
        Share of the optical image under cloud, 0-1.

    Returns
    -------
    Path
        `out_after`.
    """
    place = make_event(seed or 0, size, spacing, flood_depth, relief)
    grid = place.geobox
    for out, flood in ((out_before, False), (out_after, True)):
        content = product_content(place, image_event(place, flood), flood)
        with atomic_path(out) as temporary:
            write_safe(content, temporary)
    elevation = place.landscape.elevation.astype(np.float32)
    write_cog(elevation, dem, geobox=grid, nodata=np.nan, descriptions=("elevation",))
    image = optical_image(place.landscape, True, cloud_share, place.seed)
    tags = {ACQUIRED: str(AFTER)}
    write_cog(image, optical, geobox=grid, nodata=np.nan, descriptions=CHANNELS, tags=tags)
    tags = {"FLOODLOOM_PRODUCT": "truth"}
    write_cog(place.truth, truth, geobox=grid, nodata=255, descriptions=("label",), tags=tags)
    shares = [f"{(place.truth == value).mean():.1%}" for value in (1, 2)]
    get_logger(__name__).info("%s: permanent water %s, flood %s", event, *shares)
    return Path(out_after)
