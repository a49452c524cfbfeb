"""What a full-size scene costs, from other benchmarks; what a country and the globe then need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.record import RESULTS
from benchmarks.scale_queue import Outcome, Site, passes, simulate
from floodloom.files import read_json

_GB = 1e9
_MONTH_H, _YEAR_D, _MONTH_D = 730.0, 365.0, 365.0 / 12
CORE, LINK = "core", "link"


@dataclass(frozen=True)
class Assumptions:
    """What isn't measured: each can be given to the benchmark.

    Attributes
    ----------
    core_hour, gpu_hour, gb_month
        Prices of a virtual core, of a machine with one GPU, and of a GB of object storage, USD.
    product_gb
        Size of a zipped GRD product of two polarisations.
    link_gbit
        Speed at which products come, Gbit/s.
    of_a_pass
        Scenes that arrive at once.
    spread
        Standard deviation of the logarithm of a job's time, from scene to scene.
    """

    core_hour: float = 0.0425
    gpu_hour: float = 1.006
    gb_month: float = 0.023
    product_gb: float = 1.0
    link_gbit: float = 1.0
    of_a_pass: int = 10
    spread: float = 0.2


SOURCES = {
    "core_hour": "c5.2xlarge of AWS, USD 0.34 an hour for 8 virtual cores on demand, an example "
    "price of https://docs.amazonaws.cn/en_us/autoscaling/ec2/userguide/"
    "weights-spot-price-per-unit-hour-example.html, read on 2026-12-02",
    "gpu_hour": "g5.xlarge of AWS in us-east-1, on demand, June 2026, as quoted by a third party",
    "gb_month": "assumed: about what object storage of large providers costs; give your own",
    "product_gb": "assumed: products of the interferometric wide swath have 0.8 to 1.1 GB",
    "link_gbit": "assumed",
    "of_a_pass": "assumed",
    "spread": "assumed",
}
"""Where each number comes from."""


@dataclass(frozen=True)
class StageCost:
    """What a stage costs of one mapped scene and the earlier one that it is compared with.

    Attributes
    ----------
    seconds
        Processor seconds of all its jobs; of the link, seconds at its speed.
    jobs
        Jobs, one after the other on a core each.
    written_gb
        What is written, GB, by the system calls of the jobs: more than what is left.
    kind, source
        What it waits for; the file that the numbers are from.
    """

    seconds: float
    jobs: int
    written_gb: float
    kind: str
    source: str


def stage_costs(given: Assumptions) -> dict[str, StageCost]:
    """Return what each stage costs of a full-size scene.

    Calibration and geocoding were measured on a whole product; of the other stages, a sixteenth of
    one was, and all of it is multiplied, with the start of the processes: an upper bound.
    """
    whole, pair = (read_json(RESULTS / f"{name}.json") for name in ("sentinel1", "pair"))
    part = pair["sizes"]["sixteenth"]
    times = whole["megapixels_of_map"] / part["megapixels_of_map"]
    fetch = 2 * given.product_gb * 8 / given.link_gbit
    costs = {"acquire": StageCost(fetch, 1, 2 * given.product_gb, LINK, "assumed")}
    for stage in ("calibrate", "geocode", "predict", "delineate", "report"):
        jobs = [job for name, job in part["jobs"].items() if name.split("/")[0] == stage]
        is_whole = stage in whole["whole"]
        seconds = (
            len(jobs) * whole["whole"][stage]["cpu_seconds"]
            if is_whole
            else times * sum(job["cpu_seconds"] for job in jobs)
        )
        written = times * sum(job["written_bytes"] for job in jobs) / _GB
        source = "sentinel1, whole" if is_whole else f"pair, 1/16 times {times:.1f}"
        costs[stage] = StageCost(seconds, len(jobs), written, CORE, source)
    return costs


KEPT = ("delineate", "report")
"""Stages whose results are products; those of the others are removed."""


def outcome(
    costs: Mapping[str, StageCost], given: Assumptions, load: Mapping[str, float], site: Site
) -> Outcome:
    """Simulate; `load` has `per_day`, `days` and `seed`."""
    arrivals = passes(load["per_day"], load["days"], given.of_a_pass, int(load["seed"]))
    kinds = [cost.kind for cost in costs.values() for _ in range(cost.jobs)]
    each = [cost.seconds / cost.jobs for cost in costs.values() for _ in range(cost.jobs)]
    random = np.random.default_rng(int(load["seed"]) + 1)
    spread = random.lognormal(-(given.spread**2) / 2, given.spread, (len(arrivals), len(each)))
    written = sum(cost.written_gb for cost in costs.values())
    return simulate(arrivals, kinds, np.array(each) * spread, written, site)


def summary(found: Outcome, arrivals: Any) -> dict[str, Any]:
    """Return percentiles of the hours from a scene's arrival to its map, and what was in use."""
    hours = (found.ended - arrivals) / 3600.0
    waited = (found.admitted - arrivals) / 3600.0
    return {
        "hours": {str(q): round(float(np.percentile(hours, q)), 2) for q in (50, 90, 99)},
        "longest_wait_for_disk_h": round(float(waited.max()), 2),
        "busy": {kind: round(share, 3) for kind, share in found.busy.items()},
        "peak_gb": round(found.peak_gb, 1),
    }


