"""Metadata that no image of Sentinel-1 has is refused: it would go on as plausible backscatter."""

import json
import re
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError

from floodloom.errors import InputError
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.orbit import read_orbit_file
from floodloom.sentinel1.product import open_product
from floodloom.sentinel1.settings import GeocodeSettings
from floodloom.stages.calibrate import calibrate
from floodloom.stages.geocode import geocode

ANNOTATION, CALIBRATION, NOISE = "annotation", "calibration", "noise"
Change = Callable[[str], str]


def put(name: str, value: str, at: int = 0) -> Change:
    """Give the element of this name, or the one `at` a place, another text."""

    def change(text: str) -> str:
        found = list(re.finditer(rf"(<{name}(?: [^>]*)?>)[^<]*", text))
        match = found[at]
        return text[: match.start()] + match[1] + value + text[match.end() :]

    return change


def first(name: str, value: str) -> Change:
    """Give an element another first number."""

    def change(text: str) -> str:
        made, count = re.subn(rf"(<{name}[^>]*>\s*)\S+?(?=[\s<])", rf"\g<1>{value}", text, count=1)
        assert count
        return made

    return change


def shorter(name: str) -> Change:
    """Leave an element its first two numbers."""

    def change(text: str) -> str:
        made, count = re.subn(rf"(<{name}[^>]*>\s*\S+ \S+ )[^<]+", r"\1", text, count=1)
        assert count
        return made

    return change


def without(name: str) -> Change:
    """Remove all elements of this name."""
    return lambda text: re.sub(rf"<{name}[ >].*?</{name}>", "", text, flags=re.DOTALL)


def repeated(name: str, times: int) -> Change:
    """Write the first element of this name some more times."""

    def change(text: str) -> str:
        found = re.search(rf"<{name}[ >].*?</{name}>", text, flags=re.DOTALL)
        assert found is not None
        return text[: found.start()] + found[0] * times + text[found.start() :]

    return change


