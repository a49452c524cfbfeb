"""All results of a run → report and map page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from floodloom.arrays import Bytes
from floodloom.errors import InputError
from floodloom.learning.checkpoint import read_metadata
from floodloom.learning.inference import load_ensemble
from floodloom.learning.relabelling.audit import read_audit
from floodloom.log import get_logger
from floodloom.mapping.event import event_of
from floodloom.mapping.features import read_features
from floodloom.mapping.percent import read_percent
from floodloom.mapping.products import read_map
from floodloom.names import require_events
from floodloom.outputs import writes
from floodloom.raster.align import onto_grid
from floodloom.raster.nodata import IGNORE
from floodloom.raster.store import open_store
from floodloom.records import read_record
from floodloom.report.examples import example_tiles, pseudo_labelled_tiles
from floodloom.report.pages import map_page as render_map
from floodloom.report.pages import report_page as render_report
from floodloom.report.records import Evaluation
from floodloom.report.results import (
    Trained,
    audit_views,
    calibration_chart,
    runtimes,
    trained_rows,
    training_charts,
)
from floodloom.report.scene import EventLayers, event_view
from floodloom.sets import together
from floodloom.tiles.labels import labels_on_grid
from floodloom.tiles.store import open_tiles

_ORDER = (
    "simulate", "calibrate", "geocode", "ingest", "tile", "teach", "distill", "train", "relabel",
    "predict", "delineate", "evaluate",
)  # fmt: skip
_FIGURE = 1000


@writes("out", "map_page")
def report(
    *,
    out: Path,
    map_page: Path,
    evaluation: Path | None = None,
    maps: Sequence[Path] = (),
    vectors: Sequence[Path] = (),
    scenes: Sequence[Path] = (),
    before_scenes: Sequence[Path] = (),
    probabilities: Sequence[Path] = (),
    truth: Sequence[Path] = (),
    checkpoints: Sequence[Path] = (),
    audits: Sequence[Path] = (),
    tiles: Sequence[Path] = (),
    pseudo: Sequence[Path] = (),
    benchmarks: Path | None = None,
    events: Sequence[str] = (),
    before_events: Sequence[str] = (),
    truth_events: Sequence[str] = (),
    config: str = "",
    title: str = "Flood mapping run",
    examples: int = 6,
    threads: int = 1,
) -> Path:
    """Write the report and the map page; both open without network.

    Parameters
    ----------
    out
        Report to write (.html).
    map_page
        Map page to write (.html).
    evaluation
        Scores (.json).
    maps
        Flood maps.
    vectors
        Their polygons (.gpkg), one file per map.
    scenes
        Scene stores after the flood, one per map.
    before_scenes
        Scene stores before the flood.
    probabilities
        Probability mosaics, one per map.
    truth
        Label rasters.
    checkpoints
        Checkpoints in the order they were trained; those in the last one's folder are the ensemble
        that predicts the example tiles.
    audits
        Audits of the rounds of relabelling (.json).
    tiles
        Labelled tile stores, for examples.
    pseudo
        Pseudo-labelled tile stores, one per audit, for examples of each round.
    benchmarks
        Folder of Snakemake's benchmark files, one folder per stage.
    events
        Names of the maps' events; their file's folder when not given.
    before_events
        Events of the scenes before the flood; those of the maps when not given.
    truth_events
        Events of the label rasters; those of the maps when not given.
    config
        Configuration that ran, as JSON text.
    title
        Title of the pages.
    examples
        Example tiles.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If files and events aren't pairs, or a file can't be read or isn't what it should be.
    """
    require_events(*events, *before_events, *truth_events)
    names = list(events) or [event_of(path) for path in maps]
    files = {
        "map": _paired("maps", names, maps),
        "vectors": _paired("vectors", names, vectors),
        "scene": _paired("scenes", names, scenes),
        "percent": _paired("probabilities", names, probabilities),
        "before": _paired("before_scenes", list(before_events) or names, before_scenes),
        "truth": _paired("truth", list(truth_events) or names, truth),
    }
    opened = [_open_event(name, files) for name in names if name in files["map"]]
    shown = _examples(tiles, checkpoints, examples, threads)
    trained = [_trained(Path(path)) for path in checkpoints]
    scores = {}
    if evaluation is not None:
        scores = read_record(evaluation, Evaluation).model_dump(exclude_unset=True)
    page = render_report(
        title,
        views=[event_view(layers, _FIGURE) for layers in opened],
        evaluation=scores,
        training=training_charts(trained),
        models=trained_rows(trained),
        audits=_rounds(audits, pseudo, examples),
        examples=shown,
        runtimes=[] if benchmarks is None else runtimes(Path(benchmarks), _ORDER),
        calibration=_calibration(scores),
        configuration=_configuration(config),
    )
    map_text = render_map(title, [event_view(layers) for layers in opened], shown)
    with together({"map_page": Path(map_page), "out": Path(out)}) as made:
        made["map_page"].write_text(map_text, encoding="utf-8")
        made["out"].write_text(page, encoding="utf-8")
    get_logger(__name__).info("%s: %d maps, %d example tiles", out, len(opened), len(shown))
    return Path(out)


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


def _trained(path: Path) -> Trained:
    return Trained(path.stem, path.parent.name, read_metadata(path))


def _examples(
    tiles: Sequence[Path], checkpoints: Sequence[Path], number: int, threads: int
) -> list[dict[str, Any]]:
    if not tiles or not checkpoints or number < 1:
        return []
    final = Path(checkpoints[-1]).parent
    ensemble = load_ensemble([p for p in checkpoints if Path(p).parent == final], threads=threads)
    return example_tiles(open_tiles(tiles), ensemble.probabilities, number)


def _rounds(audits: Sequence[Path], pseudo: Sequence[Path], number: int) -> list[dict[str, Any]]:
    if pseudo and len(pseudo) != len(audits):
        raise InputError(
            f"report: {len(pseudo)} pseudo-labelled stores for {len(audits)} audits; give one each"
        )
    found = [read_audit(path) for path in audits]
    stores = zip(found, pseudo, strict=False)
    shown = {audit.round: pseudo_labelled_tiles(open_tiles(path), number) for audit, path in stores}
    return audit_views(found, shown)


def _calibration(scores: dict[str, Any]) -> Any:
    found = scores.get("tiles", {}).get("calibration")
    return calibration_chart({"test tiles": found}) if found else None


def _configuration(text: str) -> Any:
    try:
        return json.loads(text) if text else {}
    except ValueError as error:
        raise InputError(f"report: config isn't JSON text ({error}); pass a JSON dump") from error
