"""Zips of products that are damaged or made to harm."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import Trial
from .making import ANNOTATION, MEASUREMENT, edited, vrt, zipped
from .test_safe import assert_same_numbers

_CENTRAL, _LOCAL = b"PK\1\2", b"PK\3\4"
Words = tuple[str, ...]


def members(path: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def written(
    path: Path, content: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in content:
            archive.writestr(name, data)
    return path


def stated(path: Path, at: int, value: bytes, match: str = ".") -> Path:
    """Overwrite a field of the members' headers, in the directory and before the data."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        found = [i for i in archive.infolist() if re.search(match, i.filename)]
        place = archive.start_dir
    offsets = {info.header_offset for info in found}
    while content[place : place + 4] == _CENTRAL:
        (offset,) = struct.unpack("<L", content[place + 42 : place + 46])
        if offset in offsets:
            content[place + at + 2 : place + at + 2 + len(value)] = value
        place += 46 + sum(struct.unpack("<HHH", content[place + 28 : place + 34]))
    for offset in offsets:
        content[offset + at : offset + at + len(value)] = value
    path.write_bytes(content)
    return path


def flipped(path: Path, match: str, count: int) -> Path:
    """Change bytes in the middle of a member's data."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = next(i for i in archive.infolist() if re.search(match, i.filename))
    start = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    for place in range(start, start + count):
        content[place] ^= 0xFF
    path.write_bytes(content)
    return path


def stored(trial: Trial) -> Path:
    return zipped(trial.event / "after.SAFE", trial.given / "x.zip", zipfile.ZIP_STORED)


def copied(trial: Trial) -> Path:
    return trial.copy("after.zip", "x.zip")


def cut(share: float) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        content = copied(trial).read_bytes()
        return trial.file("x.zip", content[: int(share * len(content))])

    return make


def padded(trial: Trial) -> Path:
    content = copied(trial).read_bytes()
    return trial.file("x.zip", content[:200] + bytes(len(content) - 400) + content[-200:])


def two_of_a_name(trial: Trial) -> Path:
    content = members(copied(trial))
    shadowed = [(name, b"\0" * 99) for name, _ in content if "measurement" in name]
    return written(trial.given / "x.zip", shadowed + content)


def two_slashes(trial: Trial) -> Path:
    content = members(copied(trial))
    name, data = next(item for item in content if "measurement" in item[0])
    return written(trial.given / "x.zip", [*content, (name.replace("/", "\\"), data)])


def two_products(trial: Trial) -> Path:
    content = members(copied(trial))
    other = [(name.replace("after", "before"), data) for name, data in content]
    return written(trial.given / "x.zip", content + other)


def no_manifest(trial: Trial) -> Path:
    content = [item for item in members(copied(trial)) if "manifest" not in item[0]]
    return written(trial.given / "x.zip", content)


def scattered(trial: Trial) -> Path:
    """The manifest of one product, and the parts beside it, not beneath."""
    content = [
        (n if "manifest" in n else n.replace("after", "other"), d)
        for n, d in members(copied(trial))
    ]
    return written(trial.given / "x.zip", content)


def climbing(trial: Trial) -> Path:
    content = [(f"../../beside/{name}", data) for name, data in members(copied(trial))]
    return written(trial.given / "x.zip", content)


def absolute(trial: Trial) -> Path:
    content = [(f"/{name}", data) for name, data in members(copied(trial))]
    return written(trial.given / "x.zip", content)


def of_a_raster_elsewhere(trial: Trial) -> Path:
    safe = edited(trial.copy("after.SAFE"), {MEASUREMENT: vrt("/etc/hostname").encode()})
    return zipped(safe, trial.given / "x.zip")


def zip_in_zip(trial: Trial) -> Path:
    return written(trial.given / "x.zip", [("after.zip", copied(trial).read_bytes())])


def of_another_kind(trial: Trial) -> Path:
    return written(trial.given / "x.zip", [("word/document.xml", b"<xml/>")])


def many_members(trial: Trial) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"x.SAFE/preview/{number}.txt", b"")
    return trial.file("x.zip", buffer.getvalue())


CASES: dict[str, tuple[Callable[[Trial], Path], Words]] = {
    "empty file": (lambda t: t.file("x.zip", b""), ("x.zip",)),
    "no zip": (lambda t: t.file("x.zip", b"<html>log in</html>"), ("x.zip", "zip")),
    "no member": (lambda t: written(t.given / "x.zip", []), ("x.zip", "manifest.safe")),
    "cut short by half": (cut(0.5), ("x.zip", "zip")),
    "cut short by its end": (cut(0.999), ("x.zip", "zip")),
    "a hole of zeros": (padded, ("x.zip",)),
    "measurement changed, deflated": (
        lambda t: flipped(copied(t), "measurement/.*-vv-", 8),
        ("x.zip", "-vv-"),
    ),
    "measurement changed, stored": (
        lambda t: flipped(stored(t), "measurement/.*-vv-", 64),
        ("x.zip", "-vv-"),
    ),
    "measurement of the second polarisation changed": (
        lambda t: flipped(stored(t), "measurement/.*-vh-", 1),
        ("x.zip", "-vh-"),
    ),
    "annotation changed": (
        lambda t: flipped(stored(t), "annotation/s1a.*-vv-", 1),
        ("x.zip", "-vv-"),
    ),
    "calibration changed": (
        lambda t: flipped(stored(t), "calibration-.*-vv-", 1),
        ("x.zip", "-vv-"),
    ),
    "manifest changed": (lambda t: flipped(stored(t), "manifest", 1), ("x.zip", "manifest.safe")),
    "encrypted": (lambda t: stated(copied(t), 6, b"\1\0"), ("x.zip", "manifest.safe")),
    "encrypted measurement": (
        lambda t: stated(copied(t), 6, b"\1\0", "measurement"),
        ("x.zip", "-vv-"),
    ),
    "unknown compression": (lambda t: stated(copied(t), 8, b"\x63\0"), ("x.zip", "manifest.safe")),
    "unknown compression of a measurement": (
        lambda t: stated(copied(t), 8, b"\x63\0", "measurement"),
        ("x.zip",),
    ),
    "size stated too large": (
        lambda t: stated(copied(t), 22, b"\xff\xff\xff\x7f", "annotation/s1a.*-vv-"),
        ("x.zip", "-vv-"),
    ),
    "size stated too small": (
        lambda t: stated(copied(t), 22, b"\x10\0\0\0", "annotation/s1a.*-vv-"),
        ("x.zip", "-vv-"),
    ),
    "two members of one name": (two_of_a_name, ("x.zip", "two members", "measurement")),
    "two members that differ by slashes": (two_slashes, ("x.zip", "two members", "measurement")),
    "two products": (two_products, ("x.zip", "2 products")),
    "no manifest": (no_manifest, ("x.zip", "manifest.safe")),
    "parts that aren't beneath the manifest": (scattered, ("x.zip", "annotation")),
    "names that climb": (climbing, ("x.zip", "..")),
    "absolute names": (absolute, ("x.zip",)),
    "a raster that names another": (of_a_raster_elsewhere, ("x.zip", "-vv-")),
    "a zip in a zip": (zip_in_zip, ("x.zip", "manifest.safe")),
    "a document": (of_another_kind, ("x.zip", "manifest.safe")),
    "20,000 members": (many_members, ("x.zip", "20,000 members")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_spoilt_zip_is_refused(name: str, trial: Trial) -> None:
    make, words = CASES[name]
    path = make(trial)
    trial.refuses("calibrate", "--safe", path, "--out", trial.out / "s.zarr", words=words)


def test_a_bomb_is_refused_before_it_goes_off(trial: Trial) -> None:
    path = trial.given / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members(trial.event / "after.zip"):
            if re.search("annotation/s1a.*-vv-", name):
                with archive.open(name, "w", force_zip64=True) as file:
                    for _ in range(300):
                        file.write(b" " * 1_000_000)
            else:
                archive.writestr(name, data)
    trial.refuses(
        "calibrate",
        "--safe",
        path,
        "--out",
        trial.out / "s.zarr",
        words=("x.zip", "-vv-", "300 MB"),
    )


def backslashes(trial: Trial) -> Path:
    content = [(name.replace("/", "\\"), data) for name, data in members(copied(trial))]
    return written(trial.given / "x.zip", content)


def flat(trial: Trial) -> Path:
    """Without the folder of the product."""
    content = [(name.partition("/")[2], data) for name, data in members(copied(trial))]
    return written(trial.given / "x.zip", content)


ODD: dict[str, Callable[[Trial], Path]] = {
    "backslashes": backslashes,
    "no folder": flat,
    "stored": stored,
    "another name": lambda trial: trial.copy("after.zip", "a {b} %20#.bin"),
    "something before it": lambda t: t.file("x.zip", b"#!/bin/sh\n" + copied(t).read_bytes()),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_zip_gives_the_right_numbers(name: str, trial: Trial) -> None:
    path, out = ODD[name](trial), trial.out / "s.zarr"
    trial.accepts("calibrate", "--safe", path, "--out", out)
    assert_same_numbers(out, trial.event / "calibrated.zarr")


def test_a_zip_of_an_edited_product_is_its_own(trial: Trial) -> None:
    """An edit that is right stays possible: checks are of what the zip itself says."""
    safe = edited(trial.copy("after.SAFE"), {ANNOTATION: lambda b: b.replace(b"?>", b"?> ", 1)})
    path = zipped(safe, trial.given / "x.zip")
    trial.accepts("calibrate", "--safe", path, "--out", trial.out / "s.zarr")
