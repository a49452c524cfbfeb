"""`make bench-sentinel1`: calibration and geocoding of a full-size product, beside its neighbours.

The product is semi-synthetic: real metadata and measurements made by inverting the calibration.
FLOODLOOM_DATA names the folder of the real metadata. Needs 20 GB of disk, 14 GB of memory (sarsen
on the largest map) and about three quarters of an hour. `python -m benchmarks.sentinel1 whole` and
`... beside` take a part alone and keep the other, `... beside-6000` the map of that side.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from dask.delayed import delayed
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from benchmarks.data import data_root
from benchmarks.neighbours import peak_mib
from benchmarks.own import own, run
from benchmarks.record import RESULTS, commit, record
from benchmarks.semisynthetic import write_elevations, write_product
from floodloom.dispatch import dask_workers
from floodloom.files import read_json
from floodloom.raster.cog import read_raster
from floodloom.raster.grid import geobox_of
from floodloom.raster.opener import quiet_about_georeference
from floodloom.raster.store import open_store, write_store
from floodloom.raster.windows import Window as Block
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.locate import places_of_nodes
from floodloom.sentinel1.orbit import geodetic_to_earth_fixed
from floodloom.sentinel1.settings import CalibrateSettings, GeocodeSettings
from floodloom.simulate.settings import SimulateSettings
from floodloom.stages.calibrate import calibrate
from floodloom.stages.geocode import geocode
from floodloom.stages.simulate import simulate

WORKERS = 2
STRIP = 1024
PRODUCT = "S1A_IW_GRDH_1SDV_20200708T182643_20200708T182708_033367_03DDAA_9550.zip"
NEIGHBOURS = ("sarsen==0.9.6", "xarray-sentinel==0.9.6")
SIDES = (2000, 4000, 6000, 12000)
"""Maps that sarsen's geocoding and floodloom's are compared on, px."""
FLATTENED_SIDE = 2000
TURNS = 3
CURVE = (2240, 5000, 10000)
RELIEF_M = 1000.0

Figures = dict[str, float]
Part = Callable[[Path, Path, Path, dict[str, Any]], None]


def main() -> None:
    """Take all figures, or those of some parts, each step in a process of its own."""
    of_sides = {f"beside-{side}": partial(beside, side=side) for side in SIDES}
    parts: dict[str, Part] = {"whole": whole, **of_sides, "beside-others": beside_others}
    asked = sys.argv[1:] or list(parts)
    if asked[0] not in (*parts, "beside"):
        print(json.dumps(measured(asked[0], [Path(argument) for argument in asked[1:]])))
        return
    path = RESULTS / "sentinel1.json"
    figures: dict[str, Any] = read_json(path) if path.exists() else {}
    with tempfile.TemporaryDirectory(prefix="bench-sentinel1-") as name:
        folder = Path(name)
        warm_up(folder / "small")
        safe, annotation = write_product(data_root("sentinel1_safe") / PRODUCT, folder)
        dem = write_elevations(folder / "dem.tif", annotation, RELIEF_M)
        figures |= {
            "product": PRODUCT,
            "workers": WORKERS,
            "megapixels_of_image": 2 * annotation.lines * annotation.samples / 1e6,
        }
        for part in parts:
            if part in asked or (part.startswith("beside") and "beside" in asked):
                parts[part](safe, dem, folder, figures)
                figures[f"commit_of_{part.partition('-')[0]}"] = commit()
                record("sentinel1", figures, command="make bench-sentinel1")


def whole(safe: Path, dem: Path, folder: Path, figures: dict[str, Any]) -> None:
    """Add the figures of the whole way and of the curve."""
    stores = {name: folder / f"{name}.zarr" for name in ("copy", "gamma0", "beta0", "map", "flat")}
    turns = [
        {step: own("sentinel1", step, safe, fresh(stores[step])) for step in ("copy", "gamma0")}
        for _ in range(TURNS)
    ]
    steps = {
        "decode_and_write": middle([turn["copy"] for turn in turns]),
        "calibrate": middle([turn["gamma0"] for turn in turns]),
        "geocode": own("sentinel1", "geocode", stores["gamma0"], dem, stores["map"]),
        "calibrate_beta0": own("sentinel1", "beta0", safe, stores["beta0"]),
        "geocode_flattened": own("sentinel1", "flatten", stores["beta0"], dem, stores["flat"]),
    }
    grid = geobox_of(open_store(stores["map"]))
    megapixels = grid.shape.y * grid.shape.x / 1e6
    curve = [
        {
            "megapixels": side**2 / 1e6,
            **own("sentinel1", "geocode", stores["gamma0"], part, folder / "part.zarr"),
        }
        for side in CURVE
        for part in [cut_elevations(dem, stores["map"], side, folder / f"dem-{side}.tif")]
    ]
    curve.append({"megapixels": megapixels, **steps["geocode"]})
    figures |= {"megapixels_of_map": megapixels, "turns": turns, "whole": steps, "curve": curve}


def fresh(store: Path) -> Path:
    """Make sure that nothing has to be replaced."""
    shutil.rmtree(store, ignore_errors=True)
    return store


def middle(runs: list[Figures]) -> Figures:
    """Return the run with the median time."""
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


def warm_up(folder: Path) -> None:
    """Run everything on a small scene, so that compiling the kernels isn't measured."""
    folder.mkdir()
    names = {"dem": "dem.tif", "optical": "optical.tif", "truth": "truth.tif"}
    files = {name: folder / file for name, file in names.items()}
    simulate(
        out_before=folder / "before.SAFE",
        out_after=folder / "after.SAFE",
        **files,
        settings=SimulateSettings(size=128),
    )
    own("sentinel1", "beta0", folder / "after.SAFE", folder / "beta0.zarr")
    own("sentinel1", "flatten", folder / "beta0.zarr", files["dem"], folder / "map.zarr")


