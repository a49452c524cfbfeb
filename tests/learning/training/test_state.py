"""The state of a training: whole, of this training and undamaged, or not taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from floodloom.learning.training.state import Progress, TrainingState, load_state, save_state


def machinery(steps: int) -> TrainingState:
    torch.manual_seed(0)
    module = nn.Conv2d(2, 2, 3)
    optimizer = torch.optim.AdamW(module.parameters())
    for _ in range(steps):
        module(torch.ones(1, 2, 4, 4)).sum().backward()
        optimizer.step()
    return TrainingState(module, None, optimizer, torch.Generator().manual_seed(1))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = machinery(3)
    progress = Progress().after({"epoch": 1, "iou": 0.5, "validation_loss": 1.0}, made.module)
    save_state(tmp_path / "s.safetensors", "this", progress, made)
    return tmp_path / "s.safetensors"


def test_a_training_goes_on_where_it_was(state) -> None:
    other = machinery(1)
    found = load_state(state, "this", other)
    assert (found.epochs, found.best_epoch) == (1, 1)
    assert torch.equal(other.module.weight, machinery(3).module.weight)


def flipped(content: bytes, place: float) -> bytes:
    first = 8 + int.from_bytes(content[:8], "little")
    at = first + int(place * (len(content) - first))
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGE = {
    "a bit of the first tensor": lambda content: flipped(content, 0.0),
    "a bit in the middle": lambda content: flipped(content, 0.5),
    "a bit at the end": lambda content: flipped(content, 0.999),
    "cut off": lambda content: content[:-100],
    "empty": lambda content: b"",
    "a long header": lambda content: (1 << 40).to_bytes(8, "little") + content[8:],
    "history": lambda content: content.replace(b"epoch", b"epo\\x", 1),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_state_is_not_taken(state, name: str) -> None:
    state.write_bytes(DAMAGE[name](state.read_bytes()))
    other = machinery(1)
    assert load_state(state, "this", other) == Progress()
    assert torch.equal(other.module.weight, machinery(1).module.weight)


def test_the_state_of_another_training_is_not_taken(state) -> None:
    assert load_state(state, "that", machinery(1)) == Progress()
