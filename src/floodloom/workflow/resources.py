"""Threads, memory and time of jobs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from floodloom.acquire.catalogues import BACKSCATTER
from floodloom.config.load import DATASET, SIMULATED
from floodloom.learning.distillation.settings import DistillSettings, TeachSettings
from floodloom.learning.training.settings import TrainSettings
from floodloom.simulate.settings import SPACING_M
from floodloom.workflow.plan import Plan

_Training = TrainSettings | DistillSettings | TeachSettings

_BASE_MIB = 700.0
"""Python, torch and GDAL with little at hand."""
_IMAGE_MPX, _MAP_MPX = 850.0, 650.0
"""A product of the interferometric wide swath, 250 by 170 km, and its map of 10 m."""
_DATASET_MPX = 25.0
"""A large scene of a published data set."""
_METRES_PER_DEGREE = 111_320.0
_MEMBERS_OF_D4 = 8
_STEP_MPX = 8 * 256**2 / 1e6
"""Pixels of the training step whose memory and time were measured, at a width of 16."""
_MB_PER_MIB = 1.048576
_LEAST_MINUTES = 10
_SLOWER = 4
"""How many times the measuring machine's time a job may take."""


def mem_mb(plan: Plan, stage: str) -> Callable[[Any, int, int], int]:
    """Return what gives the memory of a stage's jobs.

    Parameters
    ----------
    plan
        What the run is made of.
    stage
        Name of the stage.

    Returns
    -------
    callable
        Of wildcards, threads and attempt: MB, more at each attempt.
    """
    by_processes = plan.config.dask.scheduler == "processes"

    def of_job(wildcards: Any, threads: int, attempt: int) -> int:
        processes = threads if by_processes else 1
        needed = _BASE_MIB * processes + _MEMORY[stage](plan, wildcards, threads)
        return math.ceil(needed * _MB_PER_MIB * attempt / 100) * 100

    return of_job


def runtime(plan: Plan, stage: str) -> Callable[[Any, int], int]:
    """Return what gives the time that a stage's jobs may take.

    Parameters
    ----------
    plan, stage
        As for `mem_mb`.

    Returns
    -------
    callable
        Of wildcards and attempt: minutes, more at each attempt.
    """

    def of_job(wildcards: Any, attempt: int) -> int:
        minutes = _SECONDS[stage](plan, wildcards) * _SLOWER / 60
        return math.ceil(_LEAST_MINUTES + minutes) * attempt

    return of_job


def image_megapixels(plan: Plan, event: str) -> float:
    """Return the size of an event's largest possible scene in radar geometry, megapixels."""
    if _is_from(plan, event, SIMULATED):
        return plan.config.simulate.size**2 / 1e6
    return _DATASET_MPX if _is_from(plan, event, DATASET) else _IMAGE_MPX


def map_megapixels(plan: Plan, event: str) -> float:
    """Return the size of an event's map, megapixels: of all products of a pass together."""
    resolution = plan.config.geocode.resolution
    # No map has pixels of decimetres: so small a number is degrees.
    metres = resolution if resolution >= 0.1 else resolution * _METRES_PER_DEGREE
    if _is_from(plan, event, SIMULATED):
        side = plan.config.simulate.size * SPACING_M / metres
        return 2 * side**2 / 1e6  # the image lies askew on the map
    if _is_from(plan, event, DATASET) or not plan.scene_of(event, "after"):
        return _DATASET_MPX
    roles = ("after", *plan.dates_before(event))
    products = max(len(plan.pass_of(event, role)) for role in roles)
    return products * _MAP_MPX * (10 / metres) ** 2


def _is_from(plan: Plan, event: str, source: str) -> bool:
    scenes = [*plan.pass_of(event, "before"), *plan.pass_of(event, "after")]
    return any(scene.source == source for scene in scenes)


def _image(plan: Plan, wildcards: Any) -> float:
    return image_megapixels(plan, _event(plan, wildcards))


def _map(plan: Plan, wildcards: Any) -> float:
    return map_megapixels(plan, _event(plan, wildcards))


def _event(plan: Plan, wildcards: Any) -> str:
    event = getattr(wildcards, "event", None)
    return plan.scenes[wildcards.scene].event if event is None else str(event)


def _maps(plan: Plan, events: Iterable[str]) -> list[float]:
    return [map_megapixels(plan, event) for event in events] or [0.0]


def _tiles(plan: Plan, events: Iterable[str]) -> float:
    """Return how many tiles events give: those drawn, or those that cover their maps twice."""
    settings = plan.config.tile
    covering = (2e6 * size / settings.size**2 for size in _maps(plan, events))
    return sum(settings.samples or number for number in covering)


def _training(plan: Plan, stage: str) -> _Training | None:
    """Return what a training goes by, None if there is none."""
    settings = plan.section(stage)
    return settings if isinstance(settings, _Training) else None


def _step(plan: Plan, settings: _Training) -> float:
    """Return how much larger a training step is than the one that was measured."""
    pixels = settings.batch * plan.config.tile.size**2 / 1e6
    return pixels / _STEP_MPX * settings.width / 16


def _training_mib(plan: Plan, stage: str, networks: float = 1.0) -> float:
    """Return the memory of a training: 1,530 MiB a step of the greediest network, and tiles."""
    settings = _training(plan, stage)
    if settings is None:
        return 0.0
    return 1600 * networks * _step(plan, settings) + 1024 * settings.memory_gib


