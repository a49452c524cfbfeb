"""Stores that lost a part, or that others have changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import Trial

Words = tuple[str, ...]
Spoil = Callable[[Path], object]


def removed(name: str) -> Spoil:
    def spoil(store: Path) -> None:
        path = store / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def overwritten(name: str, content: bytes) -> Spoil:
    return lambda store: (store / name).write_bytes(content)


def flipped(name: str, share: float = 0.5) -> Spoil:
    """Change a byte of a chunk."""

    def spoil(store: Path) -> None:
        content = bytearray((store / name).read_bytes())
        content[int(share * len(content))] ^= 0x40
        (store / name).write_bytes(content)

    return spoil


def cut(name: str, share: float = 0.5) -> Spoil:
    def spoil(store: Path) -> None:
        content = (store / name).read_bytes()
        (store / name).write_bytes(content[: int(share * len(content))])

    return spoil


def attribute(name: str, value: Any) -> Spoil:
    """Change an attribute; None removes it."""

    def spoil(store: Path) -> None:
        found = json.loads((store / "zarr.json").read_text())
        found["attributes"][name] = value
        if value is None:
            del found["attributes"][name]
        (store / "zarr.json").write_text(json.dumps(found))

    return spoil


def described(array: str, change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change the metadata of an array."""

    def spoil(store: Path) -> None:
        file = store / array / "zarr.json"
        found = json.loads(file.read_text())
        change(found)
        file.write_text(json.dumps(found))

    return spoil


def recipe(**values: Any) -> Spoil:
    def spoil(store: Path) -> None:
        found = json.loads((store / "zarr.json").read_text())
        own = json.loads(found["attributes"]["recipe"])
        attribute("recipe", json.dumps({**own, **values}))(store)

    return spoil


def link(store: Path) -> None:
    shutil.move(store / "vv", store.parent.parent / "beside" / "vv")
    (store / "vv").symlink_to(store.parent.parent / "beside" / "vv")


def pipe(store: Path) -> None:
    (store / "vv/c/0/0").unlink()
    os.mkfifo(store / "vv/c/0/0")


SCENES: dict[str, tuple[Spoil, Words]] = {
    "not there": (shutil.rmtree, ("x.zarr", "not found")),
    "no metadata": (removed("zarr.json"), ("x.zarr",)),
    "metadata empty": (overwritten("zarr.json", b""), ("x.zarr",)),
    "metadata cut short": (cut("zarr.json"), ("x.zarr",)),
    "metadata a list": (overwritten("zarr.json", b"[]"), ("x.zarr",)),
    "metadata of zeros": (overwritten("zarr.json", bytes(900)), ("x.zarr",)),
    "an array's metadata cut short": (cut("vv/zarr.json"), ("x.zarr",)),
    "an array's metadata lost": (removed("vv/zarr.json"), ("x.zarr", "vv")),
    "a chunk lost": (removed("vv/c/0/0"), ("x.zarr", "vv")),
    "all chunks lost": (removed("vv/c"), ("x.zarr", "vv")),
    "a chunk of the flags lost": (removed("flags/c/0/0"), ("x.zarr", "flags")),
    "a chunk of the places lost": (removed("x/c/0"), ("x.zarr", "x")),
    "a chunk changed": (flipped("vv/c/0/0"), ("x.zarr", "vv")),
    "a chunk changed at its end": (flipped("vv/c/0/0", 0.999), ("x.zarr", "vv")),
    "a chunk cut short": (cut("vv/c/0/0"), ("x.zarr", "vv")),
    "a chunk empty": (overwritten("vv/c/0/0", b""), ("x.zarr", "vv")),
    "a chunk of zeros": (overwritten("vv/c/0/0", bytes(4000)), ("x.zarr", "vv")),
    "a chunk a pipe": (pipe, ("x.zarr", "vv")),
    "an array a link out of it": (link, ("x.zarr", "vv")),
    "no recipe": (attribute("recipe", None), ("x.zarr", "recipe")),
    "recipe in words": (attribute("recipe", "gamma0"), ("x.zarr", "recipe")),
    "recipe a number": (attribute("recipe", 5), ("x.zarr", "recipe")),
    "recipe of an unknown quantity": (recipe(quantity="dB"), ("x.zarr", "recipe")),
    "recipe of another spacing": (recipe(spacing=20.0), ("x.zarr", "spacing")),
    "a shape of 10^12 pixels": (
        described("vv", lambda m: m.update(shape=[1_000_000, 1_000_000])),
        ("x.zarr",),
    ),
    "a shape below 0": (described("vv", lambda m: m.update(shape=[-1, 5])), ("x.zarr",)),
    "a type of objects": (described("vv", lambda m: m.update(data_type="object")), ("x.zarr",)),
    "an unknown codec": (
        described("vv", lambda m: m.update(codecs=[{"name": "hostile"}])),
        ("x.zarr",),
    ),
    "Zarr of another version": (
        lambda s: (s / "zarr.json").write_text('{"zarr_format": 9, "node_type": "group"}'),
        ("x.zarr",),
    ),
    "no band": (lambda s: (removed("vv")(s), removed("vh")(s)), ("x.zarr", "vh")),
}


