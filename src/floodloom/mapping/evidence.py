"""Reading what is known of each pixel of a map, and checking that it is enough."""

from __future__ import annotations

from pathlib import Path

from odc.geo.geobox import GeoBox
from pydantic import Field

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.mapping.delineate import Evidence
from floodloom.mapping.exclusion import Ground
from floodloom.mapping.refine import PRESETS
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.sources import (
    Probability,
    read_before,
    read_change,
    read_decibel,
    read_flags,
    read_land_cover,
    read_reference,
)
from floodloom.outputs import Files, Paths
from floodloom.raster.areas import pixel_areas
from floodloom.sentinel1.relief import Elevation, read_elevation


class DelineateFiles(Files):
    """What is known of an event beside the water after the flood."""

    scene: Path | None = Field(
        default=None, description="Scene store, whose flags exclude layover and shadow"
    )
    before: Paths = Field(
        default=(),
        description="Probability mosaics before the flood: what is water there is permanent",
    )
    before_scene: Path | None = Field(
        default=None,
        description="Scene store before the flood, for minimum_change and refinements that look at "
        "it",
    )
    reference_water: Path | None = Field(
        default=None,
        description="Raster of permanent water: 1 water, 0 land; see reference_minimum",
    )
    land_cover: Path | None = Field(
        default=None,
        description="Raster of land cover, whose values urban and vegetation are excluded",
    )
    dem: Path | None = Field(default=None, description="Elevation raster, m")
    zones: Path | None = Field(
        default=None,
        description="Polygons whose areas are listed, too; ground that one covers twice counts "
        "once",
    )


def require_enough(files: DelineateFiles, settings: DelineateSettings, *, depth: bool) -> None:
    """Refuse settings whose inputs are missing; `depth`, whether the flood depth is mapped."""
    if files.dem is None and (depth or _asks_terrain(settings)):
        raise InputError("delineate: depth, maximum_slope and maximum_height need a dem; give one")
    if settings.minimum_change is not None and (files.scene is None or files.before_scene is None):
        raise InputError("delineate: minimum_change needs scene and before_scene; give both")
    unseen = files.scene is None or (files.before and files.before_scene is None)
    if _looks_at_edges(settings) and unseen:
        raise InputError(
            f"delineate: refine {settings.refine} needs the scenes of all probabilities; give "
            "scene and before_scene"
        )


def read_terrain(
    files: DelineateFiles, settings: DelineateSettings, grid: GeoBox, *, depth: bool
) -> Elevation | None:
    """Read the elevations, if anything is made of them."""
    if files.dem is None or not (depth or _asks_terrain(settings)):
        return None
    return read_elevation(files.dem, grid)


def read_evidence(
    after: Probability,
    files: DelineateFiles,
    terrain: Elevation | None,
    settings: DelineateSettings,
    source: Path,
) -> Evidence:
    """Read what is known of each pixel onto the grid of a probability.

    Parameters
    ----------
    after
        Probability of water after the flood.
    files
        What else is known.
    terrain
        Elevations, for `maximum_slope` and `maximum_height`.
    settings
        What is asked of the evidence.
    source
        File of the probability, for messages.

    Raises
    ------
    InputError
        If a raster can't be read or placed, or the orbits differ.
    """
    grid, mixed = after.grid, settings.mixed_orbits
    reference = None
    if files.reference_water is not None:
        reference = read_reference(files.reference_water, grid, settings.reference_minimum)
    evidence = Evidence(
        after.percent,
        read_before(files.before, after, mixed_orbits=mixed) if files.before else None,
        reference,
        _ground(grid, files, terrain, settings),
        areas=pixel_areas(grid),
        **_backscatter(grid, files.scene, files.before_scene, settings),
    )
    if evidence.before is None and reference is None:
        get_logger(__name__).warning(
            "%s: neither a scene before the flood nor reference water; all water counts as flood",
            source,
        )
    return evidence


def _asks_terrain(settings: DelineateSettings) -> bool:
    return settings.maximum_slope is not None or settings.maximum_height is not None


def _looks_at_edges(settings: DelineateSettings) -> bool:
    return settings.refine in PRESETS and PRESETS[settings.refine].radar_compat > 0


def _ground(
    grid: GeoBox,
    files: DelineateFiles,
    terrain: Elevation | None,
    settings: DelineateSettings,
) -> Ground:
    slope = height = None
    if terrain is not None and settings.maximum_slope is not None:
        slope = terrain.slope_on(grid)
    if terrain is not None and settings.maximum_height is not None:
        height = terrain.height_on(grid)
    return Ground(
        None if files.scene is None else read_flags(files.scene, grid),
        None if files.land_cover is None else read_land_cover(files.land_cover, grid),
        slope,
        height,
    )


def _backscatter(
    grid: GeoBox, scene: Path | None, before: Path | None, settings: DelineateSettings
) -> dict[str, Floats]:
    """What the settings ask of the backscatter."""
    found: dict[str, Floats] = {}
    if scene is not None and before is not None and settings.minimum_change is not None:
        found["change"] = read_change(scene, before, grid, mixed_orbits=settings.mixed_orbits)
    if scene is not None and _looks_at_edges(settings):
        found["decibel"] = read_decibel(scene, grid)
        if before is not None:
            found["before_decibel"] = read_decibel(before, grid)
    return found