def _training_s(plan: Plan, stage: str, networks: float = 1.0) -> float:
    """Return the seconds of a training: 2.9 a step in float32, and 0.5 in bfloat16."""
    settings = _training(plan, stage)
    if settings is None:
        return 0.0
    others = ("target",) if stage == "pretrain" else ()
    tiles = _tiles(plan, plan.of_split("train", "validation", "blocks", *others))
    steps = settings.epochs * max(tiles / settings.batch, 1.0)
    return 3 * networks * steps * _step(plan, settings)


def _predicting_s(plan: Plan, megapixels: float, networks: int) -> float:
    """Return the seconds of a prediction: 0.9 Mpx/s in float32, 4.5 in int8, at a width of 16.

    Baselines, which are no networks, take less than one.
    """
    networks = max(networks, 1)
    return 1.2 * megapixels * networks * plan.config.train.width / 16


def _relabelling_s(plan: Plan) -> float:
    tiles = _tiles(plan, plan.of_split("target") or plan.of_split("blocks"))
    views = _MEMBERS_OF_D4 if plan.config.relabel.tta else 1
    megapixels = tiles * plan.config.tile.size**2 / 1e6 * views
    return _predicting_s(plan, megapixels, len(plan.members(plan.rounds)))


def _geocoding_s(plan: Plan, wildcards: Any) -> float:
    per_megapixel = 0.25 if plan.config.geocode.flatten else 0.15
    return per_megapixel * _map(plan, wildcards)


_MEMORY: dict[str, Callable[[Plan, Any, int], float]] = {
    "simulate": lambda plan, job, threads: 1500 * plan.config.simulate.size**2 / 1e6,
    "acquire": lambda plan, job, threads: 0.0,
    "gather": lambda plan, job, threads: 0.0,
    "orbit": lambda plan, job, threads: 0.0,
    # Each thread holds a strip or block, and has the next one read.
    "calibrate": lambda plan, job, threads: 300 * threads,
    "geocode": lambda plan, job, threads: 300 * threads + 0.5 * _map(plan, job),
    "ingest": lambda plan, job, threads: 20 * _DATASET_MPX,
    "tile": lambda plan, job, threads: 1024 + 0.5 * _map(plan, job),
    "teach": lambda plan, job, threads: _training_mib(plan, "teach"),
    "distill": lambda plan, job, threads: _training_mib(plan, "distill", networks=1.5),
    # Two networks, one of which follows the other.
    "pretrain": lambda plan, job, threads: _training_mib(plan, "pretrain", networks=2.0),
    "train": lambda plan, job, threads: _training_mib(plan, "train"),
    # Batches of a network that predicts, and blocks of tiles.
    "relabel": lambda plan, job, threads: 1600 * _step(plan, plan.config.train),
    "predict": lambda plan, job, threads: (
        1300 * max(1.0, plan.config.train.width / 16)
        + (12 if plan.baseline else 2) * _map(plan, job)
    ),
    # Strips; of the whole map heights above drainage, polygons, and two bits for each date before.
    "delineate": lambda plan, job, threads: (
        300 * threads
        + (2 + 0.25 * len(plan.dates_before(_event(plan, job)))) * _map(plan, job)
        + (32 * _map(plan, job) if plan.config.run.depth else 0.0)
    ),
    "evaluate": lambda plan, job, threads: (
        1024 + 300 * threads + 0.5 * max(_maps(plan, plan.scored_events()))
    ),
    # Strips; of the whole map what a baseline works on.
    "report": lambda plan, job, threads: (
        1536 + (12 if plan.config.report.baseline else 1) * max(_maps(plan, plan.mapped_events()))
    ),
}
"""Memory beyond the base, MiB."""

_SECONDS: dict[str, Callable[[Plan, Any], float]] = {
    "simulate": lambda plan, job: 20 * plan.config.simulate.size**2 / 1e6,
    "acquire": lambda plan, job: 1000.0,  # 1 GB at 1 MB/s
    "gather": lambda plan, job: sum(  # 100 MB a tile, 2 GB a band, at 1 MB/s
        (2000.0 if job.layer == BACKSCATTER else 100.0)
        * len(plan.fetched_tiles(job.event, job.layer))
        for _ in plan.fetched_assets(job.event, job.layer)
    ),
    "orbit": lambda plan, job: 60.0,
    "calibrate": lambda plan, job: 0.02 * _image(plan, job),
    "geocode": _geocoding_s,
    "ingest": lambda plan, job: 1.0 * _DATASET_MPX,
    "tile": lambda plan, job: 60 + 0.1 * _map(plan, job),
    "teach": lambda plan, job: _training_s(plan, "teach"),
    "distill": lambda plan, job: _training_s(plan, "distill", networks=1.5),
    "pretrain": lambda plan, job: _training_s(plan, "pretrain", networks=2.0),
    "train": lambda plan, job: _training_s(plan, "train"),
    "relabel": lambda plan, job: _relabelling_s(plan),
    "predict": lambda plan, job: _predicting_s(
        plan, _map(plan, job), len(plan.members(plan.rounds))
    ),
    "delineate": lambda plan, job: (
        (1 + max(len(plan.dates_before(_event(plan, job))), 1)) * _map(plan, job)
    ),
    "evaluate": lambda plan, job: 0.5 * sum(_maps(plan, plan.scored_events())),
    "report": lambda plan, job: 0.5 * sum(_maps(plan, plan.mapped_events())),
}
"""Time on the measuring machine, seconds."""
