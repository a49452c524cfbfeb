"""Checkpoints: what is saved comes back, and nothing foreign is loaded."""

from __future__ import annotations

import json
import pickle
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from floodloom.errors import CheckpointError, RecipeMismatchError
from floodloom.learning import checkpoint as learned
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
    seen = {"channels": ("green", "nir"), "mean": (0.1, 0.2), "deviation": (0.1, 0.1)}
    sees = replace(checkpoint, inputs="optical", channels=seen["channels"], statistics=seen)
    optical = save_checkpoint(sees, tmp_path / "o.safetensors")
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


def changed(path: Path, **texts: str) -> Path:
    """Rewrite the metadata of a checkpoint, and leave its tensors as they are."""
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header, tensors = path.read_bytes()[8 : 8 + size], path.read_bytes()[8 + size :]
    fields = json.loads(header)
    fields["__metadata__"] |= texts
    text = json.dumps(
        {**fields, "__metadata__": {k: v for k, v in fields["__metadata__"].items() if v}}
    )
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + tensors)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[
            ("temperature", t)
            for t in ("NaN", "0", "-1", "Infinity", "1e9", '"hot"', "true", "null")
        ],
        ("architecture", '["unet"]'),
        ("arguments", "[1]"),
        ("classes", "5"),
        ("classes", '["dry"]'),
        ("classes", '["water", "water"]'),
        ("classes", '["dry", "water", "flood"]'),
        ("classes", '["dry", "wa\\nter"]'),
        ("classes", '["dry", "\\u202ewater"]'),
        ("inputs", '"sonar"'),
        ("inputs", '"optical"'),
        ("channels", '["green", "nir"]'),
        ("statistics", '{"channels": ["green"], "mean": [NaN], "deviation": [1.0]}'),
        ("statistics", '{"channels": ["green"], "mean": [0.1], "deviation": [0.0]}'),
        ("statistics", '{"channels": ["green"], "mean": [], "deviation": [1.0]}'),
        ("scores", '{"iou": "good"}'),
        ("training", '{"sensor_drop": "often"}'),
        ("training", '{"teacher_iou": 0.5}'),
        ("training", '{"teacher_iou": null, "student_iou": 0.4, "taught": true}'),
        ("notes", "[]"),
        ("notes", "[" * 100_000 + "]" * 100_000),
        ("notes", '{"a": ' * 100 + "1" + "}" * 100),
        *[
            ("notes", f'{{"likelihood": {{"weight": 1.0, "temperature": {t}}}}}')
            for t in ("0", "NaN")
        ],
        ("notes", '{"likelihood": {"weight": -1.0, "temperature": 1.0}}'),
        ("notes", '{"likelihood": 3}'),
        ("notes", '{"batch_statistics": [1]}'),
        ("history", "{}"),
        ("history", '[{"iou": 0.5}]'),
        ("history", '[{"epoch": 1, "loss": "little"}]'),
        ("history", '[{"epoch": 1, "iou": NaN}]'),
        ("code", "9" * 5000),
    ],
)
def test_metadata_that_cannot_be_is_refused(checkpoint, tmp_path, name: str, text: str) -> None:
    path = changed(save_checkpoint(checkpoint, tmp_path / "m.safetensors"), **{name: text})
    with pytest.raises(CheckpointError, match=r"m\.safetensors: .*train it again") as error:
        load_checkpoint(path)
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bands": ["vv"] * 2},
        {"bands": [f"b{n}" for n in range(20_000)]},
        {"bands": ["vv", "vh", "ratio"]},
        {"bands": []},
        {"db_range": [5.0, -30.0]},
        {"db_range": [float("nan"), 5.0]},
        {"db_range": [-30.0, float("inf")]},
        {"spacing": 0.0},
        {"spacing": -10.0},
        {"spacing": float("nan")},
        {"quantity": "magic"},
        {"speckle_filter": "x" * 1000},
        {"more": 1},
    ],
)
def test_recipes_that_cannot_be_are_refused(checkpoint, tmp_path, wrong: dict[str, object]) -> None:
    recipe = json.dumps(RECIPE.model_dump() | wrong)
    path = changed(save_checkpoint(checkpoint, tmp_path / "m.safetensors"), recipe=recipe)
    with pytest.raises(CheckpointError, match=r"m\.safetensors: .*train it again") as error:
        load_checkpoint(path)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoder_weights": "other.safetensors"},
        {"encoder_weights": None},
        {"width": 8},
        {"width": "4"},
        {"width": 4.0},
        {"width": True},
        {"width": 0},
        {"width": -4},
        {"width": 700},
        {"width": 16_384, "depth": 16_384},
        {"width": 10**12},
        {"depth": 10_000},
        {"in_channels": 3},
        {"classes": 3},
        {"encoder": "../../etc/passwd"},
        {"upsampling": ["bilinear"]},
        {"window": 7},
        {"__class__": 1},
    ],
)
def test_arguments_are_those_of_the_network_in_the_file(
    checkpoint, tmp_path, monkeypatch, wrong: dict[str, object]
) -> None:
    """Nothing is read from another file, and no memory taken for what isn't there."""
    monkeypatch.setattr(learned, "read_tensors", lambda _: pytest.fail("tensors were read"))
    arguments = json.dumps(ARGUMENTS | wrong)
    path = changed(save_checkpoint(checkpoint, tmp_path / "m.safetensors"), arguments=arguments)
    with pytest.raises(CheckpointError, match=r"m\.safetensors: .*train it again") as error:
        load_checkpoint(path)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("architecture", "wrong"),
    [
        ("hourglass", {"stacks": 16_000}),
        ("hrnet", {"blocks": 9_000, "modules": [9_000] * 3}),
        ("full_resolution", {"dilations": [1] * 100_000}),
        ("full_resolution", {"dilations": [2**40]}),
        ("late_fusion", {"groups": [[0], [7]]}),
        ("late_fusion", {"branch": "os"}),
        ("octconv", {"share": float("nan")}),
        ("octconv", {"share": 7.5}),
        ("sliding_window", {"window": 16_381}),
        ("unheard_of", {}),
    ],
)
def test_networks_of_any_size_are_not_built_to_be_refused(
    checkpoint, tmp_path, architecture: str, wrong: dict[str, object]
) -> None:
    texts = {"architecture": json.dumps(architecture), "arguments": json.dumps(ARGUMENTS | wrong)}
    path = changed(save_checkpoint(checkpoint, tmp_path / "m.safetensors"), **texts)
    began = time.process_time()
    with pytest.raises(CheckpointError, match=r"m\.safetensors: .*train it again"):
        load_checkpoint(path)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("place", [0.0, 0.37, 0.999])
