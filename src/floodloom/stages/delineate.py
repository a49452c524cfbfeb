"""Probabilities after and before → flood map, polygons, likelihood, areas, STAC item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
from odc.geo.geobox import GeoBox

from floodloom.arrays import Bytes, Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.mapping.areas import pixel_areas
from floodloom.mapping.delineate import (
    Evidence,
    FloodClass,
    Rules,
    delineate_flood,
    flood_likelihood,
)
from floodloom.mapping.elevation import Elevation, read_elevation
from floodloom.mapping.event import event_of
from floodloom.mapping.exclusion import Ground, Limits
from floodloom.mapping.percent import TAGS, Probability
from floodloom.mapping.products import (
    class_areas,
    excluded_areas,
    write_depth,
    write_flood_map,
    write_likelihood,
)
from floodloom.mapping.refine import PRESETS, REFINEMENTS
from floodloom.mapping.sources import (
    polarisations,
    read_before,
    read_change,
    read_decibel,
    read_flags,
    read_land_cover,
    read_probability,
    read_reference,
)
from floodloom.mapping.stac import Sensor, require_described, stac_item, write_item
from floodloom.mapping.terrain import flood_depth
from floodloom.mapping.vectorise import flood_polygons, require_polygon_file, write_polygons
from floodloom.mapping.zones import area_table, read_zones, write_table
from floodloom.names import as_name, require_events
from floodloom.outputs import writes
from floodloom.raster.legend import companions
from floodloom.raster.store import open_store
from floodloom.sets import together

_log = get_logger(__name__)


@writes("out", "vectors", "item", "likelihood", "depth", "areas")
def delineate(
    *,
    probability: Sequence[Path] | Path,
    out: Path,
    vectors: Path,
    item: Path,
    likelihood: Path | None = None,
    depth: Path | None = None,
    areas: Path | None = None,
    scene: Path | None = None,
    before: Sequence[Path] | Path = (),
    before_scene: Path | None = None,
    reference_water: Path | None = None,
    land_cover: Path | None = None,
    dem: Path | None = None,
    zones: Path | None = None,
    event: str = "",
    threshold: int = 50,
    before_threshold: int = 20,
    fringe: int = 1,
    refine: str = "none",
    majority_window: int = 3,
    minimum_mapping_unit: float = 0.3,
    reference_minimum: int | None = None,
    minimum_change: float | None = None,
    maximum_slope: float | None = None,
    maximum_height: float | None = None,
    channel_area: float = 1.0,
    minimum_coverage: float = 0.0,
    urban: Sequence[int] = (50,),
    vegetation: Sequence[int] = (10, 95),
    mixed_orbits: bool = False,
) -> Path:
    """Tell flood from permanent water and mark what radar can't tell.

    Parameters
    ----------
    probability
        Probability mosaics after the flood, of one date; several are put together first.
    out
        Flood map to write: class, and reason of exclusion.
    vectors
        GeoPackage (.gpkg) or FlatGeobuf (.fgb) to write.
    item
        STAC item to write (.json).
    likelihood
        Likelihood of flood to write, percent.
    depth
        Flood depth to write, m; needs `dem`.
    areas
        Table of areas to write (.csv), ha.
    scene
        Scene store, whose flags exclude layover and shadow.
    before
        Probability mosaics before the flood: what is water there is permanent.
    before_scene
        Scene store before the flood, for `minimum_change` and refinements that look at it.
    reference_water
        Raster of permanent water: 1 water, 0 land; see `reference_minimum`.
    land_cover
        Raster of land cover, whose values `urban` and `vegetation` are excluded.
    dem
        Elevation raster, m.
    zones
        Polygons whose areas are listed, too; ground that one covers twice counts once.
    event
        Name of the event; that of the probability mosaic, or the item's folder, when not given.
    threshold
        Percent from which a pixel is water.
    before_threshold
        Percent from which a pixel may have been water before the flood; from there to the threshold
        water is excluded.
    fringe
        Pixels around what was or may have been water that are taken for the same.
    refine
        none, majority, crf (follows edges in the backscatter) or paul-ganju (their dense CRF).
    majority_window
        Side of the window of `majority`, px.
    minimum_mapping_unit
        Smallest patch, ha on the ground; without a CRS a pixel is taken for 100 m².
    reference_minimum
        Value of the reference water from which a pixel is permanent water, such as 50 for JRC
        occurrence; when not given 1 is water, or 50 where numbers can only be percentages.
    minimum_change
        Flood whose backscatter has changed by less since before, dB, is excluded.
    maximum_slope
        Steeper ground is excluded, degrees.
    maximum_height
        Ground higher above the nearest drainage is excluded, m.
    channel_area
        Area from which collected water makes a channel, km².
    minimum_coverage
        Pixels with a smaller share of data within 32 px are excluded.
    urban
        Values of the land cover that are built-up; those of ESA WorldCover by default.
    vegetation
        Values of the land cover that are dense vegetation.
    mixed_orbits
        Accept scenes before the flood of the other orbit direction.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If a raster can't be read or placed, the orbits differ, an input that a setting needs is
        missing, or `event` is no name.
    """
    require_events(event)
    limits = Limits(maximum_slope, maximum_height, minimum_coverage, urban, vegetation)
    probability, before = _paths(probability), _paths(before)
    after = read_probability(probability)
    rules = Rules(
        threshold,
        before_threshold,
        fringe,
        _minimum_area(minimum_mapping_unit, after.grid),
        refine,
        majority_window,
        minimum_change,
        limits,
    )
    named = {
        "flood": out,
        "polygons": vectors,
        "likelihood": likelihood,
        "depth": depth,
        "areas": areas,
    }
    files = {key: Path(path) for key, path in named.items() if path is not None}
    _check(rules, dem, depth, scene, before_scene, before)
    require_polygon_file(vectors)
    require_described(files, after.tags.get("ACQUISITION_TIME"), str(probability[0]))
    wanted = depth or maximum_slope is not None or maximum_height is not None
    terrain = read_elevation(dem, after.grid) if dem is not None and wanted else None
    reference = None
    if reference_water is not None:
        reference = read_reference(reference_water, after.grid, reference_minimum)
    evidence = Evidence(
        after.percent,
        read_before(before, after, mixed_orbits=mixed_orbits) if before else None,
        reference,
        _ground(after.grid, scene, land_cover, terrain, limits, channel_area),
        areas=pixel_areas(after.grid),
        **_backscatter(after.grid, scene, before_scene, rules, mixed_orbits),
    )
    if evidence.before is None and reference is None:
        _log.warning(
            "%s: neither a scene before the flood nor reference water; all water counts as flood",
            probability[0],
        )
    classes, reasons = delineate_flood(evidence, rules)
    products = Products(
        files,
        event or as_name(after.tags.get("FLOODLOOM_EVENT") or event_of(item)),
        _sensor(after, scene),
        None if zones is None else read_zones(zones),
    )
    with together({**files, "item": Path(item)}) as made:
        _write(replace(products, files=made), after, evidence, classes, reasons, terrain)
        stale = [
            old
            for key, path in files.items()
            for old, new in zip(companions(path), companions(made[key]), strict=True)
            if not new.exists()
        ]
    for old in stale:
        old.unlink(missing_ok=True)
    return Path(out)


def _paths(given: Sequence[Path] | Path) -> list[Path]:
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]


@dataclass(frozen=True)
class Products:
    """Files to write by key, the event's name, how the scene was taken, and the zones."""

    files: dict[str, Path]
    event: str
    sensor: Sensor
    zones: gpd.GeoDataFrame | None


