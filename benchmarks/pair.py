"""`make bench-pair`: a pair of full-size products, from the SAFE folders to the map page.

What `floodloom map` runs on two cores, each job watched from without, for the whole scene, a
quarter and a sixteenth of it; beside it sarsen and xarray-sentinel on the same product. The
products are semi-synthetic (`benchmarks.pair_products`); FLOODLOOM_DATA names the folder of their
metadata. Needs 25 GB of disk below `--work` and half an hour on two quiet cores.

What is done already is left as it is, so that a run that was stopped goes on. `--size quarter`
takes the figures of one size; `--stage predict` takes those of one stage again, and the next whole
call makes anew what follows from it; `--anew` keeps the products alone. Every call records what has
been taken so far.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.data import data_root
from benchmarks.pair_products import RELIEF_M, PairFiles, write_pair
from benchmarks.pair_tables import STAGES
from benchmarks.record import commit, record
from benchmarks.sentinel1 import PRODUCT, cut_elevations, environment, other
from benchmarks.watch import Figures, watch
from floodloom.files import read_json, write_json
from floodloom.prepare.run import command
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store

CORES = 2
NAME = "pair"
SIZES = {"whole": 1, "quarter": 2, "sixteenth": 4}
"""How many times fewer lines and samples each has than the image."""
SMALL = {"small": 8}
SARSEN_SIDE = 6000  # px of its map, for which it takes 3 GB
BLOCK = (1024, 8192)  # lines and samples that xarray-sentinel calibrates
_NEIGHBOURS = "neighbours.json"
_DISK_BYTES = 24e9  # products, stores and results of the whole scene
_RESULTS = Path("results") / NAME
_MADE = {
    "calibrate": ["calibrated"],
    "geocode": ["geocoded"],
    "predict": [
        f"{_RESULTS}/mosaics/{NAME}/{role}.probability.tif" for role in ("before", "after")
    ],
    "delineate": ["delineated"],
    "report": [f"{_RESULTS}/report.html"],
}
"""Targets of each stage, which ask for its jobs and no later ones."""
_JOBS = {"calibrate": 2, "geocode": 2, "predict": 2, "delineate": 1, "report": 1}
"""How many jobs each stage has."""
PUBLISHED = (
    {
        "what": (
            "SNAP 8: read, apply the orbit, remove border noise, calibrate and write an IW GRDH "
            "product with two polarisations, without terrain correction, on 8 cores (to read and "
            "write it alone: 6 minutes)"
        ),
        "minutes": "10",
        "source": "https://github.com/snap-contrib/snapista/issues/18",
    },
    {
        "what": (
            "SNAP of July 2018: calibrate, filter speckle, simulate the image and correct the "
            "terrain, of a Sentinel-1 product on a machine that isn't stated"
        ),
        "minutes": "35 to 45",
        "source": "https://github.com/senbox-org/s1tbx/issues/50",
    },
)
"""What users of SNAP report; not measured here."""


def main() -> None:
    """Take the figures that are asked for, and record all that were taken."""
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs then ends, too
    work = asked.work.absolute()
    sizes = {asked.size: {**SIZES, **SMALL}[asked.size]} if asked.size else SIZES
    if asked.stage:
        for size in sizes:
            if geocoded(work / size):
                again(work / size, asked.stage)
    elif not asked.beside:
        for size, parts in {**SMALL, **sizes}.items():  # compiling kernels isn't measured
            if asked.anew:
                forget(work / size)
            map_pair(work / size, parts)
    if asked.beside or not (asked.size or asked.stage):
        if asked.anew:
            (work / _NEIGHBOURS).unlink(missing_ok=True)
        beside(work)
    if asked.size not in SMALL:
        record("pair", collected(work), command="make bench-pair")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("FLOODLOOM_PAIR_WORK", "results/bench-pair"))
    parser.add_argument("--work", type=Path, default=default, help="folder for all that is made")
    parser.add_argument("--size", choices=[*SIZES, *SMALL], help="this size alone")
    parser.add_argument("--stage", choices=STAGES, help="take this stage again")
    parser.add_argument("--anew", action="store_true", help="keep nothing but the products")
    parser.add_argument("--beside", action="store_true", help="the neighbours alone")
    return parser.parse_args()


def forget(folder: Path) -> None:
    """Remove what was made and measured of a size, but not its products."""
    for name in ("run", "figures"):
        shutil.rmtree(folder / name, ignore_errors=True)


def require_disk(folder: Path, needed: float) -> None:
    """Stop if what is there and what is free aren't enough."""
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    if there + free < needed:
        raise SystemExit(
            f"{folder}: {free / 1e9:.0f} GB are free, but {(needed - there) / 1e9:.0f} GB more are "
            "needed; give another folder by --work"
        )


