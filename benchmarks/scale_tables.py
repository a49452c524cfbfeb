"""The tables of `make bench-scale`, for benchmarks/README.md and docs/scale.md."""

from __future__ import annotations

from typing import Any

TITLES = {"country": "a country, 200 scenes a week", "globe": "the globe, 1,000 scenes a day"}


def scale_tables(result: dict[str, Any]) -> list[str]:
    """Return all tables."""
    found = result["plan"]
    return [
        _growth(result),
        _stages(found["stages"]),
        *(_latency(name, found) for name in TITLES),
        _breaks(found["breaks"]),
        _needs(found),
        _assumptions(found["assumptions"]),
    ]


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    lines.insert(1, "|---" * len(head) + "|")
    return "\n".join([title, "", *lines]) + "\n"


def _growth(result: dict[str, Any]) -> str:
    rows = [
        [
            f"{one['scenes']}",
            f"{one['run']['cpu_seconds']:.0f}",
            f"{one['run']['cpu_seconds'] / one['scenes']:.1f}",
            f"{one['run']['peak_mib']:.0f}",
            f"{one['again']['cpu_seconds']:.1f}",
        ]
        for one in sorted(result["growth"].values(), key=lambda one: one["scenes"])
    ]
    dry = result.get("dry_run")
    title = (
        "Runs of small scenes (256 px), each with a product, elevations and a map of its own; jobs "
        "are mostly the start of their processes. Then the same command again, which has nothing "
        "to do. Memory is that of the workflow's own process."
    )
    if dry:
        title += (
            f" A dry run of {dry['scenes']:,} scenes takes {dry['cpu_seconds']:.1f} processor "
            f"seconds and {dry['peak_mib']:.0f} MiB."
        )
    head = ["scenes", "processor seconds", "per scene", "memory, MiB", "again, processor seconds"]
    return _table(title, head, rows)


def _stages(stages: dict[str, Any]) -> str:
    rows = [
        [name, f"{one['seconds']:.0f}", str(one["jobs"]), f"{one['written_gb']:.1f}", one["source"]]
        for name, one in stages.items()
    ]
    title = (
        "What a full-size scene costs, with the earlier date that it is compared with: processor "
        "seconds on a core for each job (of `acquire`: seconds of the link), and GB that are "
        "written, more than what is left. Where a sixteenth was measured, all of it is "
        "multiplied, with the start of the processes."
    )
    return _table(title, ["stage", "seconds", "jobs", "GB written", "from"], rows)


def _latency(name: str, found: dict[str, Any]) -> str:
    latency = found["latency"][name]
    rows = [
        [
            cores,
            *(f"{one['hours'][q]:.1f}" for q in ("50", "90", "99")),
            f"{100 * one['busy']['core']:.0f} %",
            f"{one['peak_gb']:,.0f}",
        ]
        for cores, one in latency["cores"].items()
    ]
    title = (
        f"Hours from the arrival of a scene to its map, {TITLES[name]}, "
        f"{latency['days']:.0f} days simulated, {latency['disk_gb']:,.0f} GB for what is in work."
    )
    head = ["cores", "median", "90 %", "99 %", "cores busy", "greatest space in use, GB"]
    return _table(title, head, rows)


def _breaks(found: dict[str, Any]) -> str:
    site = found["site"]
    rows = [
        [
            f"{cores} cores",
            f"{1000 * float(load):,.0f}",
            f"{one['hours']['50']:.1f}",
            f"{one['hours']['99']:.1f}",
            f"{100 * one['busy']['core']:.0f} %",
            f"{100 * one['busy']['link']:.0f} %",
            f"{one['longest_wait_for_disk_h']:.1f}",
        ]
        for cores, loads in found["loads"].items()
        for load, one in loads.items()
    ]
    title = (
        f"More scenes a day than the globe's, for a week, with a link of {site['link_gbit']:g} "
        f"Gbit/s and {site['disk_gb']:,.0f} GB for what is in work: hours to the map, how busy "
        "cores and link are, and the longest wait for space, hours."
    )
    head = ["site", "scenes a day", "median", "99 %", "cores", "link", "wait for space"]
    return _table(title, head, rows)


def _needs(found: dict[str, Any]) -> str:
    labels = {
        "scenes_per_day": "scenes a day",
        "core_seconds_per_scene": "processor seconds of a scene",
        "cores_at_least": "cores, if none ever waits",
        "link_gbit_at_least": "link, Gbit/s",
        "usd_per_scene": "cores, USD for a scene",
        "compute_usd_per_month": "cores, USD a month",
        "products_tb_per_year": "products, TB a year, at most",
        "storage_usd_per_month_after_a_year": "products of a year, USD a month, at most",
        "months_until_storage_costs_as_much": "months of products that cost as much as the cores",
    }
    needs, gpu = found["needs"], found["gpu"]
    rows = [[text, *(f"{needs[name][key]:,}" for name in TITLES)] for key, text in labels.items()]
    title = (
        "What is needed at least, and what it costs if cores are paid for while they work. A core "
        f"predicts {gpu['core_mpx_per_s']:.2f} Mpx/s; a GPU is cheaper from "
        f"{gpu['gpu_mpx_per_s_at_least']:.0f} Mpx/s end to end on (no GPU was measured)."
    )
    return _table(title, ["", *TITLES.values()], rows)


def _assumptions(given: dict[str, Any]) -> str:
    sources = given["sources"]
    rows = [[f"`--{key.replace('_', '-')}`", f"{given[key]:g}", sources[key]] for key in sources]
    return _table("What isn't measured.", ["option", "value", "where it is from"], rows)