@pytest.mark.parametrize("name", SCENES)
def test_a_spoilt_scene_is_refused(name: str, trial: Trial) -> None:
    spoil, words = SCENES[name]
    scene = trial.copy("scene.zarr", "x.zarr")
    spoil(scene)
    model, out = trial.event / "model.safetensors", trial.out / "p.tif"
    trial.refuses("predict", "--scene", scene, "--checkpoint", model, "--out", out, words=words)


@pytest.mark.parametrize("spoil", [flipped("flags/c/0/0", 0.3), flipped("flags/c/0/0", 0.9)])
def test_flags_that_were_changed_are_refused_by_who_reads_them(spoil: Spoil, trial: Trial) -> None:
    scene = trial.copy("scene.zarr", "x.zarr")
    spoil(scene)
    made = {"--out": "f.tif", "--vectors": "f.gpkg", "--item": "f.json"}
    places = (part for key, name in made.items() for part in (key, trial.out / name))
    given = ("--probability", trial.event / "probability.tif", "--scene", scene)
    trial.refuses("delineate", *given, *places, words=("x.zarr", "flags"))


CALIBRATED: dict[str, tuple[Spoil, Words]] = {
    "no geometry": (attribute("geometry", None), ("x.zarr", "calibrat")),
    "geometry in words": (attribute("geometry", "flat"), ("x.zarr", "geometry")),
    "geometry empty": (attribute("geometry", "{}"), ("x.zarr", "geometry")),
    "geometry of NaN": (
        lambda s: attribute("geometry", _geometry(s, azimuth_time_interval=float("nan")))(s),
        ("x.zarr", "geometry"),
    ),
    "geometry of other lines": (
        lambda s: attribute("geometry", _geometry(s, lines=10**9))(s),
        ("x.zarr", "1,000,000,000"),
    ),
    "footprint in words": (attribute("footprint", "here"), ("x.zarr", "geometry")),
    "footprint of NaN": (attribute("footprint", [float("nan")] * 4), ("x.zarr", "footprint")),
    "footprint of three": (attribute("footprint", [1.0, 2.0, 3.0]), ("x.zarr", "geometry")),
    "footprint of 160 degrees": (
        attribute("footprint", [-80.0, -80.0, 80.0, 80.0]),
        ("180 degrees",),
    ),
    "metadata cut short": (cut("zarr.json"), ("x.zarr",)),
    "a chunk lost": (removed("vh/c/0/0"), ("x.zarr", "vh")),
    "a chunk changed": (flipped("vh/c/0/0"), ("x.zarr", "vh")),
}


def _geometry(store: Path, **values: Any) -> str:
    attributes = json.loads((store / "zarr.json").read_text())["attributes"]
    return json.dumps({**json.loads(attributes["geometry"]), **values})


@pytest.mark.parametrize("name", CALIBRATED)
def test_a_spoilt_calibrated_store_is_refused(name: str, trial: Trial) -> None:
    spoil, words = CALIBRATED[name]
    scene = trial.copy("calibrated.zarr", "x.zarr")
    spoil(scene)
    out = trial.out / "g.zarr"
    trial.refuses(
        "geocode", "--scene", scene, "--dem", trial.event / "dem.tif", "--out", out, words=words
    )


TILES: dict[str, tuple[Spoil, Words]] = {
    "no image": (removed("image"), ("x.zarr", "image")),
    "no label": (removed("label"), ("x.zarr", "label")),
    "no split": (removed("split"), ("x.zarr", "split")),
    "a chunk of the labels lost": (removed("label/c"), ("x.zarr", "label")),
    "a chunk of the images changed": (flipped("image/c/0/0/0/0"), ("x.zarr", "image")),
    "classes in words": (attribute("classes", "water"), ("x.zarr", "classes")),
    "no classes": (attribute("classes", None), ("x.zarr", "classes")),
    "no recipe": (attribute("recipe", None), ("x.zarr", "recipe")),
}


@pytest.mark.parametrize("name", TILES)
def test_a_spoilt_tile_store_is_refused(name: str, trial: Trial) -> None:
    spoil, words = TILES[name]
    tiles = trial.copy("tiles.zarr", "x.zarr")
    spoil(tiles)
    model, out = trial.event / "model.safetensors", trial.out / "e.json"
    trial.refuses("evaluate", "--tiles", tiles, "--checkpoint", model, "--out", out, words=words)


def test_one_kind_of_store_is_not_taken_for_another(trial: Trial) -> None:
    model, out = trial.event / "model.safetensors", trial.out / "e.json"
    for name, words in (
        ("scene.zarr", ("scene.zarr", "tile store")),
        ("model.safetensors", ("Zarr",)),
    ):
        command = ("evaluate", "--tiles", trial.event / name, "--checkpoint", model, "--out", out)
        trial.refuses(*command, words=words)
    scene = trial.event / "tiles.zarr"
    command = ("predict", "--scene", scene, "--checkpoint", model, "--out", trial.out / "p.tif")
    trial.refuses(*command, words=("tiles.zarr",))


@pytest.mark.parametrize(
    "name", ["metadata cut short", "metadata a list", "no metadata", "a chunk lost"]
)
def test_inspect_refuses_a_spoilt_store(name: str, trial: Trial) -> None:
    spoil, _ = SCENES[name]
    scene = trial.copy("scene.zarr", "x.zarr")
    spoil(scene)
    trial.refuses("inspect", scene, words=("x.zarr",))
