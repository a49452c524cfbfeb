"""The record of a training: lines, TensorBoard, and the batch that broke it."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from floodloom.errors import ConfigError, TrainingError
from floodloom.learning.training.state import (
    Progress,
    RunningLoss,
    Sidecars,
    log_epoch,
    progress_bar,
)


def record(epoch: int) -> dict:
    return {"epoch": epoch, "loss": 1 / epoch, "validation_loss": 0.5, "iou": 0.1, "seconds": 1.0}


def test_tensorboard_shows_the_history(tmp_path):
    sidecars = Sidecars.of(tmp_path / "model.safetensors", tensorboard=True)
    history = tuple(record(epoch) for epoch in (1, 2, 3))
    for count in (1, 2, 3):
        log_epoch(Progress(history[:count]), 3, sidecars)
    events = EventAccumulator(str(tmp_path / "model.tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "validation_loss", "iou", "seconds"}
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    assert found == [(epoch, pytest.approx(1 / epoch)) for epoch in (1, 2, 3)]


def test_tensorboard_that_is_missing_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert Sidecars.of(tmp_path / "model.safetensors").board is None
    with pytest.raises(ConfigError, match=r"pip install floodloom\[tensorboard\]"):
        Sidecars.of(tmp_path / "model.safetensors", tensorboard=True)


def test_a_loss_that_is_no_number_names_its_batch():
    running = RunningLoss(epoch=4)
    running.add(torch.tensor(1.0), ("a", "b"))
    running.add(torch.tensor(3.0), ("c", "d"))
    assert running.mean() == 2.0
    running.add(torch.tensor(torch.inf), ("e", "f"))
    with pytest.raises(TrainingError, match=r"became inf in epoch 4, step 3, tiles e, f;"):
        running.add(torch.tensor(1.0), ("g", "h"))
    last = RunningLoss(epoch=1)
    last.add(torch.tensor(torch.nan), ("x",))
    with pytest.raises(TrainingError, match="step 1, tiles x"):
        last.mean()


def test_the_bar_passes_everything_on():
    assert list(progress_bar(iter("abc"), "letters", 3)) == ["a", "b", "c"]
