"""Reading what is known of each pixel of a map, and checking that it is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox
from pydantic import Field

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.mapping.brightening import Pair, read_pair
from floodloom.mapping.change import read_change
from floodloom.mapping.delineate import Evidence
from floodloom.mapping.earlier import SECONDS, read_before, read_decibels, scenes_by_date
from floodloom.mapping.exclusion import Ground
from floodloom.mapping.refine import PRESETS
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.sources import (
    Probability,
    read_decibel,
    read_flags,
    read_land_cover,
    read_reference,
)
from floodloom.mapping.water import USUAL, Pace, water_occurrence
from floodloom.outputs import Files, Paths
from floodloom.raster.areas import pixel_areas
from floodloom.raster.placing import mean_rows
from floodloom.raster.rows import Rows
from floodloom.sentinel1.relief import Elevation, read_elevation


class DelineateFiles(Files):
    """What is known of an event beside the water after the flood."""

    scene: Path | None = Field(
        default=None, description="Scene store, whose flags exclude layover and shadow"
    )
    before: Paths = Field(
        default=(),
        description="Probability mosaics before the flood, of one date or several, known by their "
        "tag ACQUISITION_TIME: what is water there, or on half of the dates, is permanent",
    )
    before_scene: Paths = Field(
        default=(),
        description="Scene stores before the flood, against which flooded vegetation is brighter, "
        "and for minimum_change, minimum_z_score and refinements that look at them",
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


_log = get_logger(__name__)
_COMPARING = ("minimum_change", "minimum_z_score")


def require_enough(files: DelineateFiles, settings: DelineateSettings, *, depth: bool) -> None:
    """Refuse settings whose inputs are missing; `depth`, whether the flood depth is mapped."""
    if files.dem is None and (depth or _asks_terrain(settings)):
        raise InputError("delineate: depth, maximum_slope and maximum_height need a dem; give one")
    for key in _COMPARING:
        if getattr(settings, key) is not None and not (files.scene and files.before_scene):
            raise InputError(f"delineate: {key} needs scene and before_scene; give both")
    unseen = files.scene is None or (files.before and not files.before_scene)
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
    pace: Pace = USUAL,
) -> Evidence:
    """Open what is known of each pixel, on the grid of a probability.

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
    pace
        How the dates before the flood, if there are several, are worked through.

    Raises
    ------
    InputError
        If a raster can't be read or placed, the orbits differ, or the date of one isn't known
        beside others.
    """
    grid = after.grid
    reference = None
    if files.reference_water is not None:
        reference = read_reference(files.reference_water, grid, settings.reference_minimum)
    evidence = Evidence(
        after.percent,
        reference=reference,
        ground=_ground(grid, files, terrain, settings),
        areas=pixel_areas(grid),
        decibel=_decibel(grid, files.scene, settings),
        pair=_pair(grid, files),
        **_change(grid, files, settings),
        **_water_before(grid, files, after, settings, pace),
    )
    if evidence.before is None and reference is None:
        _log.warning(
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


def _decibel(grid: GeoBox, scene: Path | None, settings: DelineateSettings) -> Rows | None:
    """Return the backscatter after the flood, if the refinement looks at it."""
    return None if scene is None or not _looks_at_edges(settings) else read_decibel(scene, grid)


def _pair(grid: GeoBox, files: DelineateFiles) -> Pair | None:
    """Return the backscatter of both dates, if it can show flood under plants."""
    if files.scene is None or not files.before_scene:
        return None
    return read_pair(files.scene, files.before_scene, grid)


def _change(grid: GeoBox, files: DelineateFiles, settings: DelineateSettings) -> dict[str, Any]:
    """Return the change of backscatter, if the settings ask for it."""
    if files.scene is None or all(getattr(settings, key) is None for key in _COMPARING):
        return {}
    mixed = settings.mixed_orbits
    change = read_change(files.scene, files.before_scene, grid, mixed_orbits=mixed)
    if change.z_score is None and settings.minimum_z_score is not None:
        _log.warning(
            "%s: of one date, so minimum_z_score excludes nothing; give scenes of more dates, or "
            "minimum_change", files.before_scene[0],
        )  # fmt: skip
    return {"change": change.decibel, "z_score": change.z_score}


def _water_before(
    grid: GeoBox,
    files: DelineateFiles,
    after: Probability,
    settings: DelineateSettings,
    pace: Pace,
) -> dict[str, Any]:
    """Return the water of all dates before the flood, and how often it was there."""
    dates = read_before(files.before, after, mixed_orbits=settings.mixed_orbits)
    if not dates:
        return {}
    scenes = scenes_by_date(files.before_scene) if _looks_at_edges(settings) else []
    decibels = read_decibels([date.date for date in dates], scenes, grid)
    percents = [date.percent for date in dates]
    before = mean_rows(percents)
    if len(dates) == 1:
        return {"before": before, "before_decibel": decibels[0]}
    times = tuple(sorted(date.date.acquired[:SECONDS] for date in dates))
    _log.info("%d dates before the flood: %s", len(dates), ", ".join(times))
    pairs = list(zip(percents, decibels, strict=True))
    return {
        "before": before,
        "occurrence": water_occurrence(pairs, settings, pixel_areas(grid), pace),
        "dates": times,
    }
