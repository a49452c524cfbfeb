"""Rasters of others: probabilities, labels, elevations, reference water and land cover."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from .harness import Trial
from .making import geotiff, like, vrt

Words = tuple[str, ...]
Make = Callable[[Trial, Path], object]
"""Writes a file in the trial, made of a good one."""

NAME = "x.tif"


def numbers(change: Callable[[Any], Any], **options: Any) -> Make:
    return lambda trial, good: like(good, trial.given / NAME, change, **options)


def content(make: Callable[[bytes], bytes]) -> Make:
    return lambda trial, good: trial.file(NAME, make(good.read_bytes()))


def text(body: str) -> Make:
    return lambda trial, good: trial.file(NAME, body)


def cut_pixels(trial: Trial, good: Path) -> None:
    path = like(good, trial.given / NAME, np.asarray)
    path.write_bytes(path.read_bytes()[:-20])


def virtual(trial: Trial, good: Path) -> None:
    with rasterio.open(good) as raster:
        kind = {"uint8": "Byte", "float32": "Float32"}[raster.dtypes[0]]
        trial.file(NAME, vrt(good, raster.height, raster.width, kind))


def link(trial: Trial, good: Path) -> None:
    (trial.given / NAME).symlink_to(trial.folder / "beside" / "none.tif")


def pipe(trial: Trial, good: Path) -> None:
    os.mkfifo(trial.given / NAME)


def cell(value: float) -> Callable[[Any], Any]:
    """Put one absurd number into the middle."""

    def change(found: Any) -> Any:
        changed = found.copy()
        changed[found.shape[0] // 2, found.shape[1] // 2] = value
        return changed

    return change


BROKEN: dict[str, tuple[Make, Words]] = {
    "not there": (lambda t, good: None, (NAME,)),
    "empty": (content(lambda b: b""), (NAME,)),
    "cut short in the directory": (content(lambda b: b[:60]), (NAME,)),
    "cut short by half": (content(lambda b: b[: len(b) // 2]), (NAME,)),
    "cut short by its last pixels": (cut_pixels, (NAME,)),
    "nothing behind its first bytes": (content(lambda b: b"II*\0" + bytes(60)), (NAME,)),
    "a web page": (text("<html>log in</html>"), (NAME,)),
    "a raster that names another": (virtual, (NAME,)),
    "a service": (
        text(
            "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/${z}</ServerUrl></Service></GDAL_WMS>"
        ),
        (NAME,),
    ),
    "a link to nothing": (link, (NAME,)),
    "a pipe": (pipe, (NAME,)),
    "complex numbers": (numbers(lambda n: n.astype(np.complex64)), (NAME, "complex")),
    "a picture": (
        numbers(lambda n: np.full((3, *n.shape), 60, np.uint8), photometric="RGB"),
        (NAME, "picture"),
    ),
}

COMMANDS: dict[str, tuple[str, Callable[[Trial, Path], tuple[object, ...]]]] = {
    "probability": (
        "probability.tif",
        lambda t, x: ("delineate", "--probability", x, *map_of(t)),
    ),
    "reference water": (
        "probability.tif",
        lambda t, x: (
            "delineate",
            "--probability",
            t.event / "probability.tif",
            "--reference-water",
            x,
            *map_of(t),
        ),
    ),
    "land cover": (
        "probability.tif",
        lambda t, x: (
            "delineate",
            "--probability",
            t.event / "probability.tif",
            "--land-cover",
            x,
            *map_of(t),
        ),
    ),
    "labels": (
        "truth.tif",
        lambda t, x: (
            "tile",
            "--scene",
            t.event / "scene.zarr",
            "--labels",
            x,
            "--size",
            32,
            "--out",
            t.out / "t.zarr",
        ),
    ),
    "truth": (
        "truth.tif",
        lambda t, x: (
            "evaluate",
            "--prediction",
            t.event / "flood.tif",
            "--truth",
            x,
            "--out",
            t.out / "e.json",
        ),
    ),
    "elevation": (
        "dem.tif",
        lambda t, x: (
            "geocode",
            "--scene",
            t.event / "calibrated.zarr",
            "--dem",
            x,
            "--out",
            t.out / "g.zarr",
        ),
    ),
    "prediction": (
        "probability.tif",
        lambda t, x: (
            "evaluate",
            "--prediction",
            x,
            "--truth",
            t.event / "truth.tif",
            "--out",
            t.out / "e.json",
        ),
    ),
}
"""What each is made from, and the command that reads it."""


def map_of(trial: Trial) -> tuple[object, ...]:
    made = {"--out": "f.tif", "--vectors": "f.gpkg", "--item": "f.json"}
    return tuple(part for key, name in made.items() for part in (key, trial.out / name))


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("role", COMMANDS)
def test_a_broken_raster_is_refused(role: str, name: str, trial: Trial) -> None:
    make, words = BROKEN[name]
    source, command = COMMANDS[role]
    make(trial, trial.event / source)
    trial.refuses(*command(trial, trial.given / NAME), words=words)


def percent(found: Any) -> Any:
    return np.where(found == 255, np.nan, found / 100).astype(np.float32)


def stored_as(kind: type, fill: float) -> Callable[[Any], Any]:
    return lambda found: np.where(found == 255, np.array(fill, kind), found.astype(kind))


PROBABILITIES: dict[str, tuple[Make, Words]] = {
    "fractions that don't say so": (numbers(percent, nodata=np.nan), (NAME, "fractions")),
    "a mask of 0 and 1": (numbers(lambda n: (n == 90).astype(np.uint8)), (NAME, "mask")),
    "a mask of 0 and 255": (
        numbers(lambda n: np.where(n == 90, 255, 0).astype(np.uint8)),
        (NAME, "255"),
    ),
    "numbers of 101 to 254": (
        numbers(lambda n: np.where(n == 255, 255, 200).astype(np.uint8)),
        (NAME, "200"),
    ),
    "all -9999": (numbers(lambda n: np.full(n.shape, -9999, np.int16)), (NAME,)),
    "decibel": (numbers(lambda n: np.full(n.shape, -12.5, np.float32)), (NAME, "-12.5")),
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_what_is_no_percentage_is_refused(name: str, trial: Trial) -> None:
    make, words = PROBABILITIES[name]
    make(trial, trial.event / "probability.tif")
    trial.refuses("delineate", "--probability", trial.given / NAME, *map_of(trial), words=words)


TOLD: dict[str, Make] = {
    "bytes, 0 is no data": numbers(lambda n: np.where(n == 255, 0, n).astype(np.uint8), nodata=0),
    "-9999 by its tag": numbers(stored_as(np.int16, -9999), nodata=-9999),
    "-9999 without a tag": numbers(stored_as(np.int16, -9999)),
    "-32768 without a tag": numbers(stored_as(np.int16, -32768)),
    "3.4e38 without a tag": numbers(stored_as(np.float32, 3.4028235e38)),
    "NaN": numbers(stored_as(np.float32, np.nan)),
    "infinity": numbers(stored_as(np.float32, np.inf)),
    "200 where nothing is known": numbers(stored_as(np.uint8, 200)),
}


@pytest.mark.parametrize("name", TOLD)
def test_no_data_of_a_probability_stays_no_data(name: str, trial: Trial) -> None:
    TOLD[name](trial, trial.event / "probability.tif")
    trial.accepts("delineate", "--probability", trial.given / NAME, *map_of(trial))
    with (
        rasterio.open(trial.out / "f.tif") as made,
        rasterio.open(trial.event / "flood.tif") as own,
    ):
        np.testing.assert_array_equal(made.read(1), own.read(1))
        assert (made.read(1) == 255).any()


LABELS: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "-9999 by its tag": (stored_as(np.int16, -9999), {"nodata": -9999}),
    "-1 without a tag": (stored_as(np.int16, -1), {}),
    "a class that nobody knows": (stored_as(np.uint8, 7), {}),
    "NaN": (stored_as(np.float32, np.nan), {}),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("role", ["labels", "truth"])
def test_labels_of_no_class_are_unknown(role: str, name: str, trial: Trial) -> None:
    change, options = LABELS[name]
    holed = lambda n: np.where(np.arange(n.shape[1]) < 40, 255, n).astype(np.uint8)  # noqa: E731
    like(trial.event / "truth.tif", trial.given / "own.tif", holed, nodata=255)
    like(trial.given / "own.tif", trial.given / NAME, change, **options)
    _, command = COMMANDS[role]
    made = []
    for file in ("own.tif", NAME):
        arguments = command(trial, trial.given / file)
        trial.accepts(*arguments[:-1], trial.out / file)
        made.append(trial.out / file)
    assert_alike(*made)


def assert_alike(first: Path, second: Path) -> None:
    if first.is_file():
        assert first.read_bytes() == second.read_bytes()
        return
    import xarray as xr

    stores = [xr.open_zarr(path, consolidated=False) for path in (first, second)]
    np.testing.assert_array_equal(stores[0].label.values, stores[1].label.values)
    assert (stores[0].label.values == 255).any()


def test_truth_that_says_nothing_is_refused(trial: Trial) -> None:
    like(trial.event / "truth.tif", trial.given / NAME, lambda n: np.full_like(n, 255))
    _, command = COMMANDS["truth"]
    trial.refuses(*command(trial, trial.given / NAME), words=(NAME, "nothing"))


def test_labels_that_call_a_class_no_data_are_refused(trial: Trial) -> None:
    like(trial.event / "truth.tif", trial.given / NAME, lambda n: n, nodata=0)
    _, command = COMMANDS["labels"]
    trial.refuses(*command(trial, trial.given / NAME), words=(NAME, "0", "class"))


ELEVATIONS: dict[str, Callable[[Any], Any]] = {
    "one of 1e30": cell(1e30),
    "one of 32767": cell(32767.0),
    "one of -9999": cell(-9999.0),
    "one of -32768": cell(-32768.0),
    "one of infinity": cell(np.inf),
    "one of 9001 m": cell(9001.0),
    "one of -501 m": cell(-501.0),
}


@pytest.mark.parametrize("name", ELEVATIONS)
def test_what_is_no_elevation_is_a_hole(name: str, trial: Trial) -> None:
    """As if the number weren't there: the result is that of NaN in its place."""
    import xarray as xr

    stores = []
    for file, change in (("x.tif", ELEVATIONS[name]), ("hole.tif", cell(np.nan))):
        dem = like(trial.event / "dem.tif", trial.given / file, change)
        out = trial.out / f"{dem.stem}.zarr"
        scene = trial.event / "calibrated.zarr"
        trial.accepts("geocode", "--scene", scene, "--dem", dem, "--out", out)
        stores.append(xr.open_zarr(out, consolidated=False))
    for band in ("vv", "vh", "flags"):
        np.testing.assert_array_equal(stores[0][band].values, stores[1][band].values)
    assert np.isnan(stores[0].vv.values).any()