def _sensor(after: Probability, scene: Path | None) -> Sensor:
    """How the scene was taken, as far as it or the probability's tags say so."""
    facts = {} if scene is None else open_store(scene).attrs
    mode, kind = (
        str(facts.get(name) or after.tags.get(name.upper(), ""))
        for name in ("instrument_mode", "product_type")
    )
    return Sensor(mode, kind, () if scene is None else polarisations(scene))


def _check(
    rules: Rules,
    dem: Path | None,
    depth: Path | None,
    scene: Path | None,
    before_scene: Path | None,
    before: Sequence[Path],
) -> None:
    """Refuse settings whose inputs are missing."""
    if rules.refine not in REFINEMENTS:
        raise InputError(f"refine {rules.refine!r}: choose one of {', '.join(REFINEMENTS)}")
    from_terrain = rules.limits.slope is not None or rules.limits.height is not None
    if dem is None and (depth is not None or from_terrain):
        raise InputError("delineate: depth, maximum_slope and maximum_height need a dem; give one")
    if rules.minimum_change is not None and (scene is None or before_scene is None):
        raise InputError("delineate: minimum_change needs scene and before_scene; give both")
    if _looks_at_edges(rules) and (scene is None or (before and before_scene is None)):
        raise InputError(
            f"delineate: refine {rules.refine} needs the scenes of all probabilities; give scene "
            "and before_scene"
        )


