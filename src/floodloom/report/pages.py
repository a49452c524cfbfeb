"""The pages, and the events that they show."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from odc.geo.geobox import GeoBox
from pydantic import Field

from floodloom import __version__
from floodloom.errors import InputError
from floodloom.mapping.exclusion import REASON_NAMES, UNDER_PLANTS
from floodloom.mapping.products import describe_map, rows_of_map
from floodloom.mapping.settings import event_of
from floodloom.mapping.sources import open_percent
from floodloom.outputs import Files
from floodloom.raster.rows import Rows
from floodloom.raster.store import open_store
from floodloom.report.products import linked_products, zones_beside
from floodloom.report.scene import EventLayers
from floodloom.report.settings import ReportSettings
from floodloom.report.sheet import knows_no_water_before, sheet_of
from floodloom.report.texts import area, clock, score, whole
from floodloom.texts import printable
from floodloom.tiles.labels import open_labels

_OF_REPORT = {"pictures", "comparison"}
_ON_A_MACHINE = re.compile(r"~|/|\\\\|[A-Za-z]:[/\\]|file:", re.IGNORECASE)


def map_page(
    title: str, views: Sequence[Mapping[str, Any]], examples: Sequence[Mapping[str, Any]]
) -> str:
    """Return the map page.

    Parameters
    ----------
    title
        Title of the page.
    views
        One view per event, as `floodloom.report.scene.event_view` gives it. Without any, the page
        states that there is no mosaic and shows the examples.
    examples
        Tiles, as `floodloom.report.examples.example_tiles` gives them.
    """
    events = [{key: view[key] for key in view.keys() - _OF_REPORT} for view in views]
    data = {"events": events, "reasons": {**REASON_NAMES, **UNDER_PLANTS}}
    template = _environment().get_template("map.html")
    return template.render(title=title, data=_script_json(data), views=views, examples=examples)


def report_page(title: str, **content: Any) -> str:
    """Return the report.

    Parameters
    ----------
    title
        Title of the page.
    **content
        views (of the events), evaluation, training, models, audits, examples, runtimes, calibration
        (a chart or None), configuration (nested plain values, empty if unknown), failures (lines).
    """
    settings = content.pop("configuration")
    content.setdefault("failures", [])
    written = yaml.safe_dump(_set_values(settings), sort_keys=False) if settings else ""
    configuration = Markup("").join(f"{printable(row)}\n" for row in written.splitlines())
    notes = caveats(content["views"], content["evaluation"], is_whole=not content["failures"])
    scores = content["evaluation"].get("by_event", {})
    sheets = [sheet_of(view, scores.get(view["name"])) for view in content["views"]]
    template = _environment().get_template("report.html")
    return template.render(
        title=title, configuration=configuration, caveats=notes, sheets=sheets, **content
    )


def caveats(
    views: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any], *, is_whole: bool = True
) -> list[str]:
    """Return what a reader of this run's maps and scores has to know."""
    notes = [
        "Ground without data was not seen. It is never counted as dry, and areas hold only what "
        "was seen.",
        "Excluded ground is not observable by radar. In the scores it counts as not flooded, so "
        "flood that lies there is counted as missed.",
        "Scores are made from counts summed over everything and divided once. Means over chips "
        "have their own name; the two differ where chips differ.",
        "Radar sees smooth open water. Wind, dense vegetation, buildings and smooth dry ground "
        "(tarmac, sand) mislead it. Flooded vegetation is what has become brighter beside open "
        "flood water; more may lie hidden.",
    ]
    if any(knows_no_water_before(view) for view in views):
        notes.append(
            "For at least one event there was neither a scene before the flood nor reference "
            "water: its permanent water counts as flood."
        )
    if any(view["crs"] is None for view in views):
        notes.append("At least one scene has no georeference: its areas are in pixels.")
    if not evaluation.get("by_event"):
        notes.append(
            "No truth was given for any event, so nothing here is scored."
            if is_whole
            else "Some of this run failed, so nothing here is scored."
        )
    return notes


def _set_values(settings: Any) -> Any:
    """Settings without those that are left open, and without where on a machine files lie."""
    if isinstance(settings, Mapping):
        return {key: _set_values(value) for key, value in settings.items() if value is not None}
    if isinstance(settings, list):
        return [_set_values(value) for value in settings]
    if isinstance(settings, str) and _ON_A_MACHINE.match(settings):
        return ".../" + re.split(r"[/\\]", settings.rstrip("/\\"))[-1]
    return settings


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("floodloom.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": score, "whole": whole, "area": area, "clock": clock}
    environment.globals |= {"version": __version__, "further_scores": _further_scores}
    return environment


