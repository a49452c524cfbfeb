"""SAFE folders that are damaged, foreign or made to harm."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from .harness import Trial
from .making import (
    ANNOTATION,
    ANNOTATIONS,
    CALIBRATION,
    MANIFEST,
    MEASUREMENT,
    NOISE,
    Edit,
    edited,
    element,
    empty_geotiff,
    geotiff,
    swapped,
    vrt,
)

Edits = Mapping[str, Edit | bytes]
Words = tuple[str, ...]


def gone(content: bytes) -> None:
    return None


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def entities(count: int) -> bytes:
    chain = "".join(f'<!ENTITY e{i} "&e{i - 1};">' for i in range(1, count))
    return f'<!DOCTYPE p [<!ENTITY e0 "x">{chain}]><p>&e{count - 1};</p>'.encode()


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


def utf16(content: bytes) -> bytes:
    return content.decode().replace("UTF-8", "UTF-16").encode("utf-16")


def points(change: Callable[[int], str], name: str) -> Edit:
    """Give an element other numbers throughout."""

    def edit(content: bytes) -> bytes:
        parts = content.decode().split(f"<{name}>")
        texts = [change(i) + p[p.index("<") :] for i, p in enumerate(parts[1:])]
        return f"<{name}>".join([parts[0], *texts]).encode()

    return edit


TEXTS: dict[str, tuple[Edits, Words]] = {
    "manifest missing": ({MANIFEST: gone}, ("x.SAFE", "manifest.safe")),
    "manifest empty": ({MANIFEST: b""}, ("x.SAFE", "manifest.safe")),
    "manifest of zeros": ({MANIFEST: bytes(4000)}, ("x.SAFE", "manifest.safe")),
    "manifest starts at no time": (
        {MANIFEST: element("safe:startTime", "-----")},
        ("x.SAFE", "-----"),
    ),
    "manifest starts in the year 0": (
        {MANIFEST: element("safe:startTime", "99999-99-99")},
        ("x.SAFE", "99999-99-99"),
    ),
    "single look complex": ({MANIFEST: element("s1sarl1:productType", "SLC")}, ("x.SAFE", "SLC")),
    "no version": ({MANIFEST: swapped(' version="003.40"', "")}, ("x.SAFE", "version")),
    "relative orbit 0": (
        {MANIFEST: swapped(r'(relativeOrbitNumber type="start">)44', r"\g<1>0")},
        ("x.SAFE", "relative", "0"),
    ),
    "annotation missing": ({ANNOTATIONS: gone}, ("x.SAFE", "annotation")),
    "annotation empty": ({ANNOTATION: b""}, ("x.SAFE", "annotation")),
    "annotation cut short": ({ANNOTATION: half}, ("x.SAFE", "-vv-", "damaged")),
    "annotation of zeros": ({ANNOTATION: bytes(4000)}, ("x.SAFE", "-vv-")),
    "annotation with a document type": (
        {ANNOTATION: lambda b: b"<!DOCTYPE product>" + b.partition(b"?>")[2]},
        ("x.SAFE", "-vv-", "document type"),
    ),
    "annotation that names a file": (
        {
            ANNOTATION: b'<!DOCTYPE p [<!ENTITY f SYSTEM "file:///etc/hostname">]><product>&f;</product>'
        },
        ("x.SAFE", "-vv-", "document type"),
    ),
    "annotation of laughs": ({ANNOTATION: entities(30)}, ("x.SAFE", "-vv-", "document type")),
    "annotation in UTF-16": ({ANNOTATION: utf16}, ("x.SAFE", "-vv-", "UTF-16")),
    "annotation in no known encoding": (
        {ANNOTATION: swapped("UTF-8", "x-hostile")},
        ("x.SAFE", "-vv-"),
    ),
    "annotation of another kind": (
        {ANNOTATION: b"<html><body/></html>"},
        ("x.SAFE", "imageInformation"),
    ),
    "no lines": ({ANNOTATION: element("numberOfLines", "0")}, ("x.SAFE", "numberOfLines", "0")),
    "lines below 0": (
        {ANNOTATION: element("numberOfLines", "-5")},
        ("x.SAFE", "numberOfLines", "-5"),
    ),
    "lines in words": ({ANNOTATION: element("numberOfLines", "many")}, ("x.SAFE", "many")),
    "lines of 5,000 digits": ({ANNOTATION: element("numberOfLines", "9" * 5000)}, ("x.SAFE",)),
    "half a sample": ({ANNOTATION: element("numberOfSamples", "128.5")}, ("x.SAFE", "128.5")),
    "samples that the raster hasn't": (
        {ANNOTATION: element("numberOfSamples", "129")},
        ("x.SAFE", "129"),
    ),
    "line time 0": (
        {ANNOTATION: element("azimuthTimeInterval", "0")},
        ("x.SAFE", "azimuthTimeInterval", "0"),
    ),
    "line time nan": (
        {ANNOTATION: element("azimuthTimeInterval", "nan")},
        ("x.SAFE", "azimuthTimeInterval", "nan"),
    ),
    "line time below 0": (
        {ANNOTATION: element("azimuthTimeInterval", "-1e-3")},
        ("x.SAFE", "azimuthTimeInterval", "-0.001"),
    ),
    "spacing 0": (
        {ANNOTATION: element("rangePixelSpacing", "0.0")},
        ("x.SAFE", "rangePixelSpacing", "0"),
    ),
    "spacing inf": (
        {ANNOTATION: element("rangePixelSpacing", "inf")},
        ("x.SAFE", "rangePixelSpacing", "inf"),
    ),
    "first line at no time": (
        {ANNOTATION: element("productFirstLineUtcTime", "NaT")},
        ("x.SAFE", "NaT"),
    ),
    "first line without a time": (
        {ANNOTATION: element("productFirstLineUtcTime", "")},
        ("x.SAFE", "productFirstLineUtcTime"),
    ),
    "no orbit": ({ANNOTATION: swapped("<orbit>.*</orbit>", "")}, ("x.SAFE", "orbit")),
    "orbit nan": ({ANNOTATION: points(lambda i: "nan", "x")}, ("x.SAFE", "position", "nan")),
    "orbit inside the Earth": ({ANNOTATION: points(lambda i: "1.0", "x")}, ("x.SAFE", "orbit")),
    "orbit at one time": (
        {ANNOTATION: points(lambda i: "2023-05-14T16:58:21.500000", "time")},
        ("x.SAFE", "orbit"),
    ),
    "no geolocation grid": (
        {ANNOTATION: swapped("<geolocationGridPoint>.*</geolocationGridPoint>", "")},
        ("x.SAFE", "geolocation"),
    ),
    "latitude nan": ({ANNOTATION: element("latitude", "nan")}, ("x.SAFE", "latitude", "nan")),
    "latitude 95": ({ANNOTATION: element("latitude", "95")}, ("x.SAFE", "latitude", "95")),
    "longitude 1e300": (
        {ANNOTATION: element("longitude", "1e300")},
        ("x.SAFE", "longitude", "1e+300"),
    ),
    "height inf": ({ANNOTATION: element("height", "inf")}, ("x.SAFE", "height", "inf")),
    "no conversion": (
        {ANNOTATION: swapped("<coordinateConversion>.*</coordinateConversion>", "")},
        ("x.SAFE", "coordinateConversion"),
    ),
    "conversion nan": (
        {ANNOTATION: element("srgrCoefficients", "nan nan nan")},
        ("x.SAFE", "srgrCoefficients"),
    ),
    "conversion without numbers": (
        {ANNOTATION: element("srgrCoefficients", "")},
        ("x.SAFE", "srgrCoefficients"),
    ),
    "conversion that folds": (
        {ANNOTATION: element("srgrCoefficients", "0 -1 0", 9)},
        ("x.SAFE", "srgrCoefficients"),
    ),
    "gamma in words": ({CALIBRATION: element("gamma", "abc 1 1")}, ("x.SAFE", "gamma", "abc")),
    "gamma inf": ({CALIBRATION: element("gamma", "inf 500 500")}, ("x.SAFE", "gamma", "inf")),
    "gamma nan": ({CALIBRATION: element("gamma", "nan 500 500")}, ("x.SAFE", "gamma", "nan")),
    "gamma 0": ({CALIBRATION: element("gamma", "0 500 500 500 500")}, ("x.SAFE", "gamma", "0")),
    "gamma below 0": (
        {CALIBRATION: element("gamma", "-500 500 500 500 500")},
        ("x.SAFE", "gamma", "-500"),
    ),
    "gamma absurdly large": (
        {CALIBRATION: element("gamma", "1e300 500 500 500 500")},
        ("x.SAFE", "gamma", "1e+300"),
    ),
    "gamma shorter than its pixels": (
        {CALIBRATION: element("gamma", "500 500")},
        ("x.SAFE", "gamma", "2", "5"),
    ),
    "gamma empty": ({CALIBRATION: element("gamma", "", 9)}, ("x.SAFE", "calibration vector")),
    "pixels that go back": ({CALIBRATION: element("pixel", "0 79 40")}, ("x.SAFE", "pixel")),
    "pixels nan": ({CALIBRATION: element("pixel", "0 nan 79")}, ("x.SAFE", "pixel", "nan")),
    "line of a vector inf": ({CALIBRATION: element("line", "inf")}, ("x.SAFE", "line", "inf")),
    "no calibration vector": (
        {CALIBRATION: swapped("<calibrationVector>.*</calibrationVector>", "")},
        ("x.SAFE", "calibration vector"),
    ),
    "no calibration": ({CALIBRATION: gone}, ("x.SAFE", "calibration")),
    "noise nan": (
        {NOISE: element("noiseRangeLut", "nan 1 1")},
        ("x.SAFE", "noiseRangeLut", "nan"),
    ),
    "noise inf": (
        {NOISE: element("noiseRangeLut", "inf 1 1")},
        ("x.SAFE", "noiseRangeLut", "inf"),
    ),
    "noise below 0": (
        {NOISE: element("noiseRangeLut", "-9 1 1 1 1")},
        ("x.SAFE", "noiseRangeLut", "-9"),
    ),
    "noise shorter than its pixels": (
        {NOISE: element("noiseRangeLut", "9 9")},
        ("x.SAFE", "noiseRangeLut"),
    ),
    "noise block at line nan": (
        {NOISE: element("firstAzimuthLine", "nan")},
        ("x.SAFE", "firstAzimuthLine", "nan"),
    ),
    "noise block at line 1e30": (
        {NOISE: element("lastAzimuthLine", "1e30")},
        ("x.SAFE", "lastAzimuthLine", "1e+30"),
    ),
    "noise factor nan": (
        {NOISE: element("noiseAzimuthLut", "nan 1")},
        ("x.SAFE", "noiseAzimuthLut", "nan"),
    ),
    "noise factors below 0": (
        {NOISE: element("noiseAzimuthLut", "-1 -1")},
        ("x.SAFE", "noiseAzimuthLut", "-1"),
    ),
    "noise factors more than lines": (
        {NOISE: element("noiseAzimuthLut", "1 1 1")},
        ("x.SAFE", "noiseAzimuthLut"),
    ),
    "no noise": ({NOISE: gone}, ("x.SAFE", "noise")),
    "noise without vectors": (
        {NOISE: swapped("<noiseRangeVector>.*</noiseRangeVector>", "")},
        ("x.SAFE", "noise vector"),
    ),
    "measurement missing": ({MEASUREMENT: gone}, ("x.SAFE", "measurement", "vv")),
    "measurement empty": ({MEASUREMENT: b""}, ("x.SAFE", "-vv-")),
    "measurement cut short": ({MEASUREMENT: half}, ("x.SAFE", "-vv-")),
    "measurement in words": ({MEASUREMENT: b"<html>log in</html>"}, ("x.SAFE", "-vv-")),
    "measurement named as another's address": (
        {MEASUREMENT: vrt("/vsicurl/http://127.0.0.1:9/x.tif").encode()},
        ("x.SAFE", "-vv-"),
    ),
    "measurement is a service": (
        {
            MEASUREMENT: b'<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}</ServerUrl></Service></GDAL_WMS>'
        },
        ("x.SAFE", "-vv-"),
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_spoilt_product_is_refused(name: str, trial: Trial) -> None:
    edits, words = TEXTS[name]
    safe = edited(trial.copy("after.SAFE", "x.SAFE"), edits)
    trial.refuses("calibrate", "--safe", safe, "--out", trial.out / "s.zarr", words=words)


def other_size(trial: Trial, file: Path) -> None:
    geotiff(file, np.ones((128, 127), np.uint16), crs=None)


def fractions(trial: Trial, file: Path) -> None:
    geotiff(file, np.ones((128, 128), np.float32), crs=None)


def two_bands(trial: Trial, file: Path) -> None:
    geotiff(file, np.ones((2, 128, 128), np.uint16), crs=None)


def virtual(trial: Trial, file: Path) -> None:
    target = geotiff(trial.folder / "beside" / "secret.tif", np.full((128, 128), 9, np.uint16))
    file.write_text(vrt(target))


def link(trial: Trial, file: Path) -> None:
    target = geotiff(trial.folder / "beside" / "secret.tif", np.full((128, 128), 9, np.uint16))
    file.unlink()
    file.symlink_to(target)


def dangling(trial: Trial, file: Path) -> None:
    file.unlink()
    file.symlink_to(trial.folder / "beside" / "none.tif")


def pipe(trial: Trial, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(trial: Trial, file: Path) -> None:
    file.unlink()
    file.mkdir()


def blocks_lost(trial: Trial, file: Path) -> None:
    empty_geotiff(file, 128, 128, "uint16", tiled=False, blockxsize=128, blockysize=8)


MEASUREMENTS: dict[str, tuple[Callable[[Trial, Path], None], Words]] = {
    "other size": (other_size, ("x.SAFE", "-vv-", "127")),
    "fractions": (fractions, ("x.SAFE", "-vv-", "float32")),
    "two bands": (two_bands, ("x.SAFE", "-vv-", "2 bands")),
    "a raster that names another": (virtual, ("x.SAFE", "-vv-")),
    "a link out of the product": (link, ("x.SAFE", "-vv-", "link")),
    "a link to nothing": (dangling, ("x.SAFE", "vv")),
    "a pipe": (pipe, ("x.SAFE", "vv")),
    "a folder": (folder, ("x.SAFE", "vv")),
}


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_measurement_of_another_kind_is_refused(name: str, trial: Trial) -> None:
    make, words = MEASUREMENTS[name]
    safe = trial.copy("after.SAFE", "x.SAFE")
    make(trial, next(safe.glob(MEASUREMENT)))
    trial.refuses("calibrate", "--safe", safe, "--out", trial.out / "s.zarr", words=words)


def test_blocks_that_were_never_written_are_no_data(trial: Trial) -> None:
    safe = trial.copy("after.SAFE", "x.SAFE")
    blocks_lost(trial, next(safe.glob(MEASUREMENT)))
    trial.accepts("calibrate", "--safe", safe, "--out", trial.out / "s.zarr")
    store = xr.open_zarr(trial.out / "s.zarr", consolidated=False)
    assert np.isnan(store.vv.values).all()


@pytest.mark.parametrize("kind", [ANNOTATION, CALIBRATION, MANIFEST])
def test_a_text_that_is_a_link_out_of_the_product_is_refused(kind: str, trial: Trial) -> None:
    safe = trial.copy("after.SAFE", "x.SAFE")
    file = next(safe.glob(kind))
    moved = file.rename(trial.folder / "beside" / file.name)
    file.symlink_to(moved)
    words = ("x.SAFE", file.name)
    trial.refuses("calibrate", "--safe", safe, "--out", trial.out / "s.zarr", words=words)


@pytest.mark.parametrize("kind", [ANNOTATION, MANIFEST])
def test_a_text_that_is_a_pipe_is_refused(kind: str, trial: Trial) -> None:
    safe = trial.copy("after.SAFE", "x.SAFE")
    file = next(safe.glob(kind))
    file.unlink()
    os.mkfifo(file)
    trial.refuses("calibrate", "--safe", safe, "--out", trial.out / "s.zarr", words=("x.SAFE",))


@pytest.mark.parametrize("content", [entities(60_000), nested(200_000)], ids=["entities", "nested"])
def test_what_brings_a_parser_down_is_refused(content: bytes, trial: Trial) -> None:
    safe = edited(trial.copy("after.SAFE", "x.SAFE"), {ANNOTATION: content})
    command = ("calibrate", "--safe", safe, "--out", trial.out / "s.zarr")
    trial.refuses(*command, words=("x.SAFE", "vv"), apart=True)


def crlf(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def marked(content: bytes) -> bytes:
    return b"\xef\xbb\xbf" + content


def commented(content: bytes) -> bytes:
    return content.replace(b"?>", b"?><!-- fetched on Monday -->", 1)


ODD: dict[str, Edits] = {
    "lines that end as in DOS": {MANIFEST: crlf, ANNOTATIONS: crlf, CALIBRATION: crlf, NOISE: crlf},
    "byte order marks": {MANIFEST: marked, ANNOTATIONS: marked, CALIBRATION: marked, NOISE: marked},
    "comments": {MANIFEST: commented, ANNOTATIONS: commented, CALIBRATION: commented},
    "an azimuth table of one value": {NOISE: element("noiseAzimuthLut", "1.0")},
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_product_gives_the_right_numbers(name: str, trial: Trial) -> None:
    safe = edited(trial.copy("after.SAFE", "x.SAFE"), ODD[name])
    out = trial.out / "s.zarr"
    trial.accepts("calibrate", "--safe", safe, "--out", out)
    assert_same_numbers(out, trial.event / "calibrated.zarr")


def assert_same_numbers(found: Path, expected: Path) -> None:
    found_store, right = (xr.open_zarr(path, consolidated=False) for path in (found, expected))
    for name in right.data_vars:
        np.testing.assert_array_equal(found_store[name].values, right[name].values)


@pytest.mark.parametrize(
    ("name", "words"),
    [("none.SAFE", ("none.SAFE", "not found")), ("", ("in", "manifest.safe"))],
)
def test_a_folder_that_is_no_product_is_refused(name: str, words: Words, trial: Trial) -> None:
    safe = trial.given / name
    trial.refuses("calibrate", "--safe", safe, "--out", trial.out / "s.zarr", words=words)
    trial.file("a.txt", "a")


def test_a_folder_of_two_products_is_refused(trial: Trial) -> None:
    for role in ("after", "before"):
        trial.copy(f"{role}.SAFE")
    command = ("calibrate", "--safe", trial.given, "--out", trial.out / "s.zarr")
    trial.refuses(*command, words=("in", "2 products", "after.SAFE"))


def test_two_annotations_of_one_polarisation_are_refused(trial: Trial) -> None:
    safe = trial.copy("after.SAFE", "x.SAFE")
    file = next(safe.glob(ANNOTATION))
    file.with_name(file.name.replace("-001.", "-003.")).write_bytes(file.read_bytes())
    command = ("calibrate", "--safe", safe, "--out", trial.out / "s.zarr")
    trial.refuses(*command, words=("x.SAFE", "two annotation files", "vv"))
