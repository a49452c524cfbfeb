"""The record of a training: lines, and the batch that broke it."""

from __future__ import annotations

import json

import pytest
import torch

from floodloom.errors import TrainingError
from floodloom.learning.training.state import (
    Progress,
    RunningLoss,
    Sidecars,
    log_epoch,
    progress_bar,
)


def test_the_history_has_a_line_for_each_epoch(tmp_path):
    sidecars = Sidecars.of(tmp_path / "model.safetensors")
    fixed = {"validation_loss": 0.5, "iou": 0.1, "seconds": 1.0}
    history = tuple({"epoch": epoch, "loss": 1 / epoch, **fixed} for epoch in (1, 2, 3))
    for count in (1, 2, 3):
        log_epoch(Progress(history[:count]), 3, sidecars)
    lines = (tmp_path / "model.history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(history)


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
