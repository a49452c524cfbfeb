"""Settings of the stages `calibrate` and `geocode`, and what is stated of others' backscatter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, field_validator

from floodloom.settings import Settings

Coefficient = Literal["beta0", "sigma0", "gamma0", "dn"]
"""What a product can be calibrated to; dn leaves the squared digital numbers."""

FETCH = "fetch"
"""In place of orbit files: those that cover each product are fetched."""
OrbitSource = Literal["fetch"] | Path | None


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
    orbit: OrbitSource = Field(
        default=None,
        description="Orbit file (.EOF, also zipped) or a folder of them with its subfolders; "
        "`fetch`: the one that covers each product, precise or else restituted, which the run "
        "fetches; when not given, the product's own state vectors",
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
    ] = Field(default="none", description="Speckle filter after geocoding, by windows of 5 x 5 px")


BackscatterScale = Literal["db", "power", "amplitude", "dn"]
"""What backscatter is given as; dn are digital numbers that nobody has calibrated."""

Polarisation = Literal["vv", "vh", "hh", "hv"]


class BackscatterSettings(Settings):
    """What backscatter of others is, where its files don't state it or state it wrongly."""

    scale: BackscatterScale | None = Field(
        default=None,
        description="What its numbers are: decibel, linear power, amplitude, or digital numbers; "
        "when not given, what names, units or negative values state",
    )
    scale_factor: float | None = Field(
        default=None,
        description="What the stored numbers are multiplied by to be of that scale, such as 0.01 "
        "for hundredths of a decibel; not for bands that state a scale of their own",
    )
    quantity: Literal["sigma0", "gamma0", "beta0"] | None = Field(
        default=None, description="Backscatter coefficient; what names state when not given"
    )
    bands: dict[str, int | str] = Field(
        default_factory=dict,
        description="Where each polarisation (vv, vh, hh, hv) is: number of the band, its "
        "description or variable, or the name of its file; what names state when not given",
    )
    nodata: tuple[float, ...] = Field(
        default=(),
        description="Numbers, as they are stored, that are no data, beside NaN and what the files "
        "declare: 0 in many products in decibel",
    )
    flattened: bool | None = Field(
        default=None,
        description="Terrain-flattened by area projection (RTC); when not given, only where names "
        "state it",
    )

    @field_validator("scale_factor")
    @classmethod
    def _not_nothing(cls, factor: float | None) -> float | None:
        if factor == 0:
            raise ValueError("must not be 0, which leaves no numbers")
        return factor

    @field_validator("bands")
    @classmethod
    def _each_its_own(cls, bands: dict[str, int | str]) -> dict[str, int | str]:
        numbered = {name.lower(): _number_or_name(place) for name, place in bands.items()}
        for name, place in numbered.items():
            if name not in get_args(Polarisation):
                known = ", ".join(get_args(Polarisation))
                raise ValueError(f"{name[:40]!r} is none of {known}")
            if place == "" or (isinstance(place, int) and place < 1):
                raise ValueError(f"{name} is band {place!r}, but bands count from 1")
        if len(set(numbered.values())) < len(numbered):
            raise ValueError("one band can't be two polarisations")
        return numbered

    @field_validator("nodata", mode="before")
    @classmethod
    def _beside_nan(cls, values: Any) -> Any:
        """NaN is no data anyway."""
        listed = values if isinstance(values, list | tuple) else [values]
        return [value for value in listed if str(value).lower() not in ("nan", ".nan")]


def _number_or_name(place: int | str) -> int | str:
    """A command line has texts alone."""
    return int(place) if isinstance(place, str) and place.isascii() and place.isdigit() else place
