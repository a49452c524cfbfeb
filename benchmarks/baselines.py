"""`make bench-baselines`: what maps without labels score, and what they take.

All baselines and the model in the package, on simulated chips, on a scene of ETCI 2021 and on the
chips of STAC Overflow, none of which anything was fitted to. Time and memory are those of a
simulated scene; each method runs in a process of its own. What is there is kept, so that a run that
was interrupted goes on; `python -m benchmarks.baselines slic` takes one method anew.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.baseline_scenes import SCENES, score
from benchmarks.default_model import best_thresholds, map_chips_by_baseline, score_baselines
from benchmarks.neighbours import peak_mib
from benchmarks.own import own
from benchmarks.predict import write_scene
from benchmarks.record import RESULTS, record
from floodloom.classical.choices import BASELINES
from floodloom.files import read_json
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.stages.predict import predict

SIDE = 2048
SMALL = 256
SEED = 0
MODEL = "default model"


def main() -> None:
    """Take what is missing, or the given methods."""
    if len(sys.argv) == 4 and Path(sys.argv[2]).is_dir():
        print(json.dumps(taken(*sys.argv[1:])))
        return
    kept = figures()
    methods: dict[str, Any] = {**kept.get("methods", {}), "side": SIDE}
    names = sys.argv[1:] or [one for one in (MODEL, *BASELINES.own_names) if one not in methods]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    thresholds = {
        "scores": kept.get("scores") or score_baselines(),
        "best_thresholds": kept.get("best_thresholds")
        or best_thresholds(map_chips_by_baseline("otsu")),
    }
    with tempfile.TemporaryDirectory(prefix="bench-baselines-") as folder:
        large = write_scene(SIDE, Path(folder) / "large.zarr")
        small = write_scene(SMALL, Path(folder) / "small.zarr")
        for name in names:
            methods[name] = own("baselines", name, large, small, env=environment)
            record(
                "baselines",
                {"methods": methods, **thresholds},
                command="make bench-baselines",
                seeds=[SEED],
            )


def figures() -> dict[str, Any]:
    """Return what has been taken."""
    path = RESULTS / "baselines.json"
    return dict(read_json(path)) if path.exists() else {}


def taken(name: str, large: str, small: str) -> dict[str, Any]:
    """Return the row of a method, whose scenes have no date before."""
    row: dict[str, Any] = cost(name, Path(large), Path(small))
    if name == MODEL or not BASELINES.load(name).compares_dates:
        row |= scored(name)
    return row


def scored(name: str) -> dict[str, Any]:
    """Return what a method scores on each set of scenes."""
    settings = settings_of(name)
    return {
        scenes: score(lambda store, out: predict(scene=store, out=out, settings=settings), scenes)
        for scenes in SCENES
    }


def cost(name: str, large: Path, small: Path) -> dict[str, float]:
    """Return what a method takes; one that compares dates sees no change.

    The small scene comes first: it takes what is only done once, as the training of a forest is.
    """
    compares = name != MODEL and BASELINES.load(name).compares_dates
    seconds = []
    for store in (small, large):
        files = PredictFiles(before=store if compares else None)
        began = time.process_time()
        out = store.with_name("p.tif")
        predict(scene=store, out=out, files=files, settings=settings_of(name))
        seconds.append(time.process_time() - began)
    return {
        "first_seconds": seconds[0],
        "processor_seconds": seconds[1],
        "mpx_per_s": SIDE**2 / 1e6 / seconds[1],
        "peak_mib": peak_mib(),
    }


def settings_of(name: str) -> PredictSettings:
    """Return the settings that choose a method."""
    return PredictSettings(baseline=None if name == MODEL else name)


if __name__ == "__main__":
    main()
