"""A training that is killed goes on as if nothing had happened, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from floodloom.learning.checkpoint import load_checkpoint
from floodloom.learning.training.settings import TrainSettings
from floodloom.stages.train import train
from floodloom.tiles.store import concatenate_tiles, write_tiles

SETTINGS = {
    "width": 4,
    "epochs": 6,
    "batch": 4,
    "average": 0.5,
    "cutmix": 0.5,
    "band_drop": 0.2,
    "precision": "float32",
    "memory_gib": 0.0,
}

VICTIM = """
import sys, time
from pathlib import Path
import torch
from floodloom.learning.training import loop
from floodloom.learning.training.settings import TrainSettings
from floodloom.stages.train import train

torch.set_num_threads(1)
step, steps = loop._Step.__call__, 0

def slowed(*arguments):
    global steps
    steps += 1
    if steps == 3 * 6 + 3:
        print("in mid-epoch", flush=True)
        time.sleep(100)
    return step(*arguments)

loop._Step.__call__ = slowed
train(tiles=[Path(sys.argv[1])], out=Path(sys.argv[2]), settings=TrainSettings(**eval(sys.argv[3])))
"""


@pytest.fixture
def store(make_tiles, tmp_path) -> Path:
    tiles = concatenate_tiles([make_tiles(24), make_tiles(6, "validation", seed=1)])
    return write_tiles(tiles, tmp_path / "tiles.zarr")


def test_killed_in_mid_epoch(store, tmp_path):
    whole = train(
        tiles=[store], out=tmp_path / "whole.safetensors", settings=TrainSettings(**SETTINGS)
    )
    out = tmp_path / "killed.safetensors"
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(store), str(out), repr(SETTINGS)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert victim.stdout.readline() == "in mid-epoch\n"
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    victim.stdout.close()
    assert not out.exists()
    resumed = train(tiles=[store], out=out, settings=TrainSettings(**SETTINGS))
    first, second = load_checkpoint(whole), load_checkpoint(resumed)
    assert all(torch.equal(first.weights[name], t) for name, t in second.weights.items())
    assert first.temperature == second.temperature
    losses = [[row["loss"] for row in checkpoint.history] for checkpoint in (first, second)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 6
    left = {path.name for path in tmp_path.glob("killed.*")}
    assert left == {"killed.safetensors", "killed.history.jsonl"}