def map_pair(folder: Path, parts: int) -> None:
    """Map a pair as a user does, or what is left of it."""
    require_disk(folder, _DISK_BYTES / parts**2)
    files = products(folder, parts)
    run, before = folder / "run", len(list((folder / "figures").rglob("*.json")))
    arguments = ["map", "--scenes", str(files.after), "--before", str(files.before)]
    arguments += ["--dem", str(files.dem), "--out", str(run), "--name", NAME]
    done: list[Figures] = []
    seconds = watch(
        [sys.executable, "-m", "floodloom.cli", *arguments, "--cores", str(CORES)],
        folder,
        lambda log, figures: done.append(keep(folder, log, figures)),
    )
    if before == 0 and done:  # of a run that wasn't stopped
        around = seconds - sum(job["seconds"] for job in done)
        write_json(folder / "figures" / "workflow.json", {"seconds": around, "commit": commit()})

    for stage, expected in _JOBS.items():  # some were made while nobody watched
        figures = folder / "figures"
        if len([*figures.glob(f"{stage}/*.json"), *figures.glob(f"{stage}.json")]) < expected:
            again(folder, stage)


def products(folder: Path, parts: int) -> PairFiles:
    """Write the products of a size, where they aren't there."""
    return write_pair(data_root("sentinel1_safe") / PRODUCT, folder / "products", parts)


def again(folder: Path, stage: str) -> None:
    """Run the jobs of one stage again."""
    more = ("--quiet", "rules", "progress", "host", "reason", "--forcerun", stage)
    watch(
        [sys.executable, "-m", "snakemake", *command(CORES, *more, "--", *_MADE[stage])[1:]],
        folder / "run",
        lambda log, figures: keep(folder, log, figures),
    )


def keep(folder: Path, log: str, figures: Figures) -> Figures:
    """Write down what a job cost, and return it."""
    facts = {
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": os.getloadavg()[1],
    }
    write_json(folder / "figures" / f"{log}.json", {**figures, **facts})
    print(folder.name, log, {name: round(value, 2) for name, value in figures.items()}, flush=True)
    return figures


def beside(work: Path) -> None:
    """Take the neighbours' figures on the largest product there is, or those still missing."""
    size = next((work / size for size in SIZES if geocoded(work / size)), None)
    if size is None:
        return
    python = work / "neighbours" / "bin" / "python"
    if not list(python.parents[1].glob("lib/*/site-packages/sarsen")):
        environment(work / "neighbours")
    files = products(size, SIZES[size.name])
    found = work / _NEIGHBOURS
    figures = read_json(found) if found.exists() else {"size": size.name}
    if "calibrate" not in figures:
        image = next((size / "run" / _RESULTS / "calibrated").glob("*.zarr"))
        lines, samples = map(min, BLOCK, open_store(image)["vv"].shape)
        block = other(python, "calibrate", files.after, str(lines), str(samples))
        figures["calibrate"] = {**block, "megapixels": lines * samples / 1e6}
        write_json(found, figures)
    if "gtc" not in figures:
        store = geocoded(size)[0]
        side = min(SARSEN_SIDE, *geobox_of(open_store(store)).shape)
        part = cut_elevations(files.dem, store, side, work / "neighbours.tif")
        step = other(python, "gtc", files.after, part, work / "sarsen.tif")
        figures["gtc"] = {**step, "megapixels": side**2 / 1e6}
        write_json(found, figures)


def geocoded(folder: Path) -> list[Path]:
    """Return the geocoded stores of a size."""
    return sorted((folder / "run" / _RESULTS / "geocoded").glob("*.zarr"))


def collected(work: Path) -> dict[str, Any]:
    """Return all figures that have been taken."""
    sizes = {}
    for size, parts in SIZES.items():
        stores = geocoded(work / size)
        if not stores:
            continue
        folder = work / size / "figures"
        grid = geobox_of(open_store(stores[0]))
        image = next((work / size / "run" / _RESULTS / "calibrated").glob("*.zarr"))
        jobs = {
            str(path.relative_to(folder).with_suffix("")): read_json(path)
            for path in sorted(folder.glob("*/*.json")) + sorted(folder.glob("*.json"))
        }
        sizes[size] = {
            "part": 1 / parts**2,
            "megapixels_of_image": 2 * open_store(image)["vv"].size / 1e6,
            "megapixels_of_map": grid.shape.y * grid.shape.x / 1e6,
            "jobs": jobs,
        }
    neighbours = work / _NEIGHBOURS
    return {
        "product": PRODUCT.removesuffix(".zip"),
        "relief_m": RELIEF_M,
        "cores": CORES,
        "sizes": sizes,
        "beside": read_json(neighbours) if neighbours.exists() else {},
        "published": PUBLISHED,
    }


if __name__ == "__main__":
    main()
