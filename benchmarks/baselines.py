"""`make bench-baselines`: what maps without learning score on the real chips, and what they take.

The chips are those that the model in the package is scored on, and no baseline was fitted to them.
Processor time and memory are those of a simulated scene, each in a process of its own; the loops
are compiled before.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.default_model import best_thresholds, map_chips_by_baseline, score_baselines
from benchmarks.neighbours import peak_mib
from benchmarks.own import own
from benchmarks.predict import write_scene
from benchmarks.record import record
from floodloom.classical.choices import BASELINES
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.stages.predict import predict

SIDE = 4096
SEED = 0


def main() -> None:
    """Score all baselines, and take the time and memory of each."""
    if len(sys.argv) > 1:
        print(json.dumps(mapped(sys.argv[1], Path(sys.argv[2]))))
        return
    record(
        "baselines",
        {
            "scores": score_baselines(),
            "best_thresholds": best_thresholds(map_chips_by_baseline("otsu")),
            "cost": {"side": SIDE, **costs()},
        },
        command="make bench-baselines",
        seeds=[SEED],
    )


def costs() -> dict[str, Any]:
    """Return processor seconds and memory of each baseline on one simulated scene of two bands."""
    with tempfile.TemporaryDirectory(prefix="bench-baselines-") as folder:
        store = write_scene(SIDE, Path(folder) / "scene.zarr")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        own("baselines", "hsba", store, env=environment)  # compiles, once for all
        return {name: own("baselines", name, store, env=environment) for name in BASELINES.names}


def mapped(name: str, store: Path) -> dict[str, float]:
    """Map a store by a baseline; one that compares dates sees no change."""
    files = PredictFiles(before=store if BASELINES.load(name).compares_dates else None)
    settings = PredictSettings(baseline=name)
    began = time.process_time()
    predict(scene=store, out=store.with_name("p.tif"), files=files, settings=settings)
    return {"processor_seconds": time.process_time() - began, "peak_mib": peak_mib()}


if __name__ == "__main__":
    main()
