"""Orbit files that are damaged, of another kind, or made to harm."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.product import open_product

from .harness import Trial
from .making import Edit, element, swapped
from .test_safe import entities, half, utf16

NAME = "S1A_OPER_AUX_POEORB_OPOD_20230603T080000_V20230513T225942_20230515T005942.EOF"
Words = tuple[str, ...]


def good(trial: Trial) -> bytes:
    """An orbit file of the product's own path."""
    product = open_product(trial.event / "after.SAFE")
    annotation = parse_annotation(product.xml("annotation", "vv"), "x")
    states = []
    for time, (x, y, z) in zip(annotation.orbit_time, annotation.orbit_position, strict=True):
        moment = annotation.first_line_time + np.timedelta64(round(time * 1e9), "ns")
        utc = f"UTC={str(moment)[:26]}"
        states.append(f"<OSV><UTC>{utc}</UTC><X>{x:.6f}</X><Y>{y:.6f}</Y><Z>{z:.6f}</Z></OSV>")
    body = f"<List_of_OSVs>{''.join(states)}</List_of_OSVs>"
    head = '<?xml version="1.0" encoding="UTF-8"?><Earth_Explorer_File>'
    frame = "<Ref_Frame>EARTH_FIXED</Ref_Frame>"
    return f"{head}{frame}{body}</Earth_Explorer_File>".encode()


def spoilt(edit: Edit) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        content = edit(good(trial))
        assert content is not None
        return trial.file(NAME, content)

    return make


def everywhere(name: str, value: str) -> Edit:
    return element(name, value, 999)


def named(name: str) -> Callable[[Trial], Path]:
    return lambda trial: trial.file(name, good(trial))


def pipe(trial: Trial) -> Path:
    os.mkfifo(trial.given / NAME)
    return trial.given / NAME


def archive(*names: str) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        path = trial.given / f"{NAME}.zip"
        with zipfile.ZipFile(path, "w") as made:
            for name in names:
                made.writestr(name, good(trial))
        return path

    return make


CASES: dict[str, tuple[Callable[[Trial], Path], Words]] = {
    "not there": (lambda t: t.given / NAME, (NAME,)),
    "empty": (spoilt(lambda b: b""), (NAME,)),
    "cut short": (spoilt(half), (NAME,)),
    "zeros": (spoilt(lambda b: bytes(999)), (NAME,)),
    "UTF-16": (spoilt(utf16), (NAME, "UTF-16")),
    "laughs": (spoilt(lambda b: entities(30)), (NAME, "document type")),
    "no state": (spoilt(swapped("<OSV>.*</OSV>", "")), (NAME, "no state")),
    "one state": (spoilt(swapped("</OSV>.*</OSV>", "</OSV>")), (NAME,)),
    "position nan": (spoilt(element("X", "nan")), (NAME, "nan")),
    "position inf": (spoilt(element("Y", "inf")), (NAME, "inf")),
    "position at the middle of the Earth": (spoilt(everywhere("[XYZ]", "0.0")), (NAME,)),
    "position in words": (spoilt(element("Z", "up")), (NAME, "up")),
    "time NaT": (spoilt(element("UTC", "UTC=NaT")), (NAME, "NaT")),
    "time of no calendar": (
        spoilt(element("UTC", "UTC=2023-02-31T25:00:00")),
        (NAME, "2023-02-31"),
    ),
    "one time": (spoilt(everywhere("UTC", "UTC=2023-05-14T16:58:21.500000")), (NAME,)),
    "another century": (spoilt(swapped("UTC=2023", "UTC=1723", 999)), (NAME,)),
    "inertial frame": (spoilt(element("Ref_Frame", "INERTIAL")), (NAME, "INERTIAL")),
    "another satellite": (named(NAME.replace("S1A", "S1B")), ("S1A",)),
    "another day": (
        named(NAME.replace("V20230513", "V20220513").replace("_20230515", "_20220515")),
        ("2023-05-14",),
    ),
    "no day of the calendar": (named(NAME.replace("V20230513", "V20239913")), ("V20239913",)),
    "a name of one's own": (named("orbit.eof"), ("orbit.eof", "named")),
    "a pipe": (pipe, (NAME,)),
    "a zip of none": (archive(), (f"{NAME}.zip", "0 .EOF files")),
    "a zip of two": (archive(NAME, "b.EOF"), (f"{NAME}.zip", "2 .EOF files")),
    "no zip": (named(f"{NAME}.zip"), (f"{NAME}.zip",)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_spoilt_orbit_is_refused(name: str, trial: Trial) -> None:
    make, words = CASES[name]
    orbit, safe = make(trial), trial.event / "after.SAFE"
    out = trial.out / "s.zarr"
    trial.refuses("calibrate", "--safe", safe, "--orbit", orbit, "--out", out, words=words)


@pytest.mark.parametrize("make", [named(NAME), archive(NAME)], ids=["file", "zip"])
def test_a_good_orbit_is_used(make: Callable[[Trial], Path], trial: Trial) -> None:
    orbit, safe = make(trial), trial.event / "after.SAFE"
    trial.accepts("calibrate", "--safe", safe, "--orbit", orbit, "--out", trial.out / "s.zarr")


def test_what_brings_a_parser_down_is_refused(trial: Trial) -> None:
    orbit, safe = trial.file(NAME, entities(60_000)), trial.event / "after.SAFE"
    command = ("calibrate", "--safe", safe, "--orbit", orbit, "--out", trial.out / "s.zarr")
    trial.refuses(*command, words=(NAME, "document type"), apart=True)
