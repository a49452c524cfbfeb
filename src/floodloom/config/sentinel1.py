"""Settings of the stages `simulate`, `calibrate` and `geocode`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from floodloom.config.base import Settings


class SimulateSettings(Settings):
    """Simulated events; each event's `seed` makes it another place."""

    size: int = Field(default=1024, ge=128, description="Lines and pixels of the radar image")
    spacing: float = Field(default=10.0, gt=0, description="Pixel spacing of image and map, m")
    flood_depth: float = Field(
        default=2.5, gt=0, description="Level of the flood above the drainage, m"
    )
    relief: float = Field(
        default=40.0, ge=0, description="Standard deviation of the hills' height, m"
    )
    cloud_share: float = Field(
        default=0.3, ge=0, le=1, description="Share of the optical image under cloud"
    )


class CalibrateSettings(Settings):
    """From digital numbers to backscatter in radar geometry."""

    quantity: Literal["beta0", "sigma0", "gamma0"] = Field(
        default="gamma0", description="Backscatter coefficient; flattening needs beta0"
    )
    polarisations: tuple[str, ...] = Field(
        default=("vv", "vh"), min_length=1, description="Polarisations to calibrate"
    )
    remove_noise: bool = Field(default=True, description="Subtract the thermal noise")


class GeocodeSettings(Settings):
    """From radar geometry to the map."""

    epsg: int | None = Field(
        default=None, description="EPSG code of the map grid; null: the UTM zone of the scene"
    )
    resolution: float = Field(default=10.0, gt=0, description="Pixel spacing of the map grid, m")
    flatten: bool = Field(
        default=False,
        description="Flatten the terrain by area projection: beta0 becomes gamma0",
    )
    dem_heights: Literal["ellipsoid"] = Field(
        default="ellipsoid",
        description="What the elevations are measured from; only ellipsoidal heights so far",
    )
    speckle_filter: Literal["none", "boxcar", "lee"] = Field(
        default="none", description="Speckle filter after geocoding"
    )
    speckle_window: int = Field(default=5, ge=3, description="Side of the filter's window, px")
