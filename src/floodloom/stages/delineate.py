"""Probabilities after and before → flood map, polygons, likelihood, areas, STAC item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floodloom.mapping.delineate import delineate_flood
from floodloom.mapping.evidence import (
    DelineateFiles,
    read_evidence,
    read_terrain,
    require_enough,
)
from floodloom.mapping.item import collection_link, require_described
from floodloom.mapping.polygons import require_polygon_file
from floodloom.mapping.product_set import FloodMap, FloodProducts, sensor_of, write_products
from floodloom.mapping.settings import DelineateSettings, event_of
from floodloom.mapping.sources import open_probability
from floodloom.mapping.water import Pace
from floodloom.mapping.zones import read_zones
from floodloom.names import as_name, require_events
from floodloom.outputs import as_paths, writes

_MOST_THREADS = 4  # what is done in order, from strip to strip, keeps up with no more


@writes("out", "vectors", "item", "flatgeobuf", "likelihood", "depth", "areas")
def delineate(
    *,
    probability: Sequence[Path] | Path,
    products: FloodProducts,
    files: DelineateFiles = DelineateFiles(),
    settings: DelineateSettings = DelineateSettings(),
    threads: int = 1,
) -> Path:
    """Distinguish flood from permanent water and mark what radar can't observe.

    Parameters
    ----------
    probability
        Probability mosaics after the flood, of one date; several are put together first.
    products
        What is written.
    files
        What else is known of the event.
    settings
        How flood is recognised.
    threads
        CPU threads.

    Returns
    -------
    Path
        The flood map.

    Raises
    ------
    InputError
        If a raster can't be read or placed, the orbits differ, an input that a setting needs is
        missing, or the event's name is none.
    """
    require_events(settings.event)
    paths = as_paths(probability)
    after = open_probability(paths)
    pace = Pace(threads=min(threads, _MOST_THREADS))
    depth = products.depth is not None
    require_enough(files, settings, depth=depth)
    for path in filter(None, (products.vectors, products.flatgeobuf)):
        require_polygon_file(path)
    acquired = after.tags.get("ACQUISITION_TIME")
    require_described(products.described(), acquired, str(paths[0]))

    terrain = read_terrain(files, settings, after.grid, depth=depth)
    evidence = read_evidence(after, files, terrain, settings, paths[0], pace)
    found = delineate_flood(evidence, settings, pace)
    named = settings.event or as_name(after.tags.get("FLOODLOOM_EVENT") or event_of(products.item))
    sensor = sensor_of(after, files.scene)
    zones = None if files.zones is None else read_zones(files.zones)
    link = collection_link(Path(settings.collection), products.item) if settings.collection else {}
    write_products(FloodMap(named, after, found, terrain, sensor, zones, link), products, pace)
    return products.out