def beside(safe: Path, dem: Path, folder: Path, figures: dict[str, Any], *, side: int) -> None:
    """Add sarsen's and own figures of geocoding onto a map of one side, on one elevation raster."""
    python, single, grid = side_by_side(safe, dem, folder)
    part = cut_elevations(dem, grid, side, folder / f"side-{side}.tif")
    theirs = with_start(partial(other, python, "gtc", safe, part, folder / "gtc.tif"))
    found = figures.setdefault("side_by_side", {}).setdefault("gtc", {})
    found[str(side)] = compared(theirs, "geocode", single, part)


def beside_others(safe: Path, dem: Path, folder: Path, figures: dict[str, Any]) -> None:
    """Add the figures of flattening, of a calibrated block, and how far places are apart."""
    python, single, grid = side_by_side(safe, dem, folder)
    part = cut_elevations(dem, grid, FLATTENED_SIDE, folder / "flattened.tif")
    theirs = with_start(partial(other, python, "rtc", safe, part, folder / "rtc.tif"))
    small = cut_elevations(dem, grid, 1000, folder / "small.tif")
    other(python, "places", safe, small, folder / "places.npz")
    figures.setdefault("side_by_side", {}).update(
        rtc={str(FLATTENED_SIDE): compared(theirs, "flatten", single, part)},
        xarray_sentinel_calibrate=other(python, "calibrate", safe, "1024", "8192"),
        xarray_sentinel_megapixels=1024 * 8192 / 1e6,
        apart=apart(single, small, folder / "places.npz"),
    )


def side_by_side(safe: Path, dem: Path, folder: Path) -> tuple[Path, Path, Path]:
    """Return the neighbours' interpreter, VV calibrated, and a map of it whose grid is cut."""
    neighbours, single, grid = folder / "neighbours", folder / "vv.zarr", folder / "grid.zarr"
    if not grid.exists():
        environment(neighbours)
        own("sentinel1", "vv", safe, single)
        own("sentinel1", "geocode", single, dem, grid)
    return neighbours / "bin" / "python", single, grid


def compared(theirs: Figures, step: str, scene: Path, dem: Path) -> dict[str, Figures]:
    """Return a neighbour's figures beside the median of floodloom's on the same elevations."""
    out = dem.with_suffix(".zarr")
    ours = [
        with_start(partial(own, "sentinel1", step, scene, dem, fresh(out))) for _ in range(TURNS)
    ]
    return {"sarsen": theirs, "floodloom": middle(ours)}


def with_start(step: Callable[[], Figures]) -> Figures:
    """Run a step, and add the seconds of its process as a whole, with its imports."""
    began = time.perf_counter()
    figures = step()
    return {**figures, "seconds_with_start": time.perf_counter() - began}


def other(python: Path, step: str, *arguments: Path | str) -> Figures:
    """Measure a step of a neighbour in its environment."""
    script = Path(__file__).with_name("neighbours.py")
    return run([str(python), "-W", "ignore", str(script), step, *map(str, arguments)])


