"""A seed → SAFE products before and after a flood, elevation, optical image, truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from floodloom.arrays import IGNORE
from floodloom.log import get_logger
from floodloom.outputs import together, writes
from floodloom.raster.cog import ACQUIRED, write_cog
from floodloom.simulate.event import AFTER, image_event, make_event, product_content
from floodloom.simulate.optical import CHANNELS, optical_image
from floodloom.simulate.safe import write_safe
from floodloom.simulate.settings import SPACING_M, SimulateSettings

_FLOOD_DEPTH_M = 2.5  # above the drainage: the plain is flooded, its edge is not
_RELIEF_M = 40.0  # standard deviation of the hills' height: valleys to flood, slopes to lie over
_CLOUD_SHARE = 0.3  # of the optical image: enough to show what a network does under clouds


@writes("out_before", "out_after", "dem", "optical", "truth")
def simulate(
    *,
    out_before: Path,
    out_after: Path,
    dem: Path,
    optical: Path,
    truth: Path,
    event: str = "simulated",
    settings: SimulateSettings = SimulateSettings(),
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
    settings
        The place, its flood and its images.

    Returns
    -------
    Path
        `out_after`.
    """
    place = make_event(
        settings.seed or 0,
        settings.size,
        SPACING_M,
        _FLOOD_DEPTH_M,
        _RELIEF_M,
    )
    grid = place.geobox
    paths = {"before": out_before, "after": out_after, "dem": dem, "optical": optical}
    named = {key: Path(path) for key, path in {**paths, "truth": truth}.items()}

    with together(named, folders=("before", "after")) as made:
        for key, flood in (("before", False), ("after", True)):
            write_safe(product_content(place, image_event(place, flood), flood), made[key])

        elevation = place.elevation.astype(np.float32)
        write_cog(elevation, made["dem"], geobox=grid, nodata=np.nan, descriptions=("elevation",))

        image = optical_image(place.landscape, True, _CLOUD_SHARE, place.seed)
        write_cog(
            image, made["optical"], geobox=grid, nodata=np.nan,
            descriptions=CHANNELS, tags={ACQUIRED: str(AFTER)},
        )  # fmt: skip
        write_cog(
            place.landscape.label, made["truth"], geobox=grid, nodata=IGNORE,
            descriptions=("label",), tags={"FLOODLOOM_PRODUCT": "truth"},
        )  # fmt: skip
    shares = [f"{(place.landscape.label == value).mean():.1%}" for value in (1, 2)]
    get_logger(__name__).info("%s: permanent water %s, flood %s", event, *shares)
    return Path(out_after)
