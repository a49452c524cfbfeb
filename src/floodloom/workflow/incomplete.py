"""The report of a run in which some events failed: the maps of the others, and what failed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import floodloom
from floodloom.files import remove
from floodloom.workflow.failures import LISTED
from floodloom.workflow.plan import Plan

INCOMPLETE = "incomplete"
"""Folder of the pages, in that of a run's results."""
_LONGEST = 100_000
"""Characters of an argument of a command; Linux takes 128 KiB."""


def report_rest(plan: Plan, dag: Any, threads: int) -> str:
    """Write report and map page of the events that are mapped although others failed.

    Parameters
    ----------
    plan
        What the run is made of.
    dag
        Snakemake's jobs of the run, which has ended.
    threads
        CPU threads.

    Returns
    -------
    str
        A line that names the report; empty where there is none.
    """
    folder = Path(plan.folder) / INCOMPLETE
    mapped = current_events(dag)
    events = [event for event in plan.mapped_events() if event in mapped]
    if not events or not (folder.parent / LISTED).exists():
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
    """Remove the pages of an earlier run in which some events failed."""
    remove(Path(plan.folder) / INCOMPLETE)


def current_events(dag: Any) -> set[str]:
    """Return the events whose maps a run has made, or found made of what it is made of.

    An old map that waits for a job of the run isn't among them, nor one that wasn't asked for.
    """
    maps = [job for job in dag.jobs if job.rule.name == "delineate"]
    return {job.wildcards.event for job in maps if dag.noneedrun_finished(job)}


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
