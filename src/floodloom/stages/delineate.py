"""Probabilities after and before → flood map, polygons, STAC item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.log import get_logger
from floodloom.mapping.align import onto_grid
from floodloom.mapping.areas import pixel_areas
from floodloom.mapping.delineate import Evidence, delineate_flood, minimum_pixels
from floodloom.mapping.products import class_areas, stac_item, write_flood_map, write_item
from floodloom.mapping.vectorise import flood_polygons, write_polygons
from floodloom.raster.grid import geobox_of, quiet_about_georeference
from floodloom.raster.store import open_store, read_raster


def delineate(
    *,
    probability: Path,
    out: Path,
    vectors: Path,
    item: Path,
    scene: Path | None = None,
    before: Path | None = None,
    reference_water: Path | None = None,
    event: str = "",
    threshold: int = 50,
    minimum_mapping_unit: float = 0.3,
) -> Path:
    """Tell flood from permanent water and mark what radar can't tell.

    Parameters
    ----------
    probability
        Probability mosaic after the flood.
    out
        Flood map to write: class, and reason of exclusion.
    vectors
        GeoPackage to write.
    item
        STAC item to write (.json).
    scene
        Scene store, whose flags exclude layover and shadow.
    before
        Probability mosaic before the flood: what is water there is permanent.
    reference_water
        Raster of permanent water: 1 water, 0 land.
    event
        Name of the event; that of the probability mosaic, or the item's folder, when not given.
    threshold
        Percent from which a pixel is water.
    minimum_mapping_unit
        Smallest patch, ha; without a CRS a pixel is taken for 100 m².

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If a raster can't be read or placed.
    """
    after, grid = read_raster(probability, "probability mosaic")
    earlier = None
    if before is not None:
        values, source = read_raster(before, "probability mosaic")
        earlier = onto_grid(values, source, grid, 255, str(before))
    permanent = None
    if reference_water is not None:
        values, source = read_raster(reference_water, "reference water")
        permanent = onto_grid(values.astype("uint8"), source, grid, 255, str(reference_water)) == 1
    if before is None and reference_water is None:
        get_logger(__name__).warning(
            "%s: neither a scene before the flood nor reference water; all water counts as flood",
            probability,
        )
    classes, reasons = delineate_flood(
        Evidence(after, earlier, permanent, _flags(scene, grid)),
        threshold=threshold,
        minimum_pixels=minimum_pixels(minimum_mapping_unit, _pixel_area(grid)),
    )
    tags = _tags(probability)
    name = event or tags.get("FLOODLOOM_EVENT") or Path(item).resolve().parent.name
    acquired = tags.get("ACQUISITION_TIME")
    facts = {
        "event": name,
        "date": (acquired or "")[:10],
        "scene": tags.get("FLOODLOOM_SCENE", ""),
    }
    write_flood_map(classes, reasons, out, geobox=grid, tags={**tags, "FLOODLOOM_EVENT": name})
    write_polygons(flood_polygons(classes, after, grid, facts), vectors)
    areas = class_areas(classes, grid)
    assets = {"flood": Path(out), "polygons": Path(vectors)}
    write_item(stac_item(name, grid, acquired, assets, {"area_ha": areas}), item)
    get_logger(__name__).info(
        "%s: flood %.1f ha, excluded %.1f ha", out, areas["flood"], areas["excluded"]
    )
    return Path(out)


def _flags(scene: Path | None, grid: GeoBox) -> NDArray[np.uint8] | None:
    store = None if scene is None else open_store(scene)
    if store is None or "flags" not in store:
        return None
    return onto_grid(store["flags"].values, geobox_of(store), grid, 0, str(scene))


def _pixel_area(grid: GeoBox) -> float:
    """Area of a pixel in the middle of the grid, m²; of Sentinel-1's 10 m pixel without a CRS."""
    areas = pixel_areas(grid)
    return 100.0 if areas is None else float(areas[len(areas) // 2])


def _tags(path: Path) -> dict[str, str]:
    kept = (
        "FLOODLOOM_RECIPE",
        "FLOODLOOM_EVENT",
        "FLOODLOOM_SCENE",
        "FLOODLOOM_CHECKPOINT",
        "ACQUISITION_TIME",
    )
    with quiet_about_georeference(), rasterio.open(path) as raster:
        tags = raster.tags()
    return {name: tags[name] for name in kept if name in tags}
