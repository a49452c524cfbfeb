"""Results that would destroy something, or can't be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import Trial
from .test_rasters import map_of

Words = tuple[str, ...]
Command = Callable[[Trial, Path], tuple[object, ...]]

COMMANDS: dict[str, Command] = {
    "acquire": lambda t, out: ("acquire", "--source", t.event / "after.zip", "--out", out),
    "calibrate": lambda t, out: ("calibrate", "--safe", t.event / "after.SAFE", "--out", out),
    "geocode": lambda t, out: (
        "geocode",
        "--scene",
        t.event / "calibrated.zarr",
        "--dem",
        t.event / "dem.tif",
        "--out",
        out,
    ),
    "tile": lambda t, out: (
        "tile",
        "--scene",
        t.event / "scene.zarr",
        "--size",
        32,
        "--out",
        out,
        "--labels",
        t.event / "truth.tif",
    ),
    "predict": lambda t, out: (
        "predict",
        "--scene",
        t.event / "scene.zarr",
        "--out",
        out,
        "--checkpoint",
        t.event / "model.safetensors",
    ),
    "evaluate": lambda t, out: (
        "evaluate",
        "--prediction",
        t.event / "flood.tif",
        "--truth",
        t.event / "truth.tif",
        "--out",
        out,
    ),
    "delineate": lambda t, out: (
        "delineate",
        "--probability",
        t.event / "probability.tif",
        *map_of(t)[2:],
        "--out",
        out,
    ),
    "report": lambda t, out: ("report", "--map-page", t.out / "m.html", "--out", out),
}
NAMES = {"delineate": "f.tif", "calibrate": "s.zarr", "geocode": "g.zarr", "tile": "t.zarr"}


def folder(path: Path) -> Path:
    """A folder with somebody's work in it."""
    (path / "deep").mkdir(parents=True)
    (path / "thesis.txt").write_text("years of work")
    (path / "deep" / "more.txt").write_text("more")
    return path


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_folder_with_something_in_it_stays(stage: str, trial: Trial) -> None:
    out = folder(trial.out / NAMES.get(stage, "precious"))
    trial.refuses(*COMMANDS[stage](trial, out), words=(out.name,))
    assert (out / "thesis.txt").read_text() == "years of work"
    assert (out / "deep" / "more.txt").exists()


@pytest.mark.parametrize("out", ["..", ".", "../..", "x/..", "/"])
@pytest.mark.parametrize("stage", ["calibrate", "predict"])
def test_a_folder_above_stays(stage: str, out: str, trial: Trial) -> None:
    top = folder(trial.folder / "beside" / "top")
    (top / "sub" / "x").mkdir(parents=True)
    trial.refuses(*COMMANDS[stage](trial, Path(out)), words=(), cwd=top / "sub")
    assert (top / "thesis.txt").exists()


def calibrating(trial: Trial, out: Path) -> tuple[object, ...]:
    return "calibrate", "--safe", trial.copy("after.SAFE", "x"), "--out", out


def geocoding(trial: Trial, out: Path) -> tuple[object, ...]:
    return "geocode", "--scene", trial.copy("calibrated.zarr", "x"), "--out", out


INPUTS: dict[str, Callable[[Trial], tuple[object, ...]]] = {
    "the product": lambda t: calibrating(t, t.given / "x"),
    "inside the product": lambda t: calibrating(t, t.given / "x" / "s.zarr"),
    "the folder of the product": lambda t: calibrating(t, t.given),
    "the zip": lambda t: ("calibrate", "--safe", t.copy("after.zip", "x"), "--out", t.given / "x"),
    "the scene": lambda t: geocoding(t, t.given / "x"),
    "inside the scene": lambda t: geocoding(t, t.given / "x" / "g.zarr"),
    "the scene by another way": lambda t: geocoding(t, t.given / "y" / ".." / "x"),
    "the scene by a link": lambda t: (
        "geocode",
        "--scene",
        t.copy("calibrated.zarr", "x"),
        "--out",
        linked(t),
    ),
    "the elevations": lambda t: (
        "geocode",
        "--scene",
        t.event / "calibrated.zarr",
        "--dem",
        t.copy("dem.tif", "x"),
        "--out",
        t.given / "x",
    ),
    "the checkpoint": lambda t: (
        "predict",
        "--scene",
        t.event / "scene.zarr",
        "--checkpoint",
        t.copy("model.safetensors", "x"),
        "--out",
        t.given / "x",
    ),
    "the source": lambda t: (
        "acquire",
        "--source",
        t.copy("after.zip", "x"),
        "--out",
        t.given / "x",
    ),
    "the probability": lambda t: (
        "delineate",
        "--probability",
        t.copy("probability.tif", "x.tif"),
        *map_of(t)[2:],
        "--out",
        t.given / "x.tif",
    ),
    "the probability as another product": lambda t: (
        "delineate",
        "--probability",
        t.copy("probability.tif", "x.tif"),
        *map_of(t),
        "--likelihood",
        t.given / "x.tif",
    ),
    "the truth": lambda t: (
        "evaluate",
        "--prediction",
        t.event / "flood.tif",
        "--truth",
        t.copy("truth.tif", "x"),
        "--out",
        t.given / "x",
    ),
}


