"""The report of a run in which some events failed: the maps of the others, and what failed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import floodloom
from floodloom.files import remove
from floodloom.workflow.failures import LISTED, noted_failures
from floodloom.workflow.plan import Plan

INCOMPLETE = "incomplete"
"""Folder of the pages, in that of a run's results."""
_OF_DATE = re.compile(r"(.+)-(?:after|before(?:-\d+)?)")
_LONGEST = 100_000
"""Characters of an argument of a command; Linux takes 128 KiB."""
_OF_ALL = ("evaluate", "report")


def report_rest(plan: Plan, threads: int) -> str:
    """Write report and map page of the events that are mapped although others failed.

    It is for runs that went on with what doesn't depend on a failure, and train nothing: what such
    a failure leaves behind is made by this run, or by one with the same inputs.

    Parameters
    ----------
    plan
        What the run is made of.
    threads
        CPU threads.

    Returns
    -------
    str
        A line that names the report; empty where there is none.
    """
    folder = Path(plan.folder) / INCOMPLETE
    remove(folder)
    trained = plan.checkpoint is None and plan.baseline is None
    failed = failed_events(plan, noted_failures(Path(plan.folder), names_of(plan)))
    events = [] if trained or failed is None else _mapped(plan, failed)
    if not events:
        return ""
    place = str(Path(floodloom.__file__).parents[1])
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), place])
    called = [sys.executable, "-m", "floodloom.cli", "report", *_options(plan, events)]
    found = subprocess.run(
        [*called, "--threads", str(threads)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        return (found.stderr.strip().splitlines() or [""])[-1]
    return f"floodloom: {len(events)} events are mapped: {folder / 'report.html'}"


def forget_rest(plan: Plan) -> None:
    """Remove the pages of a run in which some events failed, once all are mapped."""
    remove(Path(plan.folder) / INCOMPLETE)


def names_of(plan: Plan) -> set[str]:
    """Names of all scenes and events of a run."""
    return {*plan.scenes, *plan.config.events}


def failed_events(plan: Plan, notes: Iterable[Path]) -> set[str] | None:
    """Return which events the failures of jobs concern; None where one concerns more than those.

    Parameters
    ----------
    plan
        What the run is made of.
    notes
        Notes of failures, named after a scene, an event, or an event and a date.
    """
    found: set[str] = set()
    for note in notes:
        date = _OF_DATE.fullmatch(note.stem)
        events = {note.stem, date[1] if date else note.stem} & plan.config.events.keys()
        if note.stem in plan.scenes:
            events.add(plan.scenes[note.stem].event)
        if not events and note.stem not in _OF_ALL:
            return None
        found |= events
    return found


def _mapped(plan: Plan, failed: set[str]) -> list[str]:
    """Events whose maps are made and current."""
    maps = Path(plan.folder) / "maps"
    others = [event for event in plan.mapped_events() if event not in failed]
    return [event for event in others if (maps / event / "flood.json").is_file()]


def _options(plan: Plan, events: list[str]) -> list[str]:
    """Return what the stage `report` is given of these events."""
    folder, maps = f"{plan.folder}/{INCOMPLETE}", f"{plan.folder}/maps"
    before = {event: path for event in events if (path := plan.geocoded(event, "before"))}
    config = plan.config.model_dump_json()
    given: dict[str, Iterable[str | None]] = {
        "out": [f"{folder}/report.html"],
        "map-page": [f"{folder}/map.html"],
        "maps": [f"{maps}/{event}/flood.tif" for event in events],
        "stac-items": [f"{maps}/{event}/flood.json" for event in events],
        "scenes": [plan.geocoded(event, "after") for event in events],
        "before-scenes": before.values(),
        "probabilities": [plan.mosaic(event, "after") for event in events],
        "events": events,
        "before-events": before,
        "failures": [f"{plan.folder}/{LISTED}"],
        "benchmarks": [f"{plan.folder}/benchmarks"],
        "title": [plan.config.report.title],
        "config": [config] if len(config) < _LONGEST else [],
    }
    found = {option: [one for one in values if one] for option, values in given.items()}
    return [word for option, values in found.items() if values for word in (f"--{option}", *values)]
