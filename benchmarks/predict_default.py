"""`make bench-predict_default`: predicting with the model that floodloom brings, as users do.

A simulated scene with water everywhere, no scene before it, two CPU threads; every figure is taken
in a process of its own. With what the local likelihood adds where a checkpoint has a weight for it,
and the memory of every back end by the width of the scene. Goes on with what it has taken already
on the same machine; `--only speed` or `--only widths` takes one part.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.windows import Window

from benchmarks.neighbours import peak_mib
from benchmarks.own import own
from benchmarks.predict import THREADS, write_scene
from benchmarks.record import RESULTS, record, require_same_hardware
from floodloom.files import read_json
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.relabelling.scene_likelihood import HeldImage, add_local_likelihood
from floodloom.mapping.backends import available
from floodloom.mapping.plan import LARGEST, WindowPlan, plan_scene
from floodloom.mapping.predict import read_ahead
from floodloom.mapping.scene_inputs import SceneInputs, scene_inputs
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.raster.store import open_store, write_store
from floodloom.sentinel2.settings import PairingSettings
from floodloom.stages.predict import predict

NAME = "predict_default"
SIDE = 4096
ROWS, WIDTHS = 2048, (4096, 16384, 32768)
PRECISIONS = ("auto", "float32", "int8")
LIKELIHOOD = {"likelihood": {"weight": 0.25, "temperature": 1.0}}

Figures = dict[str, Any]


def main() -> None:
    """Take what is missing, and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("speed", "widths"))
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--likelihood", nargs=3, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.likelihood:
        print(json.dumps(likelihood_alone(*given.likelihood)))
        return
    if given.one:
        store, checkpoint, out, backend, precision = given.one
        figures = one(Path(store), Path(checkpoint), Path(out), backend, precision)
        print(json.dumps(figures))
        return
    file = RESULTS / f"{NAME}.json"
    figures = read_json(file) if file.exists() else {}
    require_same_hardware(file, figures)
    with tempfile.TemporaryDirectory(prefix="bench-predict-") as folder:
        if given.only != "widths":
            _note(figures, {"side": SIDE, "speed": speed(Path(folder))})
        if given.only != "speed":
            _note(figures, {"rows": ROWS, "widths": widths(Path(folder))})


def _note(figures: Figures, more: Figures) -> None:
    figures |= more
    record(NAME, {**figures, "threads": THREADS}, command=f"make bench-{NAME}", seeds=[0])


def speed(folder: Path) -> Figures:
    """Return time, memory and changed classes by number format, and what the likelihood adds."""
    store = write_scene(SIDE, folder / "scene.zarr")
    weighted = folder / "weighted.safetensors"
    model = load_checkpoint(DEFAULT_CHECKPOINT)
    save_checkpoint(replace(model, notes={**model.notes, **LIKELIHOOD}), weighted)
    first = write_scene(512, folder / "first.zarr")
    for checkpoint, precision in ((DEFAULT_CHECKPOINT, "int8"), (weighted, "float32")):
        measured(first, checkpoint, folder / "p.tif", "auto", precision)  # compiles, once for all
    found: Figures = {}
    for precision in PRECISIONS:
        out = folder / f"{precision}.tif"
        found[precision] = measured(store, DEFAULT_CHECKPOINT, out, "auto", precision)
        if precision == "int8":
            found["int8"]["changed"] = share_changed(folder / "float32.tif", out)
    for name, scene in (("likelihood", store), ("likelihood_land", _land(store, folder))):
        measured(scene, DEFAULT_CHECKPOINT, folder / "p.tif", "auto", "float32")
        found[name] = own(NAME, "--likelihood", scene, weighted, folder / "p.tif")
    return found


def likelihood_alone(store: Path, checkpoint: Path, predicted: Path) -> Figures:
    """Add the local likelihood to a map that is there already; a network would hide its cost.

    The scene is read as for a network, with the likelihood and without it.
    """
    seen = scene_inputs(
        store, [checkpoint], PredictFiles(), PredictSettings(), PairingSettings(), THREADS
    )
    seconds = []
    for with_likelihood in (True, False) * 2:  # the first compiles
        used = time.process_time()
        pixels = _passed_through(seen, predicted, with_likelihood=with_likelihood)
        seconds.append(time.process_time() - used)
    return {"cpu_seconds_per_megapixel": (seconds[2] - seconds[3]) / (pixels / 1e6)}


