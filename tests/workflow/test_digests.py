"""The digest of a job follows everything above it, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from floodloom.workflow.jobs import Digests, Job

JOBS = {
    "calibrate": Job("c0", {"noise": True}, {"safe": "A.zip"}, (("orbit.EOF", "o0"),)),
    "geocode": Job("g0", {"resolution": 10}, {"scene": ["calibrated"], "dem": "dem.tif"}),
    "train": Job("t0", {"rate": 1.0, "weight": 0.0}, {"tiles": ["geocoded", "labels.tif"]}),
    "report": Job("r0", {}, {"scenes": ["geocoded"], "models": ["model"]}),
}
MAKERS = {"calibrated": "calibrate", "geocoded": "geocode", "model": "train"}
SOURCES = {"A.zip": "a0", "dem.tif": "d0", "labels.tif": "l0"}


def digests(jobs: dict[str, Job], sources: dict[str, str]) -> dict[str, str]:
    known = Digests(
        lambda stage, wildcards: jobs[stage],
        lambda path: (MAKERS[path], {"scene": "x"}) if path in MAKERS else None,
        sources.__getitem__,
    )
    return {stage: known.of_job(stage, {"scene": "x"}) for stage in jobs}


def below(after: dict[str, str]) -> set[str]:
    """Stages whose digests have changed."""
    before = digests(JOBS, SOURCES)
    return {stage for stage in before if after[stage] != before[stage]}


@pytest.mark.parametrize(
    ("stage", "change", "reached"),
    [
        ("calibrate", {"code": "c1"}, set(JOBS)),
        ("calibrate", {"settings": {"noise": False}}, set(JOBS)),
        ("calibrate", {"sources": (("orbit.EOF", "o1"),)}, set(JOBS)),
        ("train", {"settings": {"rate": 0.0, "weight": 1.0}}, {"train", "report"}),
        ("train", {"inputs": {"tiles": ["labels.tif", "geocoded"]}}, {"train", "report"}),
        ("report", {"code": "r1"}, {"report"}),
    ],
)
def test_a_changed_job_reaches_all_below_it_and_nothing_else(
    stage: str, change: dict[str, Any], reached: set[str]
) -> None:
    assert below(digests({**JOBS, stage: replace(JOBS[stage], **change)}, SOURCES)) == reached


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("A.zip", set(JOBS)),
        ("dem.tif", {"geocode", "train", "report"}),
        ("labels.tif", {"train", "report"}),
    ],
)
def test_a_changed_source_reaches_all_below_it_and_nothing_else(
    source: str, reached: set[str]
) -> None:
    assert below(digests(JOBS, {**SOURCES, source: "new"})) == reached


def test_jobs_of_other_wildcards_differ() -> None:
    known = Digests(lambda stage, wildcards: JOBS["report"], lambda path: None, lambda path: "s")
    assert known.of_job("report", {"event": "a"}) != known.of_job("report", {"event": "b"})
