"""Processes that train together make the map of one, and go on after one of them is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
import torch

from floodloom.learning.checkpoint import load_checkpoint
from floodloom.mapping.settings import PredictSettings
from floodloom.stages.predict import predict
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("cluster")
EPOCHS = 5


def train(
    alone: Path, out: Path, *options: object, processes: int = 2, epochs: int = 1
) -> tuple[subprocess.Popen[str], Path]:
    """Start the training of the tiny run in a folder by `torchrun`; return it and its model."""
    tiles = sorted((alone / "results/tiny/tiles").glob("[ab].zarr"))
    model = out / "model.safetensors"
    how = ("--width", 4, "--epochs", epochs, "--patience", EPOCHS, "--precision", "float32")
    run = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes, *options)
    words: Sequence[object] = (
        *run, "-m", "floodloom.cli", "train", "--tiles", *tiles, "--out", model, *how
    )  # fmt: skip
    out.mkdir(parents=True)
    started = subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY / "src"),
            "OMP_NUM_THREADS": "1",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # as docs/cluster.md has it
        },
        cwd=out,
        stderr=subprocess.PIPE,
        text=True,
    )
    return started, model


def finish(started: subprocess.Popen[str]) -> str:
    """Wait for a training, and return what it wrote."""
    _, said = started.communicate(timeout=600)
    assert started.returncode == 0, said
    return said


def weights(model: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(model).weights)


def percent(alone: Path, model: Path) -> np.ndarray:
    """Map the tiny run's target by a model; (y, x) uint8, percent."""
    out = model.with_name("water.tif")
    scene = alone / "results/tiny/geocoded/c_after.zarr"
    predict(scene=scene, checkpoint=[model], out=out, settings=PredictSettings())
    with rasterio.open(out) as raster:
        return raster.read(1)


def test_two_processes_make_the_map_of_one(alone: Path, tmp_path: Path) -> None:
    models = []
    for count in (1, 2):
        started, model = train(alone, tmp_path / str(count), processes=count)
        finish(started)
        models.append(model)
    one, two = (percent(alone, model).astype(int) for model in models)
    np.testing.assert_array_equal(one == 255, two == 255)
    apart = np.abs(one - two)[one != 255]
    print(f"{(apart > 0).mean():.2%} of the pixels differ, by {apart.max()} percent at most")
    assert apart.max() <= 1


def test_a_training_goes_on_after_a_process_is_killed(alone: Path, tmp_path: Path) -> None:
    undisturbed, expected = train(alone, tmp_path / "undisturbed", epochs=EPOCHS)
    finish(undisturbed)
    started, model = train(alone, tmp_path / "killed", "--max-restarts", 1, epochs=EPOCHS)
    state = model.with_suffix(".state.safetensors")
    while not state.exists():
        assert started.poll() is None
        time.sleep(0.02)
    psutil.Process(started.pid).children()[-1].kill()
    said = finish(started)
    assert "training resumes after epoch" in said
    found = weights(model)
    for name, tensor in weights(expected).items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, msg=name)
    assert len(load_checkpoint(model).history) == EPOCHS
    assert {path.name for path in model.parent.iterdir()} == {
        "model.safetensors", "model.history.jsonl"
    }  # fmt: skip
