"""What a job needs grows with its size and its attempts, and covers what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from floodloom.stages import STAGES
from floodloom.workflow.resources import (
    image_megapixels,
    map_megapixels,
    mem_mb,
    runtime,
)
from tests.workflow.plans import SIMULATED, Wildcards, plan

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
SCENE = Wildcards(scene="one")
EVENT = Wildcards(event="flood", role="after", layer="dem")
OF_STAGE = {"calibrate": SCENE, "geocode": SCENE, "ingest": SCENE, "acquire": SCENE}


def figures(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


def megabytes(mebibytes: float) -> float:
    return mebibytes * 2**20 / 1e6


@pytest.mark.parametrize("stage", STAGES)
def test_every_job_asks_for_memory_and_time_and_for_more_when_it_is_tried_again(stage: str) -> None:
    job = OF_STAGE.get(stage, EVENT)
    memory, time = mem_mb(plan(), stage), runtime(plan(), stage)
    assert memory(job, threads=2, attempt=1) >= 500
    assert time(job, attempt=1) >= 10
    assert memory(job, threads=2, attempt=2) >= 1.8 * memory(job, threads=2, attempt=1)
    assert time(job, attempt=3) == 3 * time(job, attempt=1)


def test_a_scene_that_was_measured_fits_in_what_it_is_given() -> None:
    whole = figures("sentinel1")["whole"]
    for stage, step in {"calibrate": "calibrate_beta0", "geocode": "geocode_flattened"}.items():
        found = plan(geocode={"flatten": True})
        peak, seconds = whole[step]["peak_mib"], whole[step]["cpu_seconds"]
        assert mem_mb(found, stage)(SCENE, threads=2, attempt=1) > megabytes(peak)
        assert runtime(found, stage)(SCENE, attempt=1) > seconds / 60


def test_the_demo_fits_in_what_it_is_given() -> None:
    demo = figures("runs")["runs"]["demo"]
    found = plan(SIMULATED, teach={}, distill={}, tile={"samples": 160})
    for stage, seconds in demo["seconds_by_stage"].items():
        job = EVENT if stage not in OF_STAGE else Wildcards(scene="s")
        assert runtime(found, stage)(job, attempt=1) * 60 > seconds, stage
    for stage in ("teach", "distill", "train"):
        assert mem_mb(found, stage)(EVENT, 2, 1) > megabytes(demo["peak_memory_mib"])


@pytest.mark.parametrize("side", [2048, 8192])
def test_a_prediction_that_was_measured_fits(side: int) -> None:
    measured = figures("predict")
    turns = [
        measured["first"],
        *(turn["end_to_end_bfloat16"] for turn in measured["scene"]["turns"]),
    ]
    given = mem_mb(plan(SIMULATED, simulate={"size": side}), "predict")(EVENT, 2, 1)
    assert given > megabytes(max(turn["peak_mib"] for turn in [measured["first"], *turns]))


def test_training_memory_covers_every_architecture_and_its_tiles() -> None:
    greediest = max(figures("train")["memory"].values())
    given = mem_mb(plan(tile={"size": 256}), "train")(EVENT, 2, 1)
    assert given - megabytes(4096) > megabytes(greediest)


def test_sizes_follow_what_there_is() -> None:
    assert image_megapixels(plan(SIMULATED, simulate={"size": 2000}), "flood") == 4.0
    assert map_megapixels(plan(), "flood") == 2 * 650.0  # two products of one pass
    assert map_megapixels(plan(geocode={"resolution": 20}), "flood") == 2 * 650.0 / 4
    degrees = map_megapixels(plan(geocode={"resolution": 10 / 111_320}), "flood")
    assert degrees == pytest.approx(2 * 650.0)
    assert map_megapixels(plan(), "train") == map_megapixels(plan(), "chips") == 25.0


def test_threads_take_memory_and_processes_take_a_base_each() -> None:
    few, many = (mem_mb(plan(), "calibrate")(SCENE, threads=n, attempt=1) for n in (1, 8))
    assert many > few + 7 * 250
    by_processes = mem_mb(plan(dask={"scheduler": "processes"}), "calibrate")
    assert by_processes(SCENE, threads=8, attempt=1) > many + 7 * 500