def linked(trial: Trial) -> Path:
    (trial.given / "y").symlink_to("x")
    return trial.given / "y"


@pytest.mark.parametrize("name", INPUTS)
def test_a_result_takes_no_place_of_what_it_is_made_from(name: str, trial: Trial) -> None:
    trial.refuses(*INPUTS[name](trial), words=(str(trial.given),))


SETS: dict[str, tuple[Callable[[Trial], tuple[object, ...]], Words]] = {
    "map and likelihood in one file": (
        lambda t: (*map_of(t), "--likelihood", t.out / "f.tif"),
        ("f.tif",),
    ),
    "map and likelihood by another way": (
        lambda t: (*map_of(t), "--likelihood", t.out / "a" / ".." / "f.tif"),
        ("f.tif",),
    ),
    "map and item in one file": (lambda t: (*map_of(t)[:4], "--item", t.out / "f.tif"), ("f.tif",)),
    "a map of another suffix": (lambda t: (*map_of(t)[2:], "--out", t.out / "f.tiff"), ("f.tiff",)),
    "a map without a suffix": (lambda t: (*map_of(t)[2:], "--out", t.out / "f"), ("f",)),
    "depth without elevations": (lambda t: (*map_of(t), "--depth", t.out / "d.tif"), ("dem",)),
    "a likelihood of another suffix": (
        lambda t: (*map_of(t), "--likelihood", t.out / "l.txt"),
        ("l.txt",),
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_a_set_of_products_is_checked_before_any_is_written(name: str, trial: Trial) -> None:
    more, words = SETS[name]
    probability = trial.event / "probability.tif"
    trial.refuses("delineate", "--probability", probability, *more(trial), words=words)


NOWHERE: dict[str, tuple[str, Words]] = {
    "a name of 250 letters": ("x" * 245 + ".zarr", ("x" * 20,)),
    "below a file": ("file/s.zarr", ("file",)),
    "a device": ("/dev/null/s.zarr", ("/dev/null",)),
    "no name": ("", ()),
}


@pytest.mark.parametrize("name", NOWHERE)
@pytest.mark.parametrize("stage", ["calibrate", "predict", "acquire"])
def test_where_nothing_can_be_written_is_said(stage: str, name: str, trial: Trial) -> None:
    place, words = NOWHERE[name]
    (trial.out / "file").write_text("a file")
    out = trial.out / place if place else place
    trial.refuses(*COMMANDS[stage](trial, out), words=words)  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_pipe_or_a_dangling_link_in_the_way_is_told_or_replaced(stage: str, trial: Trial) -> None:
    """Neither is waited for, and what a link names stays as it is."""
    out = trial.out / NAMES.get(stage, "x.tif")
    out.symlink_to(trial.folder / "beside" / "precious.txt")
    outcome = trial.run(*COMMANDS[stage](trial, out))
    assert not outcome.trace
    assert not outcome.touched


@pytest.mark.parametrize("stage", ["calibrate", "geocode", "tile"])
def test_a_store_of_the_same_kind_is_replaced_in_one_step(stage: str, trial: Trial) -> None:
    out = trial.out / NAMES[stage]
    for _ in range(2):
        outcome = trial.accepts(*COMMANDS[stage](trial, out))
        assert outcome.left == [out.name]


@pytest.mark.parametrize("stage", ["calibrate", "geocode"])
def test_a_store_of_another_kind_stays(stage: str, trial: Trial) -> None:
    out = trial.out / "t.zarr"
    shutil.copytree(trial.event / "tiles.zarr", out)
    trial.refuses(*COMMANDS[stage](trial, out), words=("t.zarr",))
    assert (out / "image").is_dir()


@pytest.mark.parametrize("stage", ["predict", "acquire", "evaluate"])
def test_a_store_is_replaced_by_no_file(stage: str, trial: Trial) -> None:
    out = trial.out / "s.zarr"
    shutil.copytree(trial.event / "scene.zarr", out)
    trial.refuses(*COMMANDS[stage](trial, out), words=("s.zarr",))
    assert (out / "vv").is_dir()


def test_what_the_dead_have_left_is_swept(trial: Trial) -> None:
    """A process that is gone left its temporary; another's that lives is left alone."""
    from floodloom.files import part_beside

    out = trial.out / "s.zarr"
    part = part_beside(out)
    dead = part.with_name(part.name.replace(str(os.getpid()), "4194000"))
    (dead / "vv").mkdir(parents=True)
    outcome = trial.accepts(*COMMANDS["calibrate"](trial, out))
    assert outcome.left == ["s.zarr"]
