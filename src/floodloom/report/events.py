"""What there is of each event of a run, opened and put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from odc.geo.geobox import GeoBox
from pydantic import Field

from floodloom.arrays import Bytes
from floodloom.errors import InputError
from floodloom.mapping.event import event_of
from floodloom.mapping.features import read_features
from floodloom.mapping.percent import read_percent
from floodloom.mapping.products import read_map
from floodloom.outputs import Files
from floodloom.raster.align import onto_grid
from floodloom.raster.nodata import IGNORE
from floodloom.raster.store import open_store
from floodloom.report.scene import EventLayers
from floodloom.report.settings import ReportSettings
from floodloom.tiles.labels import labels_on_grid


class EventFiles(Files):
    """What there is of each event."""

    maps: tuple[Path, ...] = Field(default=(), description="Flood maps")
    vectors: tuple[Path, ...] = Field(
        default=(), description="Their polygons (.gpkg), one file per map"
    )
    scenes: tuple[Path, ...] = Field(
        default=(), description="Scene stores after the flood, one per map"
    )
    before_scenes: tuple[Path, ...] = Field(default=(), description="Scene stores before the flood")
    probabilities: tuple[Path, ...] = Field(
        default=(), description="Probability mosaics, one per map"
    )
    truth: tuple[Path, ...] = Field(default=(), description="Label rasters")


def open_events(files: EventFiles, settings: ReportSettings) -> list[EventLayers]:
    """Open all that there is of each event that has a map.

    Raises
    ------
    InputError
        If files and events aren't pairs, or a file can't be read or isn't what it should be.
    """
    names = list(settings.events) or [event_of(path) for path in files.maps]
    before, truth = settings.before_events, settings.truth_events
    paired = {
        "map": _paired("maps", names, files.maps),
        "vectors": _paired("vectors", names, files.vectors),
        "scene": _paired("scenes", names, files.scenes),
        "percent": _paired("probabilities", names, files.probabilities),
        "before": _paired("before_scenes", before or names, files.before_scenes),
        "truth": _paired("truth", truth or names, files.truth),
    }
    return [_open_event(name, paired) for name in names if name in paired["map"]]


def _paired(what: str, names: Sequence[str], paths: Sequence[Path]) -> dict[str, Path]:
    if paths and len(names) != len(paths):
        raise InputError(
            f"report: {len(paths)} {what} for the events {', '.join(names) or '(none)'}; "
            "give one per event, or name their events"
        )
    return {name: Path(path) for name, path in zip(names, paths, strict=False)}


def _open_event(name: str, files: dict[str, dict[str, Path]]) -> EventLayers:
    path, vectors = files["map"][name], files["vectors"].get(name)
    if vectors is None:
        raise InputError(f"report: event {name} has a map but no vectors; give its .gpkg, too")
    grid, (classes, reasons), _ = read_map(path)
    scene, before = (files[role].get(name) for role in ("scene", "before"))
    percent, predicted = _percent(files["percent"].get(name), grid)
    return EventLayers(
        name=name,
        geobox=grid,
        classes=classes,
        reasons=reasons,
        polygons=read_features(vectors, "file of polygons"),
        percent=percent,
        scene=None if scene is None else open_store(scene),
        before=None if before is None else open_store(before),
        truth=_truth(files["truth"].get(name), grid),
        predicted=predicted,
    )


def _percent(path: Path | None, grid: GeoBox) -> tuple[Bytes | None, Mapping[str, str]]:
    """Return a probability on the grid of a map, and its tags."""
    if path is None:
        return None, {}
    found = read_percent(path)
    return onto_grid(found.percent, found.grid, grid, IGNORE, str(path)), found.tags


def _truth(path: Path | None, grid: GeoBox) -> Bytes | None:
    return None if path is None else labels_on_grid(path, grid)
