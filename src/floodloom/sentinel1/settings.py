"""Settings of the stages `calibrate` and `geocode`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from floodloom.settings import Settings

Coefficient = Literal["beta0", "sigma0", "gamma0", "dn"]
"""What a product can be calibrated to; dn leaves the squared digital numbers."""


class CalibrateSettings(Settings):
    """From digital numbers to backscatter in radar geometry."""

    quantity: Coefficient = Field(
        default="gamma0",
        description="Backscatter coefficient; flattening needs beta0; dn: squared digital numbers",
    )
    polarisations: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Polarisations to calibrate; co and cross name those of the product; all when "
        "not given",
    )
    remove_noise: bool = Field(default=True, description="Subtract the thermal noise")
    orbit: Path | None = Field(
        default=None,
        description="Orbit file (.EOF, also zipped) or a folder of them with its subfolders; "
        "when not given, the product's own state vectors",
    )


class GeocodeSettings(Settings):
    """From radar geometry to the map."""

    epsg: int | None = Field(
        default=None,
        description="EPSG code of the map grid; when not given, the UTM zone of the event's "
        "scenes, or UPS near the poles",
    )
    bounds: tuple[float, ...] | None = Field(
        default=None,
        min_length=4,
        max_length=4,
        description="Left, bottom, right, top that the grid is kept to, in the units of its CRS; "
        "when not given, where there are scenes and elevations",
    )
    resolution: float = Field(
        default=10.0,
        gt=0,
        description="Pixel spacing of the map grid, in the units of its CRS: m, or degrees",
    )
    flatten: bool = Field(
        default=False,
        description="Flatten the terrain by area projection: beta0 becomes gamma0",
    )
    dem_heights: Literal["ellipsoid", "egm96", "egm2008"] | None = Field(
        default=None,
        description="What the elevations are measured from; what their CRS states when not given",
    )
    constant_height: float = Field(
        default=0.0,
        ge=-500,
        le=9000,
        description="Height above the ellipsoid of events without elevations, m",
    )
    speckle_filter: Literal[
        "none", "boxcar", "lee", "lee_sigma", "refined_lee", "gamma_map", "multitemporal"
    ] = Field(default="none", description="Speckle filter after geocoding")
    speckle_window: int = Field(default=5, ge=3, description="Side of the filter's window, px; odd")