def _passed_through(seen: SceneInputs, predicted: Path, *, with_likelihood: bool) -> int:
    """Read a scene and its map, with the likelihood or without it; return the number of pixels."""
    inputs, ensemble = seen.inputs, seen.ensemble
    plan = plan_scene(
        inputs.sizes["y"],
        inputs.sizes["x"],
        tile=LARGEST["float32"],
        field=ensemble.receptive_field(),
        stride=ensemble.stride(),
    )
    held = HeldImage(seen.own_bands()) if with_likelihood else None
    with (
        rasterio.open(predicted) as raster,
        read_ahead(inputs, plan, held.keep if held else None) as pieces,
    ):
        parts = _strips(raster, pieces, plan)
        if held is not None:
            parts = add_local_likelihood(parts, held, plan.shape, seen.weighting, threads=THREADS)
        return sum(percent[0].size for _, percent in parts)


def _strips(
    raster: rasterio.DatasetReader, pieces: Iterator[NDArray[np.float32]], plan: WindowPlan
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Rows of a map from top to bottom, as a prediction gives them."""
    height, width = plan.shape
    for row, end in pairwise([*plan.rows, height]):
        columns = 0
        while columns < width:
            columns += next(pieces).shape[2]
        yield row, raster.read(window=Window(0, row, width, end - row))


def _land(store: Path, folder: Path) -> Path:
    """A scene of the same size, of which the upper eighth holds water."""
    scene = open_store(store)
    row = xr.DataArray(np.arange(scene.sizes["y"]), dims="y")
    powers = {"vv": 0.06, "vh": 0.012}
    dry = {name: scene[name].where(row < SIDE // 8, power) for name, power in powers.items()}
    return write_store(scene.assign(dry), folder / "land.zarr")


def widths(folder: Path) -> list[Figures]:
    """Return the peak memory of every back end by the width of a scene of so many rows."""
    stores = {width: write_scene(ROWS, folder / f"{width}.zarr", width) for width in WIDTHS}
    choices = [(name, "float32") for name in available("float32")]
    choices += [("torch", "int8")]
    return [
        {
            "backend": backend,
            "precision": precision,
            "peak_mib": {
                str(width): measured(
                    store, DEFAULT_CHECKPOINT, folder / "p.tif", backend, precision
                )["peak_mib"]
                for width, store in stores.items()
            },
        }
        for backend, precision in choices
    ]


def measured(store: Path, checkpoint: Path, out: Path, backend: str, precision: str) -> Figures:
    """Predict in a process of its own, without a GPU."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(THREADS)}
    figures: Figures = own(
        NAME, "--one", store, checkpoint, out, backend, precision, env=environment
    )
    return figures


def one(store: Path, checkpoint: Path, out: Path, backend: str, precision: str) -> Figures:
    """Predict a store with the stage itself."""
    began, used = time.perf_counter(), time.process_time()
    predict(
        scene=store,
        checkpoint=[checkpoint],
        out=out,
        settings=PredictSettings(event="scene", backend=backend, precision=precision),
        threads=THREADS,
    )
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - used
    with rasterio.open(out) as raster:
        tags, pixels = raster.tags(), raster.width * raster.height
    return {
        "megapixels": pixels / 1e6,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mib": peak_mib(),
        "backend": tags["FLOODLOOM_BACKEND"],
        "precision": tags["FLOODLOOM_PRECISION"],
        "windows": json.loads(tags["FLOODLOOM_WINDOWS"])["size"],
    }


def share_changed(exact: Path, reduced: Path) -> float:
    """Return the share of a scene's pixels whose class differs."""
    masks = []
    for path in (exact, reduced):
        with rasterio.open(path) as raster:
            masks.append(raster.read(1) >= 50)
    return float((masks[0] != masks[1]).mean())


if __name__ == "__main__":
    main()
