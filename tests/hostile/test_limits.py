"""Small inputs that ask for very much: pixels, memory, time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .harness import Trial
from .making import ANNOTATIONS, edited, element, empty_geotiff
from .test_rasters import map_of
from .test_stores import attribute

Words = tuple[str, ...]
Command = tuple[object, ...]


def sized(trial: Trial, height: int, width: int, **options: object) -> Command:
    """A product whose parts agree on a size that it can't have."""
    safe = trial.copy("after.SAFE", "x.SAFE")

    def change(content: bytes) -> bytes:
        for name, value in (("numberOfLines", height), ("numberOfSamples", width)):
            content = element(name, str(value))(content)  # type: ignore[assignment]
        return content

    edited(safe, {ANNOTATIONS: change})
    for file in safe.glob("measurement/*"):
        empty_geotiff(file, height, width, "uint16", **options)
    return ("calibrate", "--safe", safe, "--out", trial.out / "s.zarr")


def probability(trial: Trial) -> Command:
    path = empty_geotiff(trial.given / "x.tif", 110_000, 110_000, crs="EPSG:32633")
    return ("delineate", "--probability", path, *map_of(trial))


def strip(trial: Trial) -> Command:
    path = empty_geotiff(trial.given / "x.tif", 16, 2_000_000_000, crs="EPSG:32633")
    return ("delineate", "--probability", path, *map_of(trial))


def many_bands(trial: Trial) -> Command:
    path = empty_geotiff(trial.given / "x.tif", 512, 512, crs="EPSG:32633", count=60_000)
    return ("delineate", "--probability", path, *map_of(trial))


def labels(trial: Trial) -> Command:
    path = empty_geotiff(trial.given / "x.tif", 200_000, 200_000, crs="EPSG:32633")
    scene = trial.event / "scene.zarr"
    return ("tile", "--scene", scene, "--labels", path, "--size", 32, "--out", trial.out / "t.zarr")


def wide_grid(trial: Trial) -> Command:
    """A grid of tie points that spans the Earth."""
    safe = trial.copy("after.SAFE", "x.SAFE")

    def change(content: bytes) -> bytes:
        for name in (b"latitude", b"longitude"):
            values = iter(range(10**6))
            pattern = b"<%s>[^<]+" % name
            content = re.sub(
                pattern,
                lambda m, n=name, v=values: b"<%s>%d" % (n, (-80, 80)[next(v) % 2]),
                content,
            )
        return content

    edited(safe, {ANNOTATIONS: change})
    return ("calibrate", "--safe", safe, "--out", trial.out / "s.zarr")


def wide_footprint(trial: Trial) -> Command:
    scene = trial.copy("calibrated.zarr", "x.zarr")
    attribute("footprint", [-80.0, -80.0, 80.0, 80.0])(scene)
    return ("geocode", "--scene", scene, "--out", trial.out / "g.zarr")


def fine(trial: Trial) -> Command:
    scene = trial.event / "calibrated.zarr"
    return ("geocode", "--scene", scene, "--resolution", "1e-6", "--out", trial.out / "g.zarr")


def chips_apart(trial: Trial, *, other: str = "x-120_y-120") -> Command:
    """Tiles of a data set whose names say that they lie very far from one another."""
    for band in ("vv", "vh"):
        folder = trial.given / "x" / "ev_20200101" / "tiles" / band
        folder.mkdir(parents=True)
        for name in ("x-0_y-0", other):
            Image.fromarray(np.zeros((256, 256), np.uint8)).save(folder / f"s_{name}_{band}.png")
    return (
        "ingest",
        "--dataset",
        "etci2021",
        "--root",
        trial.given / "x",
        "--scene",
        "ev_20200101",
        "--out",
        trial.out / "s.zarr",
    )


def picture_bomb(trial: Trial) -> Command:
    """A chip of a data set, tiny as a file and immense as a picture."""
    command = chips_apart(trial, other="x-1_y-0")
    for file in (trial.given / "x").rglob("*x-0_y-0*.png"):
        Image.new("1", (30_000, 30_000)).save(file)
    return command


def windows(trial: Trial, **options: object) -> Command:
    given = tuple(part for key, value in options.items() for part in (f"--{key}", value))
    scene, model = trial.event / "scene.zarr", trial.event / "model.safetensors"
    return (
        "predict",
        "--scene",
        scene,
        "--checkpoint",
        model,
        "--out",
        trial.out / "p.tif",
        *given,
    )


