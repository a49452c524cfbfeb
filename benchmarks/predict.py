"""`make bench-predict`: predicting whole scenes, from the Zarr store to the GeoTIFF.

Simulated backscatter, a U-Net of the default width that has learnt it, two CPU threads; every
figure is taken in a process of its own. Needs 5 GB of disk and fifteen minutes on two quiet cores.
`python -m benchmarks.predict small` runs all of it on tiny scenes and records nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import rasterio
import torch
import xarray as xr
from odc.geo.xr import assign_crs, xr_coords
from rasterio.windows import Window

from benchmarks.neighbours import peak_mib
from benchmarks.own import own
from benchmarks.record import record
from floodloom.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from floodloom.learning.inference import load_ensemble
from floodloom.mapping.backends import Request, accelerate, available
from floodloom.mapping.plan import LARGEST, plan_scene
from floodloom.mapping.precision import choose_precision, sample
from floodloom.mapping.predict import water_network
from floodloom.mapping.settings import PredictSettings
from floodloom.models.registry import build
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, stamp, write_store
from floodloom.stages.predict import predict
from floodloom.tiles.inputs import compose_inputs

THREADS = 2
SEED = 0
PLAIN_TILE = 512
PLAIN_TILES = 96
TURNS = 5
NETWORK_WINDOWS = 6
PRODUCT = Recipe(quantity="gamma0", spacing=10.0)
INPUTS = PRODUCT.for_inputs(("vv", "vh"))
PACKAGES = ("torch", "openvino", "onnxruntime", "numpy", "zarr", "rasterio")
SIDES = {"scene": 8192, "back_ends": 4096, "curve": (2048, 4096, 8192, 16384)}
SMALL = {"scene": 512, "back_ends": 256, "curve": (256, 512)}

Figures = dict[str, Any]


def main() -> None:
    """Take all figures, each in a process of its own."""
    steps: dict[str, Callable[..., Figures]] = {
        "plain": plain, "predict": end_to_end, "network": network_only
    }  # fmt: skip
    if len(sys.argv) > 2:
        torch.set_num_threads(THREADS)
        step, store, checkpoint, *arguments = sys.argv[1:]
        print(json.dumps(steps[step](Path(store), Path(checkpoint), *arguments)))
        return
    small = sys.argv[1:] == ["small"]
    with tempfile.TemporaryDirectory(prefix="bench-predict-") as folder:
        figures = take_figures(Path(folder), SMALL if small else SIDES)
    if not small:
        record("predict", figures, command="make bench-predict", seeds=[SEED])


def take_figures(folder: Path, sides: dict[str, Any]) -> Figures:
    """Return the figures of the scene, of the back ends, of the sizes and of a GPU."""
    checkpoint = save_checkpoint(learnt(), folder / "unet.safetensors")
    compiled = write_scene(sides["curve"][0], folder / "part.zarr")
    first = measured("predict", compiled, checkpoint, "torch", "int8")  # compiles, once for all
    store = write_scene(sides["scene"], folder / "scene.zarr")
    turns = [one_turn(store, checkpoint) for _ in range(TURNS)]
    chosen = turns[0]["end_to_end"]
    precision = chosen["precision"]
    scene = {
        "side": sides["scene"],
        "turns": turns,
        "plain_overlapping": measured("plain", store, checkpoint, str(plain_stride(checkpoint))),
    }
    return {
        "threads": THREADS,
        "versions": versions(),
        "model": "unet, width 16",
        "first": {"side": sides["curve"][0], **first},
        "scene": scene,
        "gpu": on_gpu(store, checkpoint),
        "back_ends": compared(folder, checkpoint, sides["back_ends"]),
        "curve": curve(folder, checkpoint, sides["curve"], precision),
    }


def one_turn(store: Path, checkpoint: Path) -> dict[str, Figures]:
    """Return the figures of the whole, of the network alone and of a plain loop, in turn.

    Of the first two also those in bfloat16, which any network of the zoo runs in.
    """
    whole = measured("predict", store, checkpoint, "auto", "auto")
    return {
        "end_to_end": whole,
        "network": measured("network", store, checkpoint, whole["backend"], whole["precision"]),
        "end_to_end_bfloat16": measured("predict", store, checkpoint, "torch", "bfloat16"),
        "network_bfloat16": measured("network", store, checkpoint, "torch", "bfloat16"),
        "plain": measured("plain", store, checkpoint, str(PLAIN_TILE)),
    }


def compared(folder: Path, checkpoint: Path, side: int) -> list[Figures]:
    """Return the figures of every back end in every precision that it has."""
    store = write_scene(side, folder / "part.zarr")
    return [
        {
            "side": side,
            "end_to_end": measured("predict", store, checkpoint, backend, precision),
            "network": measured("network", store, checkpoint, backend, precision),
        }
        for precision in ("float32", "bfloat16", "int8")
        for backend in (available(precision) if precision != "int8" else ("torch",))
    ]


def curve(folder: Path, checkpoint: Path, sides: tuple[int, ...], precision: str) -> list[Figures]:
    """Return time and memory for scenes of several sizes, in one precision."""
    found = []
    for side in sides:
        store = write_scene(side, folder / "part.zarr")
        found.append({"side": side, **measured("predict", store, checkpoint, "torch", precision)})
    return found


def on_gpu(store: Path, checkpoint: Path) -> Figures | None:
    """Return the figures on a GPU; None where there is none."""
    if not torch.cuda.is_available():
        return None
    return {
        "device": torch.cuda.get_device_name(),
        "end_to_end": measured("predict", store, checkpoint, "torch", "bfloat16", gpu=True),
        "network": measured("network", store, checkpoint, "torch", "bfloat16", gpu=True),
    }


def measured(step: str, *arguments: Path | str, gpu: bool = False) -> Figures:
    """Run a step in a process of its own, which sees a GPU only if it is meant to."""
    environment = os.environ if gpu else {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    figures: Figures = own(
        "predict", step, *arguments, env={**environment, "OMP_NUM_THREADS": str(THREADS)}
    )
    return figures


def end_to_end(store: Path, checkpoint: Path, backend: str, precision: str) -> Figures:
    """Predict a store into a GeoTIFF with the stage itself."""
    out = store.with_name("probability.tif")
    began = time.perf_counter()
    predict(
        scene=store,
        checkpoint=[checkpoint],
        out=out,
        settings=PredictSettings(backend=backend, precision=precision),
        threads=THREADS,
    )
    seconds = time.perf_counter() - began
    with rasterio.open(out) as raster:
        tags, pixels = raster.tags(), raster.width * raster.height
    return {
        "seconds": seconds,
        "megapixels_per_second": pixels / 1e6 / seconds,
        "peak_mib": peak_mib(),
        "backend": tags["FLOODLOOM_BACKEND"],
        "precision": tags["FLOODLOOM_PRECISION"],
        "windows": json.loads(tags["FLOODLOOM_WINDOWS"])["size"],
    }


def network_only(store: Path, checkpoint: Path, backend: str, precision: str) -> Figures:
    """Run the network alone on windows in memory, as many as it takes to know its rate.

    The rate is that of the scene: pixels that windows share count once, as they do end to end.
    """
    ensemble = load_ensemble([checkpoint], threads=THREADS)
    inputs = compose_inputs(open_store(store), INPUTS)
    sizes = inputs.sizes
    plan = plan_scene(
        sizes["y"], sizes["x"], tile=LARGEST[precision], field=ensemble.receptive_field(),
        stride=ensemble.stride(),
        overlap=None, rim=None,
    )  # fmt: skip
    request = Request(backend, precision, plan.predicted_pixels, THREADS)
    windows = sample(precision, ensemble, inputs, backend)
    running = choose_precision(precision, ensemble, windows, backend).ensemble
    network = water_network(accelerate(running, request)[0], precision=precision)
    shape = (1, len(INPUTS.bands), *plan.size)
    window = np.random.default_rng(SEED).uniform(-1, 1, shape).astype(np.float32)
    rim = (plan.rim if len(plan.rows) > 2 else 0,) * 4  # as of a window inside the scene
    network(window, rim)
    began = time.perf_counter()
    for _ in range(NETWORK_WINDOWS):
        network(window, rim)
    each = (time.perf_counter() - began) / NETWORK_WINDOWS
    scene = each * len(plan.rows) * len(plan.cols)
    return {
        "megapixels_per_second": sizes["y"] * sizes["x"] / 1e6 / scene,
        "window_megapixels_per_second": plan.size[0] * plan.size[1] / 1e6 / each,
    }


def plain(store: Path, checkpoint: Path, stride: str) -> Figures:
    """Predict tiles of 512 px one after the other, as a first script would."""
    step = int(stride)
    model = load_checkpoint(checkpoint).model()
    scene = open_store(store)
    inputs = compose_inputs(scene, INPUTS)
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    places = [(y, x) for y in range(0, height, step) for x in range(0, width, step)]
    inside = [(y, x) for y, x in places if max(y - height, x - width) + PLAIN_TILE <= 0]
    chosen = inside[:: max(len(inside) // PLAIN_TILES, 1)]
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": height, "width": width}
    rim = (PLAIN_TILE - step) // 2
    began = time.perf_counter()
    with rasterio.open(store.with_name("plain.tif"), "w", tiled=True, **profile) as raster:
        for row, col in chosen:
            tile = inputs.isel(y=slice(row, row + PLAIN_TILE), x=slice(col, col + PLAIN_TILE))
            with torch.no_grad():
                logits = model(torch.from_numpy(tile.values[np.newaxis]))
            percent = (100 * logits.softmax(dim=1)[0, 1]).round().to(torch.uint8).numpy()
            used = percent[rim : rim + step, rim : rim + step]
            raster.write(used, 1, window=Window(col + rim, row + rim, step, step))
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "tiles": len(chosen),
        "share_of_scene": len(chosen) * step**2 / (height * width),
        "megapixels_per_second": len(chosen) * step**2 / 1e6 / seconds,
    }


def plain_stride(checkpoint: Path) -> int:
    """Return how far tiles of 512 px are apart whose used parts don't see their borders."""
    return PLAIN_TILE - 2 * -(-load_ensemble([checkpoint]).receptive_field() // 2)


def learnt() -> Checkpoint:
    """Return a network that has learnt to see the scene's water."""
    torch.manual_seed(SEED)
    arguments = {"in_channels": 2, "classes": 2}
    model = build("unet", 2, 2)
    power, water = backscatter(128, 128)
    scene = stamp(xr.Dataset({n: (("y", "x"), p) for n, p in power.items()}), PRODUCT)
    image = torch.from_numpy(compose_inputs(scene, INPUTS).values)[None]
    label = torch.from_numpy(water.astype(np.int64))[None]
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(image), label).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Checkpoint("unet", arguments, ("dry", "water"), INPUTS, model.eval().state_dict())


