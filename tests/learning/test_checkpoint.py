"""Checkpoints: what is saved comes back, and nothing foreign is loaded."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from floodloom.errors import CheckpointError, RecipeMismatchError
from floodloom.learning.checkpoint import (
    Checkpoint,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from floodloom.learning.inference import load_ensemble
from floodloom.models.registry import build
from floodloom.raster.recipe import Recipe

ARGUMENTS = {"in_channels": 2, "classes": 2, "width": 4}
RECIPE = Recipe(quantity="gamma0", spacing=10.0).for_inputs(("vv", "vh"))


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(3)
    return Checkpoint(
        "unet",
        ARGUMENTS,
        ("dry", "water"),
        RECIPE,
        build("unet", **ARGUMENTS).state_dict(),
        scores={"iou": 0.7},
        temperature=1.3,
        training={"epochs": 2},
        history=({"epoch": 1, "iou": 0.7},),
        notes={"kept": "new weights"},
        code="0123456789ab",
    )


def test_round_trip(checkpoint, tmp_path):
    path = save_checkpoint(checkpoint, tmp_path / "deep" / "model.safetensors")
    loaded = load_checkpoint(path)
    for field in fields(Checkpoint):
        if field.name not in ("weights", "history"):
            assert getattr(loaded, field.name) == getattr(checkpoint, field.name), field.name
    assert list(loaded.history) == list(checkpoint.history)
    image = torch.randn(1, 2, 40, 33)
    assert torch.equal(loaded.model()(image), checkpoint.model()(image))


def test_metadata_needs_no_weights(checkpoint, tmp_path):
    path = save_checkpoint(checkpoint, tmp_path / "model.safetensors")
    metadata = read_metadata(path)
    assert metadata["architecture"] == "unet"
    assert metadata["recipe"]["bands"] == ["vv", "vh"]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_pickles_are_never_loaded(name, tmp_path):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="pickled checkpoints"):
        load_checkpoint(tmp_path / name)


def test_missing_foreign_and_damaged_files_are_refused(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors: checkpoint not found"):
        load_checkpoint(tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="format is None"):
        load_checkpoint(tmp_path / "foreign.safetensors")
    damaged = {"format": "floodloom-checkpoint-1", "recipe": "{}"}
    save_file({"a": torch.zeros(1)}, tmp_path / "damaged.safetensors", damaged)
    with pytest.raises(CheckpointError, match="damaged metadata"):
        load_checkpoint(tmp_path / "damaged.safetensors")


def test_weights_of_another_width_are_refused_in_one_line(checkpoint):
    wrong = replace(checkpoint, arguments={**ARGUMENTS, "width": 8})
    with pytest.raises(CheckpointError, match="size mismatch") as caught:
        wrong.model()
    assert "\n" not in str(caught.value)


def test_an_ensemble_refuses_members_that_differ(checkpoint, tmp_path):
    first = save_checkpoint(checkpoint, tmp_path / "first.safetensors")
    other = RECIPE.model_copy(update={"flattened": True})
    second = save_checkpoint(replace(checkpoint, recipe=other), tmp_path / "second.safetensors")
    with pytest.raises(RecipeMismatchError, match=r"second\.safetensors: flattened is True"):
        load_ensemble([first, second])
    named = replace(checkpoint, classes=("dry", "flood"))
    third = save_checkpoint(named, tmp_path / "third.safetensors")
    with pytest.raises(CheckpointError, match=r"third\.safetensors: classes"):
        load_ensemble([first, third])
    optical = save_checkpoint(replace(checkpoint, inputs="optical"), tmp_path / "o.safetensors")
    with pytest.raises(CheckpointError, match="takes optical channels"):
        load_ensemble(optical)
    with pytest.raises(CheckpointError, match="none was given"):
        load_ensemble([])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(checkpoint, tmp_path, number: float) -> None:
    """Such a network sees no water anywhere."""
    weights = {name: tensor.clone() for name, tensor in checkpoint.weights.items()}
    name = [name for name in weights if weights[name].is_floating_point()][-1]
    weights[name].view(-1)[0] = number
    path = save_checkpoint(replace(checkpoint, weights=weights), tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=rf"m\.safetensors: weight {name} holds numbers"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("temperature", t) for t in ("NaN", "0", "-1", "Infinity", '"hot"', "true", "null")],
        ("architecture", '["unet"]'),
        ("arguments", "[1]"),
        ("classes", "5"),
        ("notes", "[]"),
        ("notes", "[" * 100_000 + "]" * 100_000),
        ("history", "{}"),
    ],
)
def test_metadata_of_other_types_is_refused(checkpoint, tmp_path, name: str, text: str) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "m.safetensors")
    with safe_open(path, framework="pt") as stored:
        metadata = {**stored.metadata(), name: text}
    save_file(dict(checkpoint.weights), path, metadata)
    with pytest.raises(CheckpointError, match=r"m\.safetensors: .*train it again") as error:
        load_checkpoint(path)
    assert len(str(error.value)) < 400
