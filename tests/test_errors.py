"""What the machine refuses is one line; nothing of what was begun is left."""

import errno
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from floodloom.cli import main
from floodloom.errors import DEBUG, InputError, details, end_status, explain, one_line
from floodloom.files import atomic_path
from floodloom.raster import cog
from floodloom.raster.cog import write_cog
from floodloom.raster.opener import is_whole


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.tif"), r"a\.tif: No space .*; free"),
        (OSError(errno.EROFS, "Read-only file system", "a"), "a: Read-only .*; write elsewhere"),
        (OSError(errno.EACCES, "Permission denied", "a"), "a: Permission denied; change the perm"),
        (OSError(errno.EMFILE, "Too many open files"), r"Too many open files; .*ulimit"),
        (caused(RuntimeError("failed"), OSError(errno.ENOSPC, "No space")), "No space; free"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "28\\); free some"),
        (RasterioIOError("Attempt to create a.tif failed: Permission denied"), "denied; change"),
        (RasterioIOError("a.tif: two\nlines"), r"^a\.tif: two lines$"),
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory; set a smaller `tile`"),
        (RuntimeError("CUDA out of memory"), "not enough memory"),
        (RuntimeError("can't start new thread"), "not enough memory"),
        (caused(ImportError("a"), ImportError("b.so: failed to map segment")), "not enough mem"),
        (UnicodeEncodeError("utf-8", "\udcc3", 0, 1, "surrogates not allowed"), "PYTHONUTF8=1"),
    ],
)
def test_refusals_of_the_machine_are_one_line(error: Exception, line: str) -> None:
    said = explain(error)
    assert said is not None
    assert "\n" not in said
    assert re.search(line, said)


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("b"), TypeError("c"), OSError()])
def test_mistakes_of_the_program_stay_what_they_are(error: Exception) -> None:
    assert explain(error) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("a\nb"), r"unexpected KeyError \('a\\nb'\); .*--debug, .* FLOODLOOM_DEBUG=1"),
        (ValueError("two\nlines\x1b[0m"), r"unexpected ValueError \(two\\nlines\\x1b\[0m\)"),
        (RuntimeError("http://me:s3cret@h/x?s3cret"), r"RuntimeError \(http://h/x"),
        (InputError("a{b}\u202e: bad"), r"^a{b}\\u202e: bad$"),
        (RecursionError("too deep"), "nested too deeply; check"),
        (caused(TypeError("x"), RecursionError("too deep")), "nested too deeply"),
        (KeyboardInterrupt(), "^interrupted$"),
        (SystemExit(143), "^ended by SIGTERM$"),
        (SystemExit(129), "^ended by SIGHUP$"),
        (SystemExit(3), "^ended by status 3$"),
    ],
)
def test_whatever_ends_a_command_is_one_line(error: BaseException, line: str) -> None:
    said = one_line(error)
    assert said.isprintable()
    assert "s3cret" not in said
    assert re.search(line, said)
    assert len(one_line(ValueError("x" * 100_000))) < 3000


def test_status_says_what_ended_a_process() -> None:
    assert [end_status(e) for e in (KeyboardInterrupt(), SystemExit(143), SystemExit("a"))] == [
        *(130, 143, 1)
    ]


def test_tracebacks_are_for_those_who_ask(monkeypatch) -> None:
    with pytest.raises(ValueError, match="s3cret") as caught:
        raise ValueError("http://h/x?s3cret\x1b")
    assert details(caught.value) == ""
    monkeypatch.setenv(DEBUG, "1")
    said = details(caught.value)
    assert said.startswith("Traceback")
    assert said.endswith("\n")
    assert "s3cret" not in said
    assert "\x1b" not in said


def test_an_output_that_can_not_be_written_is_one_line(tmp_path, capsys) -> None:
    (tmp_path / "file").write_bytes(b"II*\0")
    source = tmp_path / "x.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("manifest.safe", "")
    for out in (tmp_path / "file" / "x.zip", tmp_path / ("n" * 300)):
        assert main(["acquire", "--source", str(source), "--out", str(out)]) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        assert line.startswith("floodloom: ")
        assert tmp_path.name in line
        assert "; " in line


LIMITED = """
import resource, sys
from floodloom.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.exit(main(sys.argv[1:]))
"""


def test_a_file_that_may_not_grow_is_one_line_and_leaves_nothing(tmp_path) -> None:
    source = tmp_path / "x.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("manifest.safe", bytes(5000))
    out = tmp_path / "out" / "x.zip"
    command = [sys.executable, "-c", LIMITED, "acquire", "--source", source, "--out", out]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith(f"floodloom: {out}: File too large; raise the limit")
    assert "Traceback" not in result.stderr
    assert not list(out.parent.iterdir())


def test_the_path_of_a_full_disk_is_that_of_the_result(tmp_path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "out.zarr") as temporary:
            temporary.mkdir()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space .*: '.*/out\.zarr'"):
        fill()
    assert not list(tmp_path.iterdir())


LATE = """
import sys, threading, time
from pathlib import Path
from floodloom.files import atomic_path

def write(folder):
    time.sleep(1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chunk").touch()

with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.mkdir()
    threading.Thread(target=write, args=[temporary]).start()
    raise ValueError
"""


def test_what_other_threads_write_after_a_failure_is_removed(tmp_path) -> None:
    command = [sys.executable, "-c", LATE, str(tmp_path / "x.zarr")]
    assert subprocess.run(command, capture_output=True).returncode == 1
    assert not list(tmp_path.iterdir())


BOX = GeoBox((700, 600), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32633")


@pytest.fixture
def raster(tmp_path) -> Path:
    bands = np.random.default_rng(0).integers(0, 255, (2, 700, 600), dtype=np.uint8)
    return write_cog(bands, tmp_path / "whole.tif", geobox=BOX, nodata=255)


@pytest.mark.parametrize("lost", [5, 2000, 100_000, 800_000])
def test_a_raster_that_was_cut_short_is_told(raster, lost: int) -> None:
    assert is_whole(raster)
    content = raster.read_bytes()
    raster.write_bytes(content[:-lost])
    assert not is_whole(raster)


def test_blocks_that_were_never_written_are_told(tmp_path) -> None:
    path = tmp_path / "sparse.tif"
    facts = {"height": 600, "width": 600, "count": 1, "dtype": "uint8", "tiled": True}
    with rasterio.open(path, "w", driver="GTiff", SPARSE_OK=True, nodata=0, **facts) as made:
        made.write(np.ones((1, 256, 256), np.uint8), window=Window(0, 0, 256, 256))
    assert not is_whole(path)
    assert is_whole(path, sparse=True)


def test_a_raster_that_gdal_did_not_finish_does_not_take_its_name(tmp_path, monkeypatch) -> None:
    copied = cog.copy

    def short(source, target, **options) -> None:
        copied(source, target, **options)
        target.write_bytes(target.read_bytes()[:-5000])

    monkeypatch.setattr(cog, "copy", short)
    with pytest.raises(InputError, match=r"x\.tif: can't be written \(blocks are missing\)"):
        write_cog(np.ones((700, 600), np.uint8), tmp_path / "x.tif", geobox=BOX, nodata=255)
    assert not list(tmp_path.iterdir())
