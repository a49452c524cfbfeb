"""What comes in is a regular file, and lies where it was said to lie."""

import os
import socket
from pathlib import Path

import pytest

from floodloom.errors import InputError
from floodloom.files import regular_file


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def plug(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (pipe, "x: a pipe, a socket or a device, no raster; give a file"),
        (plug, "x: a pipe, a socket or a device, no raster"),
        (lambda path: Path(os.devnull), "null: a pipe, a socket or a device"),
        (folder, "x: a folder, no raster; give a file"),
        (lambda path: path, "x: not a readable raster .*; check the path"),
        (lambda path: path / ("n" * 300), "not a readable raster .*; check the path"),
        (lambda path: f"{path}\0", "not a readable raster .*; check the path"),
        (lambda path: "/vsicurl/http://127.0.0.1:9/x.tif", "not a readable raster"),
    ],
)
def test_what_is_no_regular_file_is_refused(tmp_path, make, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        regular_file(make(tmp_path / "x"), "raster")
    assert "\n" not in str(caught.value)


def test_links_are_followed_but_not_out_of_a_folder_that_was_given(tmp_path) -> None:
    (tmp_path / "given").mkdir()
    for name in ("inside", "outside"):
        (tmp_path / ("given" if name == "inside" else "") / name).write_text(name)
    (tmp_path / "given" / "a").symlink_to("inside")
    (tmp_path / "given" / "b").symlink_to("../outside")
    (tmp_path / "link").symlink_to("given")

    for given in (tmp_path / "given", tmp_path / "link"):
        assert regular_file(given / "a", "raster", within=given).read_text() == "inside"
        with pytest.raises(InputError, match="b: a link out of its folder"):
            regular_file(given / "b", "raster", within=given)
    assert regular_file(tmp_path / "given" / "b", "raster").read_text() == "outside"


def test_paths_become_absolute(tmp_path, monkeypatch) -> None:
    """GDAL takes such a name for the second image of a file called x.tif."""
    monkeypatch.chdir(tmp_path)
    Path("GTIFF_DIR:2:x.tif").write_text("")
    assert regular_file("GTIFF_DIR:2:x.tif", "raster") == tmp_path / "GTIFF_DIR:2:x.tif"