PLACES: dict[str, tuple[str, dict[str, Any], Words]] = {
    "elevations without a CRS": ("elevation", {"crs": None}, (NAME, "CRS")),
    "elevations of elsewhere": ("elevation", {"corner": (900000.0, 1000000.0)}, (NAME, "cover")),
    "elevations all no data": ("elevation", {"nodata": 0.0}, (NAME,)),
    "labels of elsewhere": ("truth", {"corner": (900000.0, 1000000.0)}, (NAME, "no class")),
    "reference water of elsewhere": (
        "reference water",
        {"corner": (900000.0, 1e6)},
        (NAME, "nothing"),
    ),
    "pixels without an area": ("truth", {"spacing": 0.0}, (NAME,)),
    "pixels of 1e-300 m": ("truth", {"spacing": 1e-300}, (NAME,)),
    "a place that isn't a number": ("truth", {"corner": (float("nan"), 0.0)}, (NAME,)),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_raster_of_no_or_another_place_is_refused(name: str, trial: Trial) -> None:
    role, options, words = PLACES[name]
    source, command = COMMANDS[role]
    change = np.zeros_like if "all no data" in name else np.asarray
    if role == "reference water":
        change = lambda n: (n == 90).astype(np.uint8)  # noqa: E731
    like(trial.event / source, trial.given / NAME, change, **options)
    trial.refuses(*command(trial, trial.given / NAME), words=words)


REFERENCE: dict[str, tuple[Callable[[Any], Any], Words]] = {
    "fractions": (lambda n: np.full(n.shape, 0.5, np.float32), (NAME, "0.5")),
    "classes that may be anything": (lambda n: np.full(n.shape, 7, np.uint8), (NAME, "7")),
    "nothing known": (lambda n: np.full(n.shape, 255, np.uint8), (NAME, "255")),
    "a mask of 0 and 255": (lambda n: np.where(n == 90, 255, 0).astype(np.uint8), (NAME, "255")),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_water_that_may_mean_anything_is_refused(name: str, trial: Trial) -> None:
    change, words = REFERENCE[name]
    like(trial.event / "probability.tif", trial.given / NAME, change)
    _, command = COMMANDS["reference water"]
    trial.refuses(*command(trial, trial.given / NAME), words=words)


TAGS: dict[str, tuple[dict[str, str], Words]] = {
    "a day of no calendar": ({"ACQUISITION_TIME": "yesterday"}, (NAME, "yesterday")),
    "a day of 30 February": ({"ACQUISITION_TIME": "2023-02-30T00:00:00"}, (NAME, "2023-02-30")),
    "no day": ({"ACQUISITION_TIME": "NaT"}, (NAME, "NaT")),
}


@pytest.mark.parametrize("name", TAGS)
def test_tags_that_say_nonsense_are_refused(name: str, trial: Trial) -> None:
    tags, words = TAGS[name]
    like(trial.event / "probability.tif", trial.given / NAME, np.asarray, nodata=255, tags=tags)
    trial.refuses("delineate", "--probability", trial.given / NAME, *map_of(trial), words=words)


def test_the_name_of_an_event_in_a_tag_leads_nowhere(trial: Trial) -> None:
    tags = {"FLOODLOOM_EVENT": "../../x"}
    like(trial.event / "probability.tif", trial.given / NAME, np.asarray, nodata=255, tags=tags)
    trial.accepts("delineate", "--probability", trial.given / NAME, *map_of(trial))
    assert "/" not in json.loads((trial.out / "f.json").read_text())["id"]


def test_what_others_wrote_into_a_raster_goes_no_further(trial: Trial) -> None:
    tags = {"SECRET": "/home/alice/token", "TIFFTAG_SOFTWARE": "alice@host", "PLATFORM": "S1A"}
    like(trial.event / "probability.tif", trial.given / NAME, np.asarray, nodata=255, tags=tags)
    trial.accepts("delineate", "--probability", trial.given / NAME, *map_of(trial))
    for file in trial.out.iterdir():
        content = file.read_bytes()
        for secret in (b"alice", b"SECRET", str(trial.folder).encode()):
            assert secret not in content, file.name


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".png", ".gpkg", ".safe", ".zarr", ".txt", ""])
def test_inspect_refuses_what_it_can_not_read(suffix: str, trial: Trial) -> None:
    path = trial.file(f"x{suffix}", b"II*\0" + bytes(60))
    trial.refuses("inspect", path, words=(path.name,))


def test_inspect_shows_signs_that_move_a_terminal_escaped(trial: Trial) -> None:
    tags = {"NOTE": "\x1b[2J\u202egnp.exe", "\x1b[31m": "x"}
    geotiff(trial.given / NAME, np.zeros((4, 4), np.uint8), tags=tags)
    outcome = trial.accepts("inspect", trial.given / NAME)
    assert "\x1b[2J" not in outcome.shown
    assert "\u202e" not in outcome.shown