def environment(folder: Path) -> Path:
    """Install the neighbours into an environment of their own and return its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", *NEIGHBOURS, "rioxarray", "dask"]
    subprocess.run(install, check=True)
    return python


def measured(step: str, paths: list[Path]) -> Figures:
    """Run one step of floodloom here."""
    steps: dict[str, Callable[..., object]] = {
        "copy": decode_and_write,
        "gamma0": lambda safe, out: calibrate(
            safe=safe, out=out, settings=CalibrateSettings(quantity="gamma0")
        ),
        "beta0": lambda safe, out: calibrate(
            safe=safe, out=out, settings=CalibrateSettings(quantity="beta0")
        ),
        "vv": lambda safe, out: calibrate(
            safe=safe, out=out, settings=CalibrateSettings(quantity="beta0", polarisations=["vv"])
        ),
        "geocode": lambda scene, dem, out: geocode(scene=scene, dem=dem, out=out),
        "flatten": lambda scene, dem, out: geocode(
            scene=scene, dem=dem, out=out, settings=GeocodeSettings(flatten=True)
        ),
    }
    with dask_workers("threads", WORKERS):
        began, spent = time.perf_counter(), time.process_time()
        steps[step](*paths)
        seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak_mib()}


def decode_and_write(safe: Path, out: Path) -> None:
    """Decode the measurements and write their pixels in the layout of the calibrated store."""
    layers = {}
    for path in sorted((safe / "measurement").glob("*.tiff")):
        with quiet_about_georeference(), rasterio.open(path) as raster:
            height, width = raster.shape
        strips = [
            da.from_delayed(
                delayed(read_lines)(path, first, min(first + STRIP, height)),
                (min(STRIP, height - first), width),
                np.float32,
            )
            for first in range(0, height, STRIP)
        ]
        layers[path.name.split("-")[3]] = (("line", "pixel"), da.concatenate(strips))
    write_store(xr.Dataset(layers), out, shard=STRIP)


def read_lines(path: Path, first: int, last: int) -> np.ndarray:
    """Return lines of a measurement, float32."""
    with quiet_about_georeference(), rasterio.open(path) as raster:
        lines: np.ndarray = raster.read(1, window=Window(0, first, raster.width, last - first))
    return lines.astype(np.float32)


def cut_elevations(dem: Path, store: Path, side: int, out: Path) -> Path:
    """Write the elevations of a square in the middle of a map, on the map's own grid."""
    grid = geobox_of(open_store(store))
    top, left = (grid.shape.y - side) // 2, (grid.shape.x - side) // 2
    square = grid[top : top + side, left : left + side]
    facts = {"crs": square.crs.to_wkt(), "transform": square.affine, "height": side, "width": side}
    with (
        rasterio.open(dem) as raster,
        WarpedVRT(raster, resampling=Resampling.bilinear, **facts) as warped,
        rasterio.open(
            out, "w", driver="GTiff", count=1, dtype="float32", tiled=True, **facts
        ) as cut,
    ):
        cut.write(warped.read(1), 1)
    return out


def apart(store: Path, dem: Path, places: Path) -> Figures:
    """Compare sarsen's places with exact solves on the same elevations, in pixels of 10 m."""
    geometry = ImageGeometry.from_json(open_store(store).attrs["geometry"])
    first = np.datetime64(open_store(store).attrs["acquisition_time"], "ns").astype(np.int64)
    elevation, grid = read_raster(dem)
    height, width = elevation.shape
    _, _, (longitude, latitude) = places_of_nodes(grid, Block(0, 0, height, width), 1)
    inside = slice(0, height), slice(0, width)
    points = geodetic_to_earth_fixed(longitude[inside], latitude[inside], elevation.astype(float))
    line, _, distance = geometry.locate(points)
    theirs = np.load(places)
    their_line = (theirs["azimuth_ns"] - first) * 1e-9 / geometry.azimuth_time_interval
    sine = np.sin(np.radians(geometry.incidence_angles().mean()))
    along = np.abs(their_line - line)
    across = np.abs(theirs["slant_range"] - distance) / sine / geometry.range_pixel_spacing
    both = np.hypot(along, across)
    return {
        "median_px": float(np.median(both)),
        "largest_px": float(both.max()),
        "median_lines": float(np.median(along)),
        "median_samples": float(np.median(across)),
    }


if __name__ == "__main__":
    main()