CASES: dict[str, tuple[Callable[[Trial], Command], Words]] = {
    "a product of 1,024 x 2,000,000 px": (
        lambda t: sized(t, 1024, 2_000_000),
        ("x.SAFE", "2e+06"),
    ),
    "a product of 10^9 lines": (
        lambda t: sized(t, 10**9, 16, tiled=False, blockxsize=16, blockysize=10**6),
        ("x.SAFE", "1e+09"),
    ),
    "tie points across the Earth": (wide_grid, ("x.SAFE",)),
    "a footprint across the Earth": (wide_footprint, ("180 degrees",)),
    "a spacing of a micrometre": (fine, ("1e-06",)),
    "a probability of 110,000 x 110,000 px": (probability, ("x.tif", "110,000")),
    "a probability of 2 x 10^9 columns": (strip, ("x.tif",)),
    "a probability of 60,000 bands": (many_bands, ("x.tif",)),
    "chips far apart": (chips_apart, ("ev_20200101",)),
    "a picture that is a bomb": (picture_bomb, ("x-0_y-0",)),
    "windows of nothing": (lambda t: windows(t, tile=0), ("tile", "0")),
    "windows below 0": (lambda t: windows(t, tile=-8), ("tile", "-8")),
    "tiles of nothing": (
        lambda t: (
            "tile",
            "--scene",
            t.event / "scene.zarr",
            "--size",
            0,
            "--out",
            t.out / "t.zarr",
        ),
        ("size", "0"),
    ),
    "a step of nothing": (
        lambda t: (
            "tile",
            "--scene",
            t.event / "scene.zarr",
            "--size",
            32,
            "--stride",
            0,
            "--out",
            t.out / "t.zarr",
        ),
        ("stride", "0"),
    ),
    "a simulation of 10^6 px a side": (
        lambda t: ("simulate", "--size", 10**6, *_simulated(t)),
        ("1,230,000",),
    ),
    "a simulation of nothing": (lambda t: ("simulate", "--size", 0, *_simulated(t)), ("size", "0")),
    "no such reference system": (
        lambda t: (
            "geocode",
            "--scene",
            t.event / "calibrated.zarr",
            "--epsg",
            999999,
            "--out",
            t.out / "g.zarr",
        ),
        ("999999",),
    ),
    "bounds the wrong way round": (
        lambda t: (
            "geocode",
            "--scene",
            t.event / "calibrated.zarr",
            "--bounds",
            5,
            5,
            1,
            1,
            "--out",
            t.out / "g.zarr",
        ),
        ("bounds",),
    ),
    "bounds of NaN": (
        lambda t: (
            "geocode",
            "--scene",
            t.event / "calibrated.zarr",
            "--bounds",
            "nan",
            0,
            1,
            1,
            "--out",
            t.out / "g.zarr",
        ),
        ("bounds", "nan"),
    ),
}
APART = (
    "a product of 60,000 x 60,000 px",
    "a probability of 110,000 x 110,000 px",
    "labels of 200,000 x 200,000 px",
    "chips far apart",
    "a footprint across the Earth",
)


def _simulated(trial: Trial) -> Command:
    rasters = {name: trial.out / f"{name}.tif" for name in ("dem", "optical", "truth")}
    safes = {f"out-{role}": trial.out / f"{role}.SAFE" for role in ("before", "after")}
    return tuple(part for key, path in {**rasters, **safes}.items() for part in (f"--{key}", path))


@pytest.mark.parametrize("name", CASES)
def test_what_asks_for_too_much_is_refused(name: str, trial: Trial) -> None:
    make, words = CASES[name]
    trial.refuses(*make(trial), words=words, apart=name in APART)


REPORTS: dict[str, tuple[str, Words]] = {
    "a list": ("[1]", ("e.json",)),
    "a number": ("7", ("e.json",)),
    "cut short": ('{"flood": ', ("e.json",)),
    "100,000 deep": ("[" * 100_000, ("e.json",)),
    "words for scores": (json.dumps({"flood": "good", "by_event": 3}), ("e.json",)),
    "scores of another kind": (
        json.dumps({"tiles": {"calibration": {"confidence": [1]}}}),
        ("e.json",),
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_scores_that_are_none_are_refused(name: str, trial: Trial) -> None:
    content, words = REPORTS[name]
    scores = trial.file("e.json", content)
    pages = ("--out", trial.out / "r.html", "--map-page", trial.out / "m.html")
    trial.refuses("report", *pages, "--evaluation", scores, words=words)


@pytest.mark.parametrize("role", ["--maps", "--probabilities", "--truth"])
def test_pages_of_a_broken_raster_are_refused(role: str, trial: Trial) -> None:
    broken = trial.file("x.tif", (trial.event / "flood.tif").read_bytes()[:900])
    given = {"--maps": trial.event / "flood.tif", role: broken}
    pages = ("--out", trial.out / "r.html", "--map-page", trial.out / "m.html")
    arguments = (part for pair in given.items() for part in pair)
    trial.refuses("report", *pages, *arguments, words=("x.tif",))


def test_a_page_runs_no_script_of_others(trial: Trial) -> None:
    """A name that is markup is shown as it is."""
    files = ("--maps", trial.event / "flood.tif")
    pages = ("--out", trial.out / "r.html", "--map-page", trial.out / "m.html")
    name = "<script>alert(1)</script>"
    outcome = trial.run("report", *pages, *files, "--title", name)
    assert outcome.code == 0, outcome.said
    assert not outcome.trace
    for page in trial.out.iterdir():
        assert name not in page.read_text(), Path(page).name