def _looks_at_edges(rules: Rules) -> bool:
    return rules.refine in PRESETS and PRESETS[rules.refine].radar_compat > 0


def _ground(
    grid: GeoBox,
    scene: Path | None,
    land_cover: Path | None,
    terrain: Elevation | None,
    limits: Limits,
    channel_area: float,
) -> Ground:
    slope = height = None
    if terrain is not None and limits.slope is not None:
        slope = terrain.slope_on(grid)
    if terrain is not None and limits.height is not None:
        height = terrain.height_on(grid, channel_area * 1e6)
    return Ground(
        None if scene is None else read_flags(scene, grid),
        None if land_cover is None else read_land_cover(land_cover, grid),
        slope,
        height,
    )


def _backscatter(
    grid: GeoBox, scene: Path | None, before: Path | None, rules: Rules, mixed_orbits: bool
) -> dict[str, Floats]:
    """What the rules want to know of the backscatter."""
    found: dict[str, Floats] = {}
    if scene is not None and before is not None and rules.minimum_change is not None:
        found["change"] = read_change(scene, before, grid, mixed_orbits=mixed_orbits)
    if scene is not None and _looks_at_edges(rules):
        found["decibel"] = read_decibel(scene, grid)
        if before is not None:
            found["before_decibel"] = read_decibel(before, grid)
    return found


def _write(
    products: Products,
    after: Probability,
    evidence: Evidence,
    classes: Bytes,
    reasons: Bytes,
    terrain: Elevation | None,
) -> None:
    grid, files = after.grid, dict(products.files)
    item = files.pop("item")
    tags = {name: after.tags[name] for name in TAGS if name in after.tags}
    tags["FLOODLOOM_EVENT"] = products.event
    likelihood = flood_likelihood(evidence)
    shown = np.where(classes == FloodClass.FLOOD.value, likelihood, evidence.after)
    acquired = tags.get("ACQUISITION_TIME")
    facts = {
        "event": products.event,
        "date": (acquired or "")[:10],
        "scene": tags.get("FLOODLOOM_SCENE", ""),
    }
    table = area_table(classes, grid, products.zones)  # refuses zones before anything is written
    write_flood_map(classes, reasons, files["flood"], geobox=grid, tags=tags)
    write_polygons(flood_polygons(classes, shown, grid, facts), files["polygons"])
    if "likelihood" in files:
        write_likelihood(likelihood, files["likelihood"], geobox=grid, tags=tags)
    if "depth" in files and terrain is not None:
        wet = np.isin(classes, (FloodClass.PERMANENT.value, FloodClass.FLOOD.value))
        flood, dry = classes == FloodClass.FLOOD.value, classes == FloodClass.DRY.value
        depth = flood_depth(wet, flood, dry, terrain.on(grid))
        write_depth(depth, files["depth"], geobox=grid, tags=tags)
    if "areas" in files:
        write_table(table, files["areas"])
    areas, excluded = class_areas(classes, grid), excluded_areas(reasons, grid)
    provenance = {name.lower(): value for name, value in tags.items() if value}
    found = {"area_ha": areas, "excluded_ha": excluded, "floodloom": provenance}
    described = stac_item(products.event, grid, acquired, files, found, sensor=products.sensor)
    write_item(described, item)
    why = ", ".join(f"{word} {area:.1f}" for word, area in excluded.items())
    _log.info(
        "%s: flood %.1f ha, excluded %.1f ha%s",
        products.event, areas["flood"], areas["excluded"], f" ({why})" if why else "",
    )  # fmt: skip


def _minimum_area(hectares: float, grid: GeoBox) -> float:
    """Smallest area of a patch, m²; in pixels of Sentinel-1, 100 m² each, without a CRS."""
    square_metres = hectares * 10_000
    return square_metres / 100 if grid.crs is None else square_metres
