"""What `map` and `init` are given; all else is found out from files and catalogues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import Field

from floodloom.settings import Settings

Datum = Literal["ellipsoid", "egm96", "egm2008"]
"""What elevations may be measured from."""
_Numbers = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


class OwnFiles(Settings):
    """One's own scenes and elevations."""

    scenes: tuple[Path, ...] = Field(
        default=(),
        description="Scenes of the flood: SAFE folders, zips, or backscatter of others; scenes of "
        "earlier passes among them are taken as before the flood",
    )
    before: tuple[Path, ...] = Field(default=(), description="Scenes from before the flood")
    dem: Path | None = Field(
        default=None,
        description="Elevation raster, or a folder of its tiles; products need one, unless `height`"
        " is given",
    )
    dem_heights: Datum | None = Field(
        default=None,
        description="What the elevations are measured from; when not given, what their CRS or name "
        "states",
    )
    height: float | None = Field(
        default=None,
        ge=-500,
        le=9000,
        description="Height of flat ground above the ellipsoid, m, in place of elevations",
    )


class Search(Settings):
    """A flood whose scenes a catalogue has."""

    date: str | None = Field(
        default=None,
        description="Begin of the flood, such as 2023-05-14 or 2023-05-14T16:00:00 (UTC): its "
        "scenes are looked for in a catalogue",
    )
    catalogue: str | None = Field(
        default=None,
        description="copernicus (which is taken when not given), asf, earth-search, "
        "planetary-computer, or the address of a STAC API or catalog.json; elevations come from "
        "it, too, where none are given",
    )
    reference_water: bool = Field(
        default=False,
        description="Fetch JRC Global Surface Water, by which permanent water is known, too; from "
        "the catalogue, or from Planetary Computer",
    )
    land_cover: bool = Field(
        default=False,
        description="Fetch ESA WorldCover: built-up land and dense vegetation are excluded; from "
        "the catalogue, or from Planetary Computer",
    )
    optical: bool = Field(
        default=False,
        description="Look for the clearest image of Sentinel-2 within days of the scene, from "
        "which a run learns that distils; from the catalogue, or from Earth Search",
    )
    orbits: bool = Field(
        default=False,
        description="Fetch the precise orbit of each product, or the restituted one as long as "
        "there is no other, instead of the product's own state vectors",
    )
    rtc: bool = Field(
        default=False,
        description="Look for scenes that others have corrected for the terrain (RTC): nothing is "
        "calibrated, and no elevations are needed; from the catalogue, or from Planetary Computer, "
        "which has no other scenes",
    )
    dates_before: int = Field(
        default=1, ge=1, le=12, description="How many dates before the flood are looked for"
    )


class Area(Settings):
    """The part that is mapped; all that the scenes show where nothing is given."""

    bbox: _Numbers = Field(default=None, description="West,south,east,north, degrees")
    aoi: Path | None = Field(
        default=None,
        description="File of polygons around what is mapped: GeoJSON, GeoPackage, FlatGeobuf or "
        "shapefile; their areas are listed, too",
    )
    place: _Numbers = Field(
        default=None,
        description="Longitude,latitude,km: as far around a place in each direction",
    )
