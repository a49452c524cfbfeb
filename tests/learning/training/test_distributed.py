"""Processes that share a training end where one process would have."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from floodloom.errors import TrainingError
from floodloom.learning.checkpoint import load_checkpoint
from floodloom.learning.data.augmentation import Augmentation, RadarNoise
from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.training.distributed import (
    Processes,
    processes,
    sum_over_processes,
    without_sharing,
)
from floodloom.learning.training.loop import fit
from floodloom.learning.training.settings import TrainingSettings, TrainSettings
from floodloom.models.registry import build
from floodloom.stages.train import train
from floodloom.tiles.store import concatenate_tiles, open_tiles, write_tiles

WORKER = """
import sys
from pathlib import Path
from floodloom.learning.training.distributed import join_processes
from tests.learning.training.test_distributed import in_double, in_stage
with join_processes():
    in_double(Path(sys.argv[1]), Path(sys.argv[2]))
    in_stage(Path(sys.argv[1]), Path(sys.argv[2]))
"""


class Double(nn.Module):
    """A network in double precision, in which rounding is no excuse."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.network = build("unet", 2, 2, width=4, depth=2).double()

    def forward(self, image):
        return self.network(image.double())


class OfDouble:
    """The loss of the logits, in double precision."""

    def __call__(self, module, batch, *, loss, averaged, progress):
        return loss.of_logits(module(batch.image), batch.label.long())


def in_double(store: Path, folder: Path) -> None:
    """Train with everything that goes by tiles, and keep the weights."""
    torch.set_num_threads(1)
    training, validation = (
        radar_samples(part) for part in training_and_validation(open_tiles(store))
    )
    for name in ("ce_dice", "weighted_cross_entropy", "border_cross_entropy", "focal"):
        fitted = fit(
            Double(),
            TrainingSet.of(training, 2),
            validation,
            TrainingSettings(epochs=2, batch=4, average=0.5, precision="float32", loss=name),
            objective=OfDouble(),
            augmentation=Augmentation(RadarNoise(torch.eye(2), 4.0, 1.0, 1.0), 0.2, 0.5),
        )
        if processes().is_first:
            save_file(fitted.weights, folder / f"{name}.safetensors")


def in_stage(store: Path, folder: Path) -> None:
    """Train as users do."""
    out = folder / "stage.safetensors"
    train(
        tiles=[store],
        out=out,
        settings=TrainSettings(width=4, epochs=2, batch=4, precision="float32"),
    )


@pytest.fixture(scope="module")
def store(make_tiles, tmp_path_factory) -> Path:
    tiles = concatenate_tiles([make_tiles(14), make_tiles(5, "validation", seed=1)])
    label = tiles.label.values.copy()
    label[::3, 12:] = 255  # processes' parts hold different numbers of labelled pixels
    tiles = tiles.assign(label=(tiles.label.dims, label))
    return write_tiles(tiles, tmp_path_factory.mktemp("team") / "tiles.zarr")


def in_processes(count: int, store: Path, folder: Path) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(store), str(folder)],
            env={**os.environ, **common, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).resolve().parents[3],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        return "".join(process.communicate(timeout=300)[1] for process in processes)
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def both(store, tmp_path_factory) -> tuple[Path, Path]:
    """Folders with what one process and what two processes made."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    in_double(store, one)
    in_stage(store, one)
    output = in_processes(2, store, two)
    assert (two / "stage.safetensors").is_file(), output
    return one, two


@pytest.mark.parametrize(
    "loss", ["ce_dice", "weighted_cross_entropy", "border_cross_entropy", "focal"]
)
def test_two_processes_are_one(both, loss):
    one, two = (load_file(folder / f"{loss}.safetensors") for folder in both)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-5, msg=name)


def test_the_stage_gives_one_checkpoint(both):
    """In single precision AdamW soon makes much of rounding, so scores are compared."""
    one, two = (load_checkpoint(folder / "stage.safetensors") for folder in both)
    assert two.history[0]["loss"] == pytest.approx(one.history[0]["loss"], abs=1e-4)
    assert two.scores["accuracy"] == pytest.approx(one.scores["accuracy"], abs=0.02)
    assert two.training["class_fractions"] == one.training["class_fractions"]
    names = {path.name for path in both[1].glob("stage.*")}
    assert names == {"stage.safetensors", "stage.history.jsonl"}


def test_every_process_has_its_part():
    parts = [Processes(rank, 3).part(12) for rank in range(3)]
    assert [list(range(12))[part] for part in parts] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]
    with pytest.raises(TrainingError, match="batch 8 can't be shared by 3 processes"):
        Processes(0, 3).part(8)


def test_processes_that_do_not_see_the_same_state_are_refused(monkeypatch):
    def gather(held, value):
        held[:] = [value, 0]

    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    Processes(0, 2).require_same_epoch(0)
    with pytest.raises(TrainingError, match=r"after epochs \[0, 3\]: not all see the state"):
        Processes(0, 2).require_same_epoch(3)


def test_alone_nothing_is_exchanged():
    tensor = torch.ones(2, requires_grad=True)
    assert sum_over_processes(tensor) is tensor
    with without_sharing():
        assert sum_over_processes(tensor) is tensor
    assert processes() == Processes()
    assert replace(processes(), rank=1).is_first is False
    assert processes().from_first("x") == "x"
