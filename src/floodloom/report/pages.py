"""The two pages, each one file that opens without network."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from floodloom import __version__
from floodloom.mapping.exclusion import REASON_NAMES
from floodloom.texts import printable

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
    data = {"events": list(views), "reasons": REASON_NAMES}
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
        (a chart or None), configuration (nested plain values, empty if unknown).
    """
    settings = content.pop("configuration")
    written = yaml.safe_dump(_set_values(settings), sort_keys=False) if settings else ""
    configuration = Markup("").join(f"{printable(row)}\n" for row in written.splitlines())
    notes = caveats(content["views"], content["evaluation"])
    template = _environment().get_template("report.html")
    return template.render(title=title, configuration=configuration, caveats=notes, **content)


def caveats(views: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any]) -> list[str]:
    """Return what a reader of this run's maps and scores has to know."""
    notes = [
        "Ground without data was not seen. It is never counted as dry, and areas hold only what "
        "was seen.",
        "Excluded ground is not observable by radar. In the scores it counts as not flooded, so "
        "flood that lies there is counted as missed.",
        "Scores are made from counts summed over everything and divided once. Means over chips "
        "have their own name; the two differ where chips differ.",
        "Radar sees smooth open water. Wind, dense vegetation, buildings and smooth dry ground "
        "(tarmac, sand) mislead it.",
    ]
    if any(not view["before"] and not view["areas"]["permanent"]["pixels"] for view in views):
        notes.append(
            "For at least one event there was neither a scene before the flood nor reference "
            "water: its permanent water counts as flood."
        )
    if any(view["crs"] is None for view in views):
        notes.append("At least one scene has no georeference: its areas are in pixels.")
    if not evaluation.get("by_event"):
        notes.append("No truth was given for any event, so nothing here is scored.")
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
    environment.filters |= {"score": _score, "whole": _whole, "area": _area, "clock": _clock}
    environment.globals["version"] = __version__
    return environment


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


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


def _area(entry: Mapping[str, float]) -> str:
    if "ha" not in entry:
        return f"{_whole(entry['pixels'])} px"
    return f"{entry['ha'] / 100:,.2f} km²".replace(",", "\u202f")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
