"""`make bench-baselines`: what maps without labels score, and what they take.

All baselines, the model in the package and a network that slides a window, on simulated chips, on a
scene of ETCI 2021 and on the chips of STAC Overflow, none of which anything was fitted to. Time and
memory are those of a simulated scene; each method runs in a process of its own. What is there is
kept, so that a run that was interrupted goes on; `python -m benchmarks.baselines slic` takes one
method anew.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.baseline_scenes import SCENES, score
from benchmarks.default_model import best_thresholds, map_chips_by_baseline, score_baselines
from benchmarks.neighbours import peak_mib
from benchmarks.own import own
from benchmarks.predict import write_scene
from benchmarks.record import RESULTS, record
from benchmarks.sliding_window import BUDGET, trained
from floodloom.classical.choices import BASELINES
from floodloom.files import read_json
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.stages.predict import predict

SIDE = 2048
SMALL = 256
SEED = 0
MODEL, WINDOW = "default model", "sliding window"
NETWORKS = (MODEL, WINDOW)
Mapping = Callable[..., Path]
"""The stage `predict`, whose method is chosen."""


def main() -> None:
    """Take what is missing, or the given methods."""
    if len(sys.argv) == 4 and Path(sys.argv[2]).is_dir():
        print(json.dumps(taken(*sys.argv[1:])))
        return
    kept = figures()
    methods: dict[str, Any] = {**kept.get("methods", {}), "side": SIDE}
    names = sys.argv[1:] or [one for one in (*NETWORKS, *BASELINES.own_names) if one not in methods]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    thresholds = {
        "scores": kept.get("scores") or score_baselines(),
        "best_thresholds": kept.get("best_thresholds")
        or best_thresholds(map_chips_by_baseline("otsu")),
        "sliding_window": BUDGET,
    }
    with tempfile.TemporaryDirectory(prefix="bench-baselines-") as folder:
        large = write_scene(SIDE, Path(folder) / "large.zarr")
        small = write_scene(SMALL, Path(folder) / "small.zarr")
        if WINDOW in names:
            trained(large.parent)  # not in the process whose memory counts
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
    stage = mapping(name, Path(large).parent)
    row: dict[str, Any] = cost(name, stage, Path(large), Path(small))
    if not compares_dates(name):
        row |= {
            scenes: score(lambda store, out: stage(scene=store, out=out), scenes)
            for scenes in SCENES
        }
    return row


def mapping(name: str, folder: Path) -> Mapping:
    """Return what maps a scene by a method; networks that are trained lie in a folder."""
    return partial(
        predict,
        checkpoint=[trained(folder)] if name == WINDOW else [],
        settings=PredictSettings(baseline=None if name in NETWORKS else name),
    )


def compares_dates(name: str) -> bool:
    """Return whether a method needs a scene before."""
    return name not in NETWORKS and BASELINES.load(name).compares_dates


def cost(name: str, stage: Mapping, large: Path, small: Path) -> dict[str, float]:
    """Return what a method takes; one that compares dates sees no change.

    The small scene comes first: it takes what is only done once, as the training of a forest is.
    """
    seconds = []
    for store in (small, large):
        files = PredictFiles(before=store if compares_dates(name) else None)
        began = time.process_time()
        out = store.with_name("p.tif")
        stage(scene=store, out=out, files=files)
        seconds.append(time.process_time() - began)
    return {
        "first_seconds": seconds[0],
        "processor_seconds": seconds[1],
        "mpx_per_s": SIDE**2 / 1e6 / seconds[1],
        "peak_mib": peak_mib(),
    }


if __name__ == "__main__":
    main()
