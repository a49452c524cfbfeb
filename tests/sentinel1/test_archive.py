"""The files of a product are those that were published, and lie in it."""

import hashlib
import os
import re
import shutil
import struct
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.files import part_beside
from floodloom.raster.store import open_store
from floodloom.sentinel1.product import Measurement, open_product
from floodloom.sentinel1.radar_scene import read_radar_scene, unpack
from floodloom.sentinel1.settings import CalibrateSettings
from floodloom.stages.calibrate import calibrate

KINDS = ("annotation", "calibration", "noise", "measurement")
MEASURED = re.compile(r"measurement/.*vv")


def pack(safe: Path, path: Path, method: int = zipfile.ZIP_DEFLATED, top: str = "S1.SAFE/") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(file for file in safe.rglob("*") if file.is_file()):
            archive.write(file, top + file.relative_to(safe).as_posix())
    return path


def damage(path: Path, inside: re.Pattern[str], count: int = 8) -> Path:
    """Flip some bytes in the middle of a member."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        found = next(i for i in archive.infolist() if inside.search(i.filename))
    start = found.header_offset + 30 + len(found.filename) + found.compress_size // 2
    for place in range(start, start + count):
        content[place] ^= 0xFF
    path.write_bytes(content)
    return path


def state(safe: Path, folder: Path, *, md5: dict[str, str], size: dict[str, int]) -> Path:
    """A copy whose manifest states sizes and MD5 as ESA's do, some of which may be others."""
    copy = shutil.copytree(safe, folder / "stated.SAFE")
    streams = []
    for name in open_product(safe).parts.values():
        content = (copy / name).read_bytes()
        digest = md5.get(name, hashlib.md5(content, usedforsecurity=False).hexdigest())
        streams.append(
            f'<dataObject><byteStream mimeType="x" size="{size.get(name, len(content))}">'
            f'<fileLocation locatorType="URL" href="./{name}"/>'
            f'<checksum checksumName="MD5">{digest}</checksum></byteStream></dataObject>'
        )
    manifest = copy / "manifest.safe"
    text = re.sub(
        r"<dataObjectSection>.*</dataObjectSection>", "", manifest.read_text(), flags=re.S
    )
    head, end, tail = text.rpartition("</")
    manifest.write_text(
        f"{head}<dataObjectSection>{''.join(streams)}</dataObjectSection>{end}{tail}"
    )
    return copy


def refused(path: Path, folder: Path, message: str) -> None:
    (folder / "out").mkdir(exist_ok=True)
    with pytest.raises(InputError, match=message) as caught:
        calibrate(safe=path, out=folder / "out" / "c.zarr")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not list((folder / "out").iterdir())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA])
def test_a_zip_gives_what_the_folder_gives_and_leaves_nothing(safe, tmp_path, method) -> None:
    stated = state(safe, tmp_path, md5={}, size={})
    made = calibrate(safe=pack(stated, tmp_path / "p.zip", method), out=tmp_path / "o" / "c.zarr")
    found = open_store(made).load()
    expected = open_store(calibrate(safe=stated, out=tmp_path / "e.zarr")).load()
    for band in ("vv", "vh", "flags"):
        np.testing.assert_array_equal(found[band], expected[band])
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["c.zarr"]