CASES: dict[str, tuple[str, Change, str]] = {
    "samples beyond any swath": (
        ANNOTATION, put("numberOfSamples", "2000000"), "numberOfSamples holds 2e\\+06",
    ),
    "a billion lines": (ANNOTATION, put("numberOfLines", "1000000000"), "numberOfLines holds"),
    "an image of ten billion pixels": (
        ANNOTATION,
        lambda text: put("numberOfSamples", "50000")(put("numberOfLines", "200000")(text)),
        "200,000 x 50,000 px are more than any image has",
    ),
    "no lines": (ANNOTATION, put("numberOfLines", "0"), "numberOfLines holds 0"),
    "half a line": (ANNOTATION, put("numberOfLines", "127.5"), "isn't whole"),
    "lines below 0": (ANNOTATION, put("numberOfLines", "-128"), "numberOfLines holds -128"),
    "two numbers of lines": (ANNOTATION, put("numberOfLines", "128 128"), "2 numbers in"),
    "an interval of nothing": (
        ANNOTATION, put("azimuthTimeInterval", "0"), "azimuthTimeInterval holds 0",
    ),
    "time that goes back": (
        ANNOTATION, put("azimuthTimeInterval", "-0.001"), "azimuthTimeInterval holds -0.001",
    ),
    "an interval that is no number": (
        ANNOTATION, put("azimuthTimeInterval", "nan"), "azimuthTimeInterval holds nan",
    ),
    "spacing without end": (
        ANNOTATION, put("rangePixelSpacing", "inf"), "rangePixelSpacing holds inf",
    ),
    "spacing of nothing": (
        ANNOTATION, put("azimuthPixelSpacing", "1e-300"), "azimuthPixelSpacing holds 1e-300",
    ),
    "no time": (ANNOTATION, put("productFirstLineUtcTime", "NaT"), "'NaT' is no time of"),
    "a time that isn't one": (
        ANNOTATION, put("productFirstLineUtcTime", "-----"), "'-----' is no time",
    ),
    "a time of another century": (
        ANNOTATION, put("productFirstLineUtcTime", "1923-05-14T16:58:21"), "is no time of",
    ),
    "no tie points": (ANNOTATION, without("geolocationGridPoint"), "no geolocationGridPoint"),
    "a latitude beyond the pole": (ANNOTATION, put("latitude", "91"), "latitude holds 91"),
    "a longitude without end": (ANNOTATION, put("longitude", "-inf"), "longitude holds -inf"),
    "a height in space": (ANNOTATION, put("height", "9001"), "height holds 9001"),
    "a tie point elsewhere": (ANNOTATION, put("latitude", "-80", 3), "its tie points lie .* km"),
    "an angle beyond the horizon": (ANNOTATION, put("incidenceAngle", "95"), "holds 95"),
    "an orbit that goes back": (
        ANNOTATION,
        lambda text: re.sub(
            r"(<orbit>\s*<time>)[^<]+", r"\g<1>2023-05-14T17:59:00.000000", text, count=1
        ),
        "time of orbit goes from",
    ),
    "a state vector that is no number": (ANNOTATION, put("x", "nan"), "position/x holds nan"),
    "a state vector on the way to the moon": (
        ANNOTATION, put("x", "9e7", 16), "km from the Earth's centre",
    ),
    "no coefficients": (ANNOTATION, put("srgrCoefficients", ""), "fewer than two"),
    "coefficients of different numbers": (
        ANNOTATION, shorter("srgrCoefficients"), "of different numbers",
    ),
    "a ground that stands still": (
        ANNOTATION,
        lambda text: re.sub(r"(<srgrCoefficients[^>]*>\S+ )\S+", r"\g<1>0", text),
        "second of srgrCoefficients holds 0",
    ),
    "a slant range of nothing": (ANNOTATION, put("sr0", "0"), "sr0 holds 0"),
    "an infinite coefficient": (CALIBRATION, first("gamma", "inf"), "gamma holds inf"),
    "a coefficient that is no number": (CALIBRATION, first("gamma", "nan"), "gamma holds nan"),
    "a coefficient below 0": (CALIBRATION, first("gamma", "-300"), "gamma holds -300"),
    "a coefficient that makes water": (CALIBRATION, first("gamma", "1e200"), "gamma holds 1e"),
    "a word": (CALIBRATION, first("gamma", "abc"), "gamma holds 'abc', which is no number"),
    "fewer coefficients than pixels": (CALIBRATION, shorter("gamma"), "there must be as many"),
    "fewer pixels than coefficients": (CALIBRATION, shorter("pixel"), "there must be as many"),
    "pixels that turn back": (CALIBRATION, first("pixel", "100"), "pixel goes from 100 to"),
    "lines that turn back": (CALIBRATION, put("line", "500"), "goes from 500 to"),
    "vectors without end": (CALIBRATION, repeated("calibrationVector", 600), "more than any image"),
    "a line that is missing": (CALIBRATION, put("line", ""), "0 numbers in line"),
    "noise without end": (NOISE, first("noiseRangeLut", "inf"), "noiseRangeLut holds inf"),
    "noise above any echo": (NOISE, first("noiseRangeLut", "1e12"), "noiseRangeLut holds 1e\\+12"),
    "noise below 0": (NOISE, first("noiseRangeLut", "-1"), "noiseRangeLut holds -1"),
    "less noise than pixels": (NOISE, shorter("noiseRangeLut"), "there must be as many"),
    "a factor below 0": (NOISE, first("noiseAzimuthLut", "-2"), "noiseAzimuthLut holds -2"),
    "blocks without end": (NOISE, repeated("noiseAzimuthVector", 600), "more than any image"),
    "a first line that is no number": (
        NOISE, put("firstAzimuthLine", "nan"), "firstAzimuthLine holds nan",
    ),
    "a block that ends before it begins": (
        NOISE, put("lastAzimuthLine", "-9"), "ends before it begins",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_no_product_states_is_one_line(safe, tmp_path, name) -> None:
    kind, change, message = CASES[name]
    copy = shutil.copytree(safe, tmp_path / "x.SAFE")
    file = copy / open_product(copy).parts[kind, "vv"]
    before = file.read_text()
    file.write_text(change(before))
    assert file.read_text() != before
    with pytest.raises(InputError, match=message) as caught:
        calibrate(safe=copy, out=tmp_path / "c.zarr")
    assert "\n" not in str(caught.value)
    assert "x.SAFE" in str(caught.value) or "orbit" in str(caught.value)
    assert not (tmp_path / "c.zarr").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: re.sub(r"(startTime>)[^<]+", r"\1-----", text), "start .* is no time"),
        (lambda text: re.sub(r"(startTime>)[^<]+", r"\1NaT", text), "start .* is no time of"),
        (lambda text: re.sub(r"(:pass>)[^<]+", r"\1SIDEWAYS", text), "'sideways', neither"),
        (
            lambda text: re.sub(r'(relativeOrbitNumber type="start">)\d+', r"\g<1>9999", text),
            "states no relative orbit",
        ),
        (lambda text: text.replace("</", "<", 1), r"manifest\.safe is damaged"),
        (lambda text: "<!DOCTYPE x []>" + text[text.index("?>") + 2 :], "document type"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_one_line(safe, tmp_path, change, message) -> None:
    copy = shutil.copytree(safe, tmp_path / "x.SAFE")
    text = (copy / "manifest.safe").read_text()
    assert change(text) != text
    (copy / "manifest.safe").write_text(change(text))
    with pytest.raises(InputError, match=message) as caught:
        open_product(copy)
    assert str(caught.value).startswith(f"{copy}: ")


OSV = "<OSV><UTC>UTC={}</UTC><X>{}</X><Y>7000000</Y><Z>0</Z></OSV>"
TIMES = [f"2023-05-14T16:{minute:02d}:00.000000" for minute in range(50, 60)]


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([OSV.format(TIMES[0], "nan")], "X holds nan"),
        ([OSV.format(TIMES[0], "east")], "X holds 'east'"),
        ([OSV.format(time, 0) for time in (TIMES[1], TIMES[0])], "state vectors goes from"),
        ([OSV.format(TIMES[0], 0)] * 2, "must increase"),
        ([OSV.format("yesterday", 0)], "'yesterday' is no time"),
        (["<OSV><X>0</X></OSV>"], "no UTC"),
        ([], "no state vector inside"),
    ],
)
def test_an_orbit_file_that_makes_no_sense_is_one_line(tmp_path, states, message) -> None:
    file = tmp_path / "x.EOF"
    file.write_text(f"<F><List_of_OSVs>{''.join(states)}</List_of_OSVs></F>")
    with pytest.raises(InputError, match=message) as caught:
        read_orbit_file(file, np.datetime64(TIMES[0], "ns"))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "5", '{"orbit": 5, "conversion": 5}', "[" * 100_000, '{"orbit": {}}'],
)
def test_a_geometry_of_another_make_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r"."):
        ImageGeometry.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("geometry", "{}"),
        ("geometry", None),
        ("lines", 10**12),
        ("samples", 127),
        ("azimuth_time_interval", 0.0),
        ("range_pixel_spacing", float("nan")),
        ("half", -1.0),
        ("footprint", [1.0, 2.0]),
        ("footprint", [1.0, 2.0, float("nan"), 3.0]),
        ("footprint", [2.0, 1.0, 1.0, 2.0]),
    ],
)
def test_a_store_whose_geometry_is_damaged_is_refused(safe, tmp_path, name, value) -> None:
    path = calibrate(safe=safe, out=tmp_path / "c.zarr")
    content = json.loads((path / "zarr.json").read_text())
    attributes = content["attributes"]
    if name in attributes:
        attributes[name] = value
    else:
        geometry = json.loads(attributes["geometry"])
        (geometry["orbit"] if name == "half" else geometry)[name] = value
        attributes["geometry"] = json.dumps(geometry)
    (path / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"c\.zarr: .*damaged.*calibrate it again"):
        geocode(scene=path, out=tmp_path / "g.zarr")


@pytest.mark.parametrize("height", [9001.0, -501.0, float("inf"), float("nan")])
def test_a_height_of_another_planet_is_refused(height: float) -> None:
    with pytest.raises(ValidationError, match="constant_height"):
        GeocodeSettings(constant_height=height)