def backscatter(
    height: int, width: int, row: int = 0, col: int = 0
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return linear power by polarisation and the water of a part of the endless scene."""
    rows, cols = np.mgrid[row : row + height, col : col + width].astype(np.float32)
    water = np.sin(rows / 91) * np.cos(cols / 127) > 0.3
    land = 0.06 + 0.02 * np.sin(rows / 37) * np.cos(cols / 53)
    vv = np.where(water, np.float32(0.004), land)
    draw = np.random.default_rng([SEED, row, col])
    looks = {name: draw.standard_gamma(4, (height, width), np.float32) / 4 for name in ("vv", "vh")}
    return {"vv": vv * looks["vv"], "vh": vv / 5 * looks["vh"]}, water


def write_scene(side: int, path: Path, width: int | None = None) -> Path:
    """Write a scene store, square or of a width, block by block; every pixel has data."""
    block, width = min(side, 2048), width or side
    parts = {
        name: da.map_blocks(
            lambda block_info, name=name: _block(name, block_info),
            chunks=((block,) * (side // block), (block,) * (width // block)),
            dtype=np.float32,
            meta=np.empty((0, 0), np.float32),
        )
        for name in ("vv", "vh")
    }
    grid = grid_from_bounds((0, 0, 10 * width, 10 * side), 32633, 10.0)
    scene = xr.Dataset({name: (("y", "x"), part) for name, part in parts.items()})
    placed = assign_crs(scene.assign_coords(xr_coords(grid)), grid.crs)
    return write_store(stamp(placed, PRODUCT), path)


def _block(name: str, block_info: Any) -> np.ndarray:
    (top, bottom), (left, right) = block_info[None]["array-location"]
    return backscatter(bottom - top, right - left, top, left)[0][name]


def versions() -> dict[str, str]:
    """Return the versions of the packages that the figures depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


if __name__ == "__main__":
    main()