def test_what_a_kill_left_of_unpacking_goes_with_the_next_run(safe, tmp_path, monkeypatch) -> None:
    out = tmp_path / "o" / "c.zarr"
    out.parent.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("os.getpid", lambda: 2**22 + 1)  # beyond any process of Linux
        part_beside(out).write_bytes(b"half")
    calibrate(safe=pack(safe, tmp_path / "p.zip"), out=out)
    assert [path.name for path in out.parent.iterdir()] == ["c.zarr"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("kind", KINDS)
def test_damage_in_a_zip_is_told_by_its_checksums(safe, tmp_path, method, kind) -> None:
    inside = re.compile(re.escape(open_product(safe).parts[kind, "vv"]))
    path = damage(pack(safe, tmp_path / "p.zip", method), inside)
    refused(path, tmp_path, f"{kind}.*vv.* can't be read .*; fetch it again")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_isn_t_the_published_one_is_told_by_the_manifest(
    safe, tmp_path, kind, zipped
) -> None:
    name = open_product(safe).parts[kind, "vv"]
    path = state(safe, tmp_path, md5={name: "0" * 32}, size={})
    if zipped:
        path = pack(path, tmp_path / "p.zip", zipfile.ZIP_STORED)
    refused(path, tmp_path, f"{kind}.*vv.* has MD5 .* manifest.safe states 0{{32}}; fetch")


def test_a_measurement_of_another_size_is_told_before_it_is_read(safe, tmp_path) -> None:
    name = open_product(safe).parts["measurement", "vv"]
    path = state(safe, tmp_path, md5={}, size={name: 847_047_360})
    refused(path, tmp_path, "measurement.* bytes, but manifest.safe states 847,047,360")


def bits(path: Path, at: int, value: int) -> Path:
    """Write two bytes into the headers of all members, at their place in a local header."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        members, place = archive.infolist(), archive.start_dir
    while content[place : place + 4] == b"PK\1\2":
        content[place + at + 2 : place + at + 4] = struct.pack("<H", value)
        place += 46 + sum(struct.unpack("<HHH", content[place + 28 : place + 34]))
    for member in members:
        start = member.header_offset + at
        content[start : start + 2] = struct.pack("<H", value)
    path.write_bytes(content)
    return path


def rename(safe: Path, path: Path, name: str) -> Path:
    pack(safe, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "")
    return path


def cut(safe: Path, path: Path) -> Path:
    return written(path, pack(safe, path).read_bytes()[:-900])


def pipe(safe: Path, path: Path) -> Path:
    os.mkfifo(path)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


HOSTILE: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "encrypted": (lambda s, p: bits(pack(s, p), 6, 1), "can't be read .*encrypted"),
    "unknown compression": (lambda s, p: bits(pack(s, p), 8, 99), "can't be read"),
    "a name that leads up": (
        lambda s, p: rename(s, p, "S1.SAFE/../../x.xml"),
        "a member of the zip leads out of it",
    ),
    "a name that leads up in another way": (
        lambda s, p: rename(s, p, "..\\x.xml"),
        "a member of the zip leads out of it",
    ),
    "an absolute name": (
        lambda s, p: rename(s, p, "/etc/x.xml"),
        "a member of the zip leads out of it",
    ),
    "a line feed": (lambda s, p: rename(s, p, "a\nb"), "a member of the zip leads out of it"),
    "cut short": (cut, "not a readable zip"),
    "no directory": (lambda s, p: written(p, b"PK\5\6" + bytes(9)), "not a readable zip"),
    "a pipe": (pipe, "a pipe, a socket or a device"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_zips_that_are_no_products_are_one_line(safe, tmp_path, name) -> None:
    make, message = HOSTILE[name]
    refused(make(safe, tmp_path / "p.zip"), tmp_path, message)


def test_a_local_header_that_says_otherwise_is_refused(safe, tmp_path) -> None:
    """The directory at the end says where a stored member begins, its own header how long it is."""
    path = pack(safe, tmp_path / "p.zip", zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        found = next(i for i in archive.infolist() if MEASURED.search(i.filename))
    content[found.header_offset : found.header_offset + 4] = b"PK\7\7"
    path.write_bytes(content)
    refused(path, tmp_path, "measurement.*vv.* can't be read")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_measurement_is_a_geotiff(safe, tmp_path, zipped) -> None:
    copy = shutil.copytree(safe, tmp_path / "x.SAFE")
    file = copy / open_product(copy).parts["measurement", "vv"]
    other = shutil.move(file, tmp_path / "other.tiff")
    file.write_text(
        '<VRTDataset rasterXSize="128" rasterYSize="128"><VRTRasterBand dataType="UInt16" band="1">'
        f"<SimpleSource><SourceFilename>{other}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    path = pack(copy, tmp_path / "p.zip") if zipped else copy
    refused(path, tmp_path, "measurement.*vv.*: not a readable measurement")


@pytest.mark.parametrize("kind", KINDS)
def test_links_out_of_a_product_are_refused(safe, tmp_path, kind) -> None:
    copy = shutil.copytree(safe, tmp_path / "x.SAFE")
    file = copy / open_product(copy).parts[kind, "vv"]
    other = shutil.move(file, tmp_path / f"other{file.suffix}")
    file.symlink_to(other)
    refused(copy, tmp_path, f"{kind}.*vv.*: a link out of its folder")
    file.unlink()
    os.mkfifo(file)
    refused(copy, tmp_path, f"{kind}.*vv.*: a pipe, a socket or a device")
    file.unlink()

    inside = shutil.move(other, copy / f"kept{file.suffix}")
    file.symlink_to(inside)
    (tmp_path / "link").symlink_to(copy)
    calibrate(safe=tmp_path / "link", out=tmp_path / "out" / "c.zarr")


def test_a_measurement_larger_than_its_image_is_refused(safe, tmp_path) -> None:
    copy = shutil.copytree(safe, tmp_path / "x.SAFE")
    file = copy / open_product(copy).parts["measurement", "vv"]
    with file.open("r+b") as content:
        content.truncate(80 << 20)
    refused(pack(copy, tmp_path / "p.zip"), tmp_path, "measurement.* bytes, too many for 128 x 128")


def test_a_measurement_that_is_being_unpacked_as_another_fails_goes_too(
    safe, tmp_path, monkeypatch
) -> None:
    """The thread that unpacks it doesn't stop: nothing may be removed before it has ended."""
    product = open_product(pack(safe, tmp_path / "x.zip"))
    images = read_radar_scene(product, CalibrateSettings()).measurements
    begun = threading.Event()

    def require_whole(image: Measurement, copy: Path) -> None:
        if "-vv-" in image.name:
            assert begun.wait(30)
            raise InputError("damaged")
        begun.set()
        time.sleep(0.5)
        copy.write_bytes(b"unpacked")

    monkeypatch.setattr(Measurement, "require_whole", require_whole)
    with pytest.raises(InputError, match="damaged"), unpack(images, tmp_path / "out" / "s.zarr"):
        pass
    time.sleep(1)
    assert list((tmp_path / "out").iterdir()) == []
