"""The tables of `make bench-pair`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

STAGES = ("calibrate", "geocode", "predict", "delineate", "report")
_SIZES = {"sixteenth": "1/16", "quarter": "1/4", "whole": "1"}
_LIMIT_S, _LIMIT_GB = 480, 2.5
_GB = 1e9
_MIB = 2**20

Figures = Mapping[str, Any]


def pair_tables(result: dict[str, Any]) -> list[str]:
    """Return the tables of the whole way, of the sizes and of the neighbours."""
    found = [_introduction(result)]
    if "whole" in result["sizes"]:
        found.append(_whole(result["sizes"]["whole"]))
    return [*found, _by_size(result["sizes"]), _beside(result)]


def _introduction(result: Figures) -> str:
    sizes = ", ".join(
        f"{_SIZES[name]}: {size['megapixels_of_image']:.0f} Mpx onto "
        f"{size['megapixels_of_map']:.0f}"
        for name, size in result["sizes"].items()
    )
    return (
        f"Two dates of {result['product']} with semi-synthetic measurements in VV and VH, mapped "
        f"as `floodloom map` does with its default model, elevations of one arc second with "
        f"{result['relief_m']:.0f} m of relief, on {result['cores']} cores. Parts of the image "
        f"({sizes} Mpx of a map at 10 m), each job in a process of its own, with its start. Bytes "
        "are those of system calls; memory is the greatest that a job held. A load of more than "
        f"{result['cores']} is that of other work beside it, which the seconds then hold, too.\n"
    )


def _whole(size: Figures) -> str:
    rows = [
        "| job | seconds | processor seconds | read, GB | written, GB | peak memory, GB | load |",
        "|---|---|---|---|---|---|---|",
    ]
    jobs = {name: job for stage in STAGES for name, job in _of(size, stage).items()}
    for name, job in jobs.items():
        rows.append(
            f"| {name.replace('/', ', ')} | {job['seconds']:.1f} | {job['cpu_seconds']:.1f} | "
            f"{job['read_bytes'] / _GB:.1f} | {job['written_bytes'] / _GB:.1f} | "
            f"{_gigabytes(job):.2f} | {job['load']:.1f} |"
        )
    around = size["jobs"].get("workflow", {}).get("seconds")
    if around is not None:
        rows.append(f"| before, between and after the jobs | {around:.1f} | | | | | |")
    if all(_of(size, stage) for stage in STAGES):
        total = _sum(jobs.values(), "seconds") + (around or 0.0)
        rows.append(
            f"| **all** | **{total:.0f}** | {_sum(jobs.values(), 'cpu_seconds'):.0f} | "
            f"{_sum(jobs.values(), 'read_bytes') / _GB:.1f} | "
            f"{_sum(jobs.values(), 'written_bytes') / _GB:.1f} | "
            f"**{max(map(_gigabytes, jobs.values())):.2f}** | |"
        )
    rows.append(f"| limit | {_LIMIT_S} | | | | {_LIMIT_GB:.2f} | |")
    return "\n".join(rows) + "\n"


def _by_size(sizes: Figures) -> str:
    names = [name for name in _SIZES if name in sizes]
    heads = [f"{_SIZES[name]}, {what}" for what in ("s per Mpx", "MiB") for name in names]
    rows = [
        "Processor seconds of both dates per Mpx of the map, and the greatest memory of a job, by "
        "part of the image.\n",
        f"| stage | {' | '.join(heads)} |",
        "|---|" + "---|" * len(heads),
    ]
    for stage in STAGES:
        found = [(sizes[name], list(_of(sizes[name], stage).values())) for name in names]
        costs = [
            f"{_sum(jobs, 'cpu_seconds') / size['megapixels_of_map']:.3f}" if jobs else ""
            for size, jobs in found
        ]
        peaks = [f"{max(job['peak_mib'] for job in jobs):.0f}" if jobs else "" for _, jobs in found]
        rows.append(f"| {stage} | {' | '.join(costs + peaks)} |")
    loads = [max(job.get("load", 0.0) for job in sizes[name]["jobs"].values()) for name in names]
    rows.append(
        f"| greatest load | {' | '.join(f'{load:.1f}' for load in loads)} |{' |' * len(names)}"
    )
    return "\n".join(rows) + "\n"


def _beside(result: Figures) -> str:
    rows = [
        "One date, and what neighbours take for part of the work in the same run; their imports "
        "aren't counted.\n",
        "| step | Mpx | seconds | s per Mpx | peak memory, MiB |",
        "|---|---|---|---|---|",
    ]
    largest = next((s for name in reversed(_SIZES) if (s := result["sizes"].get(name))), None)
    for stage, of, what in (
        ("calibrate", "megapixels_of_image", "VV and VH, noise removed"),
        ("geocode", "megapixels_of_map", "VV and VH, with angles, layover and shadow"),
    ):
        jobs = list(_of(largest, stage).values()) if largest else []
        if jobs and largest:
            job = {**min(jobs, key=lambda job: float(job["seconds"])), "megapixels": largest[of]}
            rows.append(_row(f"floodloom, {stage}, {what}", job))
    theirs = {
        "calibrate": "xarray-sentinel, calibrate a block of VV, noise left in",
        "gtc": "sarsen, geocode VV",
    }
    rows += [
        _row(what, result["beside"][key]) for key, what in theirs.items() if key in result["beside"]
    ]
    published = "; ".join(
        f"{one['what']}: {one['minutes']} minutes ([source]({one['source']}))"
        for one in result["published"]
    )
    rows.append(f"\nPublished, of one product and on other machines: {published}.")
    return "\n".join(rows) + "\n"


def _row(what: str, step: Figures) -> str:
    return (
        f"| {what} | {step['megapixels']:.0f} | {step['seconds']:.1f} | "
        f"{step['seconds'] / step['megapixels']:.3f} | {step['peak_mib']:.0f} |"
    )


def _of(size: Figures, stage: str) -> dict[str, Figures]:
    """Jobs of a stage; `report` has one, of its own name."""
    return {name: job for name, job in size["jobs"].items() if name.partition("/")[0] == stage}


def _sum(jobs: Iterable[Figures], key: str) -> float:
    return sum(float(job[key]) for job in jobs)


def _gigabytes(job: Figures) -> float:
    return float(job["peak_mib"]) * _MIB / _GB
