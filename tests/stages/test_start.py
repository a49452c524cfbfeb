"""What a stage may import before it begins: each package costs every job its time."""

from __future__ import annotations

import json
import subprocess
import sys

from floodloom.stages import STAGES

NUMBERS = {"numpy", "rasterio"}
RASTERS = {*NUMBERS, "dask.array", "numba", "pandas", "PIL", "shapely", "xarray", "zarr"}
FEATURES = {*RASTERS, "exactextract", "geopandas", "pyogrio", "pystac"}
SIMULATION = {*RASTERS, "scipy.ndimage", "scipy.optimize", "scipy.spatial"}
NETWORKS = {*SIMULATION, "torch"}

# Those of one line start in one process, one after the other, each with all of the one before.
STARTS: tuple[dict[str, set[str]], ...] = (
    {
        "cli": set(),
        "stages.acquire": NUMBERS,
        "stages.gather": NUMBERS,
        **dict.fromkeys(
            [f"stages.{s}" for s in ("orbit", "calibrate", "geocode", "ingest", "tile")], RASTERS
        ),
        **dict.fromkeys([f"stages.{s}" for s in ("predict", "evaluate")], RASTERS),
        **dict.fromkeys([f"stages.{s}" for s in ("delineate", "report")], FEATURES),
        "prepare.commands": {*FEATURES, "pystac_client", "requests"},
    },
    {
        "stages.simulate": SIMULATION,
        **dict.fromkeys(
            [f"stages.{s}" for s in ("teach", "distill", "pretrain", "train", "relabel")], NETWORKS
        ),
    },
)
SLOW = {
    *NETWORKS, *FEATURES,
    "distributed", "matplotlib", "onnx", "onnxruntime", "openvino", "pystac_client", "requests",
    "rioxarray", "scipy.stats", "skimage", "sklearn", "snakemake",
    "tensorboard", "torch._dynamo", "torchvision",
}  # fmt: skip

IMPORTS = """
import importlib, json, sys
modules, slow = json.loads(sys.argv[1])
for module in modules:
    importlib.import_module(f"floodloom.{module}")
    print(json.dumps([module, [name for name in slow if name in sys.modules]]))
"""


def test_a_stage_imports_what_every_job_of_it_needs() -> None:
    for allowed in STARTS:
        asked = json.dumps([list(allowed), sorted(SLOW)])
        run = subprocess.run(
            [sys.executable, "-c", IMPORTS, asked], capture_output=True, text=True, check=True
        )
        imported = dict(map(json.loads, run.stdout.splitlines()))
        assert imported.keys() == allowed.keys()
        beyond = {name: set(found) - allowed[name] for name, found in imported.items()}
        assert not any(beyond.values()), beyond


def test_every_stage_is_looked_at() -> None:
    assert {f"stages.{name}" for name in STAGES} <= {name for one in STARTS for name in one}