def needs(costs: Mapping[str, StageCost], given: Assumptions, per_day: float) -> dict[str, Any]:
    """Return what so many scenes a day need and cost, without waiting."""
    seconds = sum(cost.seconds for cost in costs.values() if cost.kind == CORE)
    kept = sum(costs[stage].written_gb for stage in KEPT)
    cores = per_day * seconds / 86_400.0
    compute = per_day * _MONTH_D * seconds / 3600.0 * given.core_hour
    grows = per_day * _MONTH_D * kept * given.gb_month  # USD a month more, each month
    return {
        "scenes_per_day": round(per_day, 1),
        "core_seconds_per_scene": round(seconds),
        "cores_at_least": round(cores, 2),
        "link_gbit_at_least": round(per_day * 2 * given.product_gb * 8 / 86_400.0, 3),
        "products_tb_per_year": round(per_day * _YEAR_D * kept / 1000.0, 1),
        "compute_usd_per_month": round(compute),
        "storage_usd_per_month_after_a_year": round(12 * grows),
        "months_until_storage_costs_as_much": round(compute / grows, 2),
        "usd_per_scene": round(seconds / 3600.0 * given.core_hour, 4),
    }


def gpu_break_even(
    costs: Mapping[str, StageCost], given: Assumptions, mpx: float
) -> dict[str, float]:
    """Return from which speed a GPU predicts more cheaply than cores, of a map of `mpx`."""
    core = 2 * mpx / costs["predict"].seconds
    return {
        "core_mpx_per_s": round(core, 3),
        "gpu_mpx_per_s_at_least": round(core * given.gpu_hour / given.core_hour, 1),
    }


SCENARIOS = {"country": 200.0 / 7.0, "globe": 1000.0}
"""Scenes a day."""
DAYS = {"country": 70.0, "globe": 7.0}
DISK_GB = {"country": 500.0, "globe": 5000.0}
CORES = {"country": (1, 2, 4, 8, 16), "globe": (32, 36, 40, 48, 64, 96)}
_SITE = {"cores": 48, "disk_gb": 5000.0}
LOADS = (0.75, 1.0, 1.25, 1.5, 2.0, 4.0, 6.0)


def plan(given: Assumptions, seed: int = 0) -> dict[str, Any]:
    """Return the whole plan: costs of stages, latencies by cores, what breaks, what it costs."""
    costs = stage_costs(given)
    whole = read_json(RESULTS / "sentinel1.json")["megapixels_of_map"]
    found: dict[str, Any] = {
        "assumptions": {**asdict(given), "sources": SOURCES},
        "stages": {name: asdict(cost) for name, cost in costs.items()},
        "needs": {name: needs(costs, given, rate) for name, rate in SCENARIOS.items()},
        "gpu": gpu_break_even(costs, given, whole),
        "latency": {},
        "breaks": breaks(costs, given, seed),
    }
    for name, rate in SCENARIOS.items():
        rows = {}
        for cores in CORES[name]:
            site = Site({CORE: cores, LINK: 1}, DISK_GB[name])
            rows[str(cores)] = _simulated(costs, given, (rate, DAYS[name], seed), site)
        found["latency"][name] = {"disk_gb": DISK_GB[name], "days": DAYS[name], "cores": rows}
    return found


def _simulated(
    costs: Mapping[str, StageCost],
    given: Assumptions,
    load: tuple[float, float, int],
    site: Site,
) -> dict[str, Any]:
    per_day, days, seed = load
    arrivals = passes(per_day, days, given.of_a_pass, seed)
    named = {"per_day": per_day, "days": days, "seed": seed}
    return summary(outcome(costs, given, named, site), arrivals)


def breaks(costs: Mapping[str, StageCost], given: Assumptions, seed: int) -> dict[str, Any]:
    """Return what the globe's site does under more and more scenes; and with cores without end."""
    rows: dict[str, Any] = {"site": {**_SITE, "link_gbit": given.link_gbit}, "loads": {}}
    for cores in (int(_SITE["cores"]), 1000):
        for load in LOADS:
            site = Site({CORE: cores, LINK: 1}, _SITE["disk_gb"])
            found = _simulated(costs, given, (1000.0 * load, 7.0, seed), site)
            rows["loads"].setdefault(str(cores), {})[str(load)] = found
    return rows