def test_a_changed_weight_is_noticed(checkpoint, tmp_path, place: float) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "m.safetensors")
    content = bytearray(path.read_bytes())
    first = 8 + int.from_bytes(content[:8], "little")
    content[first + int(place * (len(content) - first)) // 4 * 4] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.safetensors: its weights .* digest"):
        load_checkpoint(path)


def test_weights_in_each_others_place_are_noticed(checkpoint, tmp_path) -> None:
    weights = dict(checkpoint.weights)
    one, other = [name for name in weights if name.endswith("running_mean")][:2]
    path = save_checkpoint(checkpoint, tmp_path / "m.safetensors")
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
    swapped = weights | {one: weights[other] + 1, other: weights[one]}
    save_file(swapped, path, metadata)
    with pytest.raises(CheckpointError, match="digest"):
        load_checkpoint(path)


def test_older_files_without_a_digest_are_read_with_a_warning(checkpoint, tmp_path, caplog) -> None:
    path = changed(save_checkpoint(checkpoint, tmp_path / "m.safetensors"), digest="")
    loaded = load_checkpoint(path)
    assert all(torch.equal(loaded.weights[name], t) for name, t in checkpoint.weights.items())
    assert "m.safetensors: has no digest" in caplog.text


@pytest.mark.parametrize("length", [0, 1 << 24, 1 << 40, (1 << 64) - 1])
def test_headers_of_any_length_are_refused(checkpoint, tmp_path, length: int) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "m.safetensors")
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_metadata(path)


@pytest.mark.parametrize("kept", [0, 5, 8, 500, -1])
def test_cut_off_files_are_refused(checkpoint, tmp_path, kept: int) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("of", "number", "said"),
    [
        ("weight", 1e38, "gives no numbers"),
        ("running_var", -1.0, "gives no numbers"),
        ("weight", 0.0, "predicts the same for every pixel"),
        ("head.weight", 0.5, "predicts the same for every pixel"),
    ],
)
def test_networks_that_tell_nothing_are_refused(
    checkpoint, tmp_path, of: str, number: float, said: str
) -> None:
    """Their weights are finite, but what they say isn't, or is always the same."""
    weights = {
        name: torch.full_like(t, number) if name.endswith(of) else t
        for name, t in checkpoint.weights.items()
    }
    path = save_checkpoint(replace(checkpoint, weights=weights), tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=rf"m\.safetensors: its network {said}"):
        load_ensemble(path)