def _further_scores(evaluation: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return name and further scores of each event that has some, of all, and of the test tiles."""
    rows = {**evaluation["by_event"], "together": evaluation}
    if "further" in evaluation.get("tiles", {}):
        rows["tiles of the test split"] = evaluation["tiles"]
    return [(name, row["further"]) for name, row in rows.items() if "further" in row]


def _finalized(value: Any) -> Any:
    """Texts from outside lose secrets and unseen signs; what the pages make of them is escaped."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _script_json(data: Mapping[str, Any]) -> Markup:
    """JSON that can't end the script element it stands in."""
    return Markup(json.dumps(_visible(data), allow_nan=False).replace("<", "\\u003c"))


def _visible(data: Any) -> Any:
    """Plain values whose texts are as they may be shown."""
    if isinstance(data, Mapping):
        return {key: _visible(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_visible(value) for value in data]
    return printable(data) if isinstance(data, str) else data


class EventFiles(Files):
    """What there is of each event."""

    maps: tuple[Path, ...] = Field(default=(), description="Flood maps")
    stac_items: tuple[Path, ...] = Field(
        default=(), description="Their STAC items, one per map, whose files the map page links"
    )
    scenes: tuple[Path, ...] = Field(
        default=(), description="Scene stores after the flood, one per map"
    )
    before_scenes: tuple[Path, ...] = Field(default=(), description="Scene stores before the flood")
    probabilities: tuple[Path, ...] = Field(
        default=(), description="Probability mosaics, one per map"
    )
    truth: tuple[Path, ...] = Field(default=(), description="Label rasters")


def open_events(files: EventFiles, settings: ReportSettings, folder: Path) -> list[EventLayers]:
    """Open all that there is of each event that has a map.

    Parameters
    ----------
    files, settings
        What there is, and whose it is.
    folder
        Where the page will lie that links files.

    Raises
    ------
    InputError
        If files and events aren't pairs, or a file can't be read or isn't what it should be.
    """
    names = list(settings.events) or [event_of(path) for path in files.maps]
    before, truth = settings.before_events, settings.truth_events
    paired = {
        "map": _paired("maps", names, files.maps),
        "item": _paired("stac_items", names, files.stac_items),
        "scene": _paired("scenes", names, files.scenes),
        "percent": _paired("probabilities", names, files.probabilities),
        "before": _paired("before_scenes", before or names, files.before_scenes),
        "truth": _paired("truth", truth or names, files.truth),
    }
    return [_open_event(name, paired, folder) for name in names if name in paired["map"]]


def _paired(what: str, names: Sequence[str], paths: Sequence[Path]) -> dict[str, Path]:
    if paths and len(names) != len(paths):
        raise InputError(
            f"report: {len(paths)} {what} for the events {', '.join(names) or '(none)'}; "
            "give one per event, or name their events"
        )
    return {name: Path(path) for name, path in zip(names, paths, strict=False)}


def _open_event(name: str, files: dict[str, dict[str, Path]], folder: Path) -> EventLayers:
    path, item = files["map"][name], files["item"].get(name)
    grid, mapped = describe_map(path)
    scene, before = (files[role].get(name) for role in ("scene", "before"))
    percent, predicted = _percent(files["percent"].get(name), grid)
    return EventLayers(
        name=name,
        geobox=grid,
        classes=rows_of_map(path),
        reasons=rows_of_map(path, band=2),
        percent=percent,
        scene=None if scene is None else open_store(scene, whole_rows=True),
        before=None if before is None else open_store(before, whole_rows=True),
        truth=_truth(files["truth"].get(name), grid),
        predicted=predicted,
        mapped=mapped,
        products=[] if item is None else linked_products(item, folder),
        zones=[] if item is None else zones_beside(item),
    )


def _percent(path: Path | None, grid: GeoBox) -> tuple[Rows | None, Mapping[str, str]]:
    """Return a probability on the grid of a map, and its tags."""
    if path is None:
        return None, {}
    found = open_percent(path)
    return found.on(grid), found.tags


def _truth(path: Path | None, grid: GeoBox) -> Rows | None:
    return None if path is None else open_labels(path, grid)[0]
