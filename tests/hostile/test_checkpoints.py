"""Checkpoints that are broken, foreign, or made to harm."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
import torch
from safetensors.torch import load_file, save_file

from floodloom.models.tensors import digest_of

from .harness import Trial
from .making import header, with_header

Words = tuple[str, ...]
NAME = "m.safetensors"


def meta(**values: Any) -> Callable[[Trial], Path]:
    """Replace fields of the metadata, as values that are written as JSON."""
    return raw(**{name: json.dumps(value) for name, value in values.items()})


def raw(**texts: str) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        found, data = header(trial.event / "model.safetensors")
        found["__metadata__"] |= texts
        return with_header(trial.given / NAME, found, data)

    return make


def without(field: str) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        found, data = header(trial.event / "model.safetensors")
        found["__metadata__"].pop(field)
        return with_header(trial.given / NAME, found, data)

    return make


def recipe(**values: Any) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        found, _ = header(trial.event / "model.safetensors")
        own = json.loads(found["__metadata__"]["recipe"])
        return meta(recipe={**own, **values})(trial)

    return make


def arguments(**values: Any) -> Callable[[Trial], Path]:
    own = {"in_channels": 2, "classes": 2, "width": 4, "depth": 2}
    return meta(arguments={**own, **values})


Weights = dict[str, torch.Tensor]


def weights(change: Callable[[Weights], Weights]) -> Callable[[Trial], Path]:
    """Replace the weights, as one would who writes the file anew."""

    def make(trial: Trial) -> Path:
        source = trial.event / "model.safetensors"
        metadata, found = header(source)[0]["__metadata__"], change(load_file(source))
        save_file(found, trial.given / NAME, {**metadata, "digest": digest_of(found)})
        return trial.given / NAME

    return make


def filled(value: float, which: int | None = None) -> Callable[[Weights], Weights]:
    """Set all weights, or one number of the last of them with four axes."""

    def change(found: Weights) -> Weights:
        if which is None:
            return {k: v * value if v.is_floating_point() else v for k, v in found.items()}
        name = [k for k in found if found[k].ndim == 4][which]
        found[name].view(-1)[0] = value
        return found

    return change


def renamed(found: Weights) -> Weights:
    return {f"module.{name}": tensor for name, tensor in found.items()}


def lacking(found: Weights) -> Weights:
    return dict(list(found.items())[1:])


def beyond(found: Weights) -> Weights:
    return {**found, "back.door": torch.zeros(3)}


def other_shape(found: Weights) -> Weights:
    name = next(k for k in found if found[k].ndim == 4)
    return {**found, name: torch.zeros(1, 1, 1, 1)}


def integers(found: Weights) -> Weights:
    return {name: tensor.to(torch.int64) for name, tensor in found.items()}


def pickled(trial: Trial) -> Path:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {trial.folder}/beside/harmed",)

    return trial.file(NAME, pickle.dumps(Harm()))


def torch_file(trial: Trial) -> Path:
    path = trial.given / NAME
    torch.save(load_file(trial.event / "model.safetensors"), path)
    return path


def bytes_changed(at: float) -> Callable[[Trial], Path]:
    """Change a byte of the data: a disk, or a download, that is bad."""

    def make(trial: Trial) -> Path:
        content = bytearray(trial.copy("model.safetensors", NAME).read_bytes())
        content[int(at * len(content))] ^= 0x01
        return trial.file(NAME, bytes(content))

    return make


def cut(share: float) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        content = trial.copy("model.safetensors", NAME).read_bytes()
        return trial.file(NAME, content[: int(share * len(content))])

    return make


def long_header(trial: Trial) -> Path:
    return trial.file(NAME, (1 << 62).to_bytes(8, "little") + b"{}")


def overlapping(trial: Trial) -> Path:
    found, data = header(trial.event / "model.safetensors")
    for name, facts in found.items():
        if name != "__metadata__":
            facts["data_offsets"] = [0, facts["data_offsets"][1] - facts["data_offsets"][0]]
    return with_header(trial.given / NAME, found, data)


def pipe(trial: Trial) -> Path:
    os.mkfifo(trial.given / NAME)
    return trial.given / NAME


def secret(trial: Trial) -> str:
    path = trial.folder / "beside" / "private.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    return str(path)


CASES: dict[str, tuple[Callable[[Trial], Path], Words]] = {
    "not there": (lambda t: t.given / NAME, (NAME, "not found")),
    "a folder": (lambda t: t.copy("scene.zarr", NAME), (NAME,)),
    "a pipe": (pipe, (NAME,)),
    "empty": (lambda t: t.file(NAME, b""), (NAME, "safetensors")),
    "a web page": (lambda t: t.file(NAME, b"<html>log in</html>"), (NAME, "safetensors")),
    "pickled": (pickled, (NAME, "never")),
    "of torch": (torch_file, (NAME, "never")),
    "header of 2^62 bytes": (long_header, (NAME, "safetensors")),
    "tensors that overlap": (overlapping, (NAME, "safetensors")),
    "cut short by half": (cut(0.5), (NAME, "safetensors")),
    "cut short by a byte": (cut(0.99999), (NAME, "safetensors")),
    "a byte changed in the middle": (bytes_changed(0.6), (NAME, "digest")),
    "the last byte changed": (bytes_changed(0.99999), (NAME, "digest")),
    "no format": (without("format"), (NAME, "format")),
    "another format": (raw(format="floodloom-checkpoint-9"), (NAME, "floodloom-checkpoint-9")),
    "no recipe": (without("recipe"), (NAME, "recipe")),
    "no temperature": (without("temperature"), (NAME, "temperature")),
    "all weights NaN": (weights(filled(float("nan"))), (NAME, "finite")),
    "all weights infinite": (weights(filled(float("inf"))), (NAME, "finite")),
    "one weight infinite": (weights(filled(float("inf"), 1)), (NAME, "finite")),
    "one weight NaN": (weights(filled(float("nan"), 0)), (NAME, "finite")),
    "weights of other names": (weights(renamed), (NAME, "missing")),
    "a weight missing": (weights(lacking), (NAME,)),
    "a weight too many": (weights(beyond), (NAME, "back.door")),
    "a weight of another shape": (weights(other_shape), (NAME, "(1, 1, 1, 1)")),
    "whole numbers as weights": (weights(integers), (NAME, "I64")),
    "temperature NaN": (raw(temperature="NaN"), (NAME, "temperature", "nan")),
    "temperature infinite": (raw(temperature="Infinity"), (NAME, "temperature", "inf")),
    "temperature 0": (meta(temperature=0), (NAME, "temperature", "0")),
    "temperature -1": (meta(temperature=-1), (NAME, "temperature", "-1")),
    "temperature 1e300": (meta(temperature=1e300), (NAME, "temperature", "1e+300")),
    "temperature in words": (meta(temperature="hot"), (NAME, "temperature", "hot")),
    "temperature true": (meta(temperature=True), (NAME, "temperature", "True")),
    "architecture a list": (meta(architecture=["unet"]), (NAME, "architecture", "unet")),
    "architecture unknown": (meta(architecture="os.system"), (NAME, "os.system")),
    "architecture another": (meta(architecture="segnet"), (NAME, "segnet")),
    "arguments a list": (meta(arguments=[1]), (NAME, "arguments")),
    "arguments that name a file": (
        lambda t: arguments(encoder_weights=secret(t))(t),
        (NAME, "encoder_weights"),
    ),
    "an argument unknown": (arguments(hook="x"), (NAME, "hook")),
    "width in words": (arguments(width="wide"), (NAME, "width", "wide")),
    "width -4": (arguments(width=-4), (NAME, "width", "-4")),
    "width 4.5": (arguments(width=4.5), (NAME, "width", "4.5")),
    "width 10^9": (arguments(width=10**9), (NAME, "width")),
    "width 5,000": (arguments(width=5000), (NAME, "5000")),
    "depth 10^6": (arguments(depth=10**6), (NAME, "depth")),
    "depth 0": (arguments(depth=0), (NAME, "depth")),
    "10^9 bands": (arguments(in_channels=10**9), (NAME, "in_channels")),
    "one class": (arguments(classes=1), (NAME, "classes")),
    "classes a number": (meta(classes=5), (NAME, "classes", "5")),
    "classes of numbers": (meta(classes=[1, 2]), (NAME, "classes")),
    "three classes of two": (meta(classes=["a", "b", "c"]), (NAME, "classes")),
    "notes a list": (meta(notes=[]), (NAME, "notes")),
    "notes 100,000 deep": (raw(notes="[" * 100_000 + "]" * 100_000), (NAME, "metadata")),
    "likelihood in words": (meta(notes={"likelihood": "high"}), (NAME, "likelihood")),
    "likelihood NaN": (
        raw(notes='{"likelihood": {"weight": NaN, "temperature": 1.0}}'),
        (NAME, "likelihood"),
    ),
    "likelihood of temperature 0": (
        meta(notes={"likelihood": {"weight": 0.5, "temperature": 0.0}}),
        (NAME, "likelihood"),
    ),
    "history of numbers": (meta(history=[1, 2]), (NAME, "history")),
    "scores in words": (meta(scores={"iou": "good"}), (NAME, "scores", "good")),
    "statistics of words": (meta(statistics={"mean": "a"}), (NAME, "statistics")),
    "inputs unknown": (meta(inputs="sonar"), (NAME, "sonar")),
    "inputs optical": (meta(inputs="optical"), (NAME, "optical")),
    "recipe a list": (raw(recipe="[]"), (NAME, "recipe", "[]")),
    "recipe of an unknown quantity": (recipe(quantity="dB"), (NAME, "quantity")),
    "recipe with a field too many": (recipe(hook="x"), (NAME, "hook")),
    "recipe of an empty range": (recipe(db_range=[5.0, 5.0]), (NAME, "db_range")),
    "recipe of a range to infinity": (
        lambda t: raw(recipe=_text(t).replace("-30.0", "-Infinity"))(t),
        (NAME, "db_range"),
    ),
    "recipe of a band unknown": (recipe(bands=["vv", "../x"]), ("../x",)),
    "recipe of no band": (recipe(bands=[]), (NAME, "in_channels")),
    "recipe of three bands": (recipe(bands=["vv", "vh", "vv"]), (NAME, "bands")),
    "recipe of 20,000 bands": (recipe(bands=["vv"] * 20_000), (NAME, "bands")),
    "recipe of another spacing": (recipe(spacing=20.0), ("spacing", "20.0")),
    "recipe of spacing NaN": (
        lambda t: raw(recipe=_text(t).replace('"spacing":10.0', '"spacing":NaN'))(t),
        (NAME, "spacing"),
    ),
}


def _text(trial: Trial) -> str:
    found, _ = header(trial.event / "model.safetensors")
    return str(found["__metadata__"]["recipe"])


@pytest.mark.parametrize("name", CASES)
def test_a_broken_checkpoint_is_refused(name: str, trial: Trial) -> None:
    make, words = CASES[name]
    scene, out = trial.event / "scene.zarr", trial.out / "p.tif"
    trial.refuses(
        "predict", "--scene", scene, "--checkpoint", make(trial), "--out", out, words=words
    )


LARGE = {
    "width 5,000": CASES["width 5,000"],
    "recipe of 20,000 bands": CASES["recipe of 20,000 bands"],
}


@pytest.mark.parametrize("name", LARGE)
def test_no_memory_is_taken_for_a_network_that_is_not_there(name: str, trial: Trial) -> None:
    make, words = LARGE[name]
    scene, out = trial.event / "scene.zarr", trial.out / "p.tif"
    command = ("predict", "--scene", scene, "--checkpoint", make(trial), "--out", out)
    trial.refuses(*command, words=words, apart=True)


SHOWN = ("empty", "a web page", "pickled", "cut short by half", "a pipe", "no format")


@pytest.mark.parametrize("name", SHOWN)
def test_inspect_refuses_what_is_no_checkpoint(name: str, trial: Trial) -> None:
    make, _ = CASES[name]
    trial.refuses("inspect", make(trial), words=(NAME,))


def test_a_good_checkpoint_is_used(trial: Trial) -> None:
    checkpoint = trial.copy("model.safetensors", NAME)
    scene, out = trial.event / "scene.zarr", trial.out / "p.tif"
    trial.accepts("predict", "--scene", scene, "--checkpoint", checkpoint, "--out", out)
    with rasterio.open(out) as raster:
        percent = raster.read(1)
    assert percent[percent != 255].max() <= 100


def test_a_zip_is_no_checkpoint(trial: Trial) -> None:
    path = trial.given / NAME
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    scene, out = trial.event / "scene.zarr", trial.out / "p.tif"
    command = ("predict", "--scene", scene, "--checkpoint", path, "--out", out)
    trial.refuses(*command, words=(NAME, "never"))
