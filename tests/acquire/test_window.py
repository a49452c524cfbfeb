"""Of a large file on a server the part that a map needs is fetched, and no more."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window, from_bounds

from floodloom.acquire.credentials import TOKENS
from floodloom.acquire.remote import merged
from floodloom.acquire.window import PART, SOURCE
from floodloom.errors import InputError
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.stages.gather import gather
from tests.acquire.conftest import Server, answer
from tests.privacy import telling

SIDE = 3000
SECRET = "s3cret-t0ken"
BOUNDS = (512_000.0, 4_980_000.0, 514_000.0, 4_982_000.0)
EPSG = 32633


@dataclass
class Parts:
    """A server that sends parts of a file, on bad days too.

    Attributes
    ----------
    body
        The file.
    cuts, busy
        How many answers are cut off, and how many say that they come later.
    ranges
        Whether it sends parts at all.
    heeds
        Whether it heeds If-Range.
    sent
        Bytes that it has sent.
    """

    body: bytes
    cuts: int = 0
    busy: int = 0
    ranges: bool = True
    mark: str = '"a"'
    heeds: bool = True
    sent: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(3))

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        if self.busy and asked and not asked.startswith("bytes=0-"):
            self.busy -= 1
            answer(b"", status=503, **{"Retry-After": "0"})(handler)
            return
        same = not self.heeds or handler.headers.get("If-Range") in (None, self.mark)
        first, last = 0, len(self.body) - 1
        if asked and self.ranges and same:
            first, last = (int(n or len(self.body)) for n in asked[6:].split("-"))
            last = min(last, len(self.body) - 1)
        else:
            asked = None
        content = self.body[first : last + 1]
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {first}-{last}/{len(self.body)}")
        handler.send_header("ETag", self.mark)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if self.cuts and self.chance.random() < 0.7:
            self.cuts -= 1
            content = content[: self.chance.randrange(len(content))]
        self.sent += len(content)
        handler.wfile.write(content)


def write_raster(path: Path, dtype: str = "float32", **options: object) -> np.ndarray:
    generator = np.random.default_rng(1)
    values = generator.normal(0.1, 0.02, (2, SIDE, SIDE)) * (1 if dtype == "float32" else 100)
    values = values.astype(dtype)
    values[:, :100] = -32768 if dtype == "float32" else 0
    profile = {
        "driver": "COG", "count": 2, "height": SIDE, "width": SIDE, "dtype": dtype,
        "crs": f"EPSG:{EPSG}", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000),
        "nodata": values[0, 0, 0], "blocksize": 256, **options,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(values)
        raster.update_tags(PROCESSING="4.2")
        raster.descriptions = ("vv", "vh")
    return values


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.tif"
    write_raster(path)
    return path


@pytest.fixture
def parts(server: Server, large: Path) -> Parts:
    made = Parts(large.read_bytes())
    server.answers["/large.tif"] = made
    return made


def item(folder: Path, address: str, **stated: object) -> Path:
    path = folder / "item.json"
    path.write_text(json.dumps({"assets": {"data": {"href": address, **stated}}}))
    return path


def fetched(server: Server, folder: Path, **options: object) -> Path:
    """The file that comes when a part of the map is asked for."""
    given = {"bounds": BOUNDS, "epsg": EPSG, **options}
    out = gather(
        tiles=[str(item(folder, f"{server.address}/large.tif"))], out=folder / "t", **given
    )
    return out / "large.tif"


def same_pixels(part: Path, whole: Path) -> None:
    """Check that a part has the pixels, numbers and tags of the whole, where it lies."""
    with rasterio.open(part) as one, rasterio.open(whole) as other:
        window = from_bounds(*one.bounds, other.transform)
        assert np.array_equal(one.read(), other.read(window=window))
        offsets = np.array([window.col_off, window.row_off])
        assert np.abs(offsets - offsets.round()).max() < 1e-6
        for name in ("crs", "nodata", "dtypes", "descriptions", "scales", "offsets", "units"):
            assert getattr(one, name) == getattr(other, name), name
        assert other.tags().items() <= one.tags().items()
        left, bottom, right, top = BOUNDS
        box = one.bounds
        assert box.left <= left - 320
        assert box.bottom <= bottom - 320
        assert box.right >= right + 320
        assert box.top >= top + 320


def test_a_part_is_that_of_the_whole(server, parts, large, tmp_path) -> None:
    part = fetched(server, tmp_path)
    same_pixels(part, large)
    assert parts.sent < 0.1 * len(parts.body)
    with rasterio.open(part) as raster:
        tags = raster.tags()
    assert tags[SOURCE] == f"{server.address}/large.tif"
    assert tags[PART].endswith(f" of 3000 x 3000; {parts.sent} of {len(parts.body)} bytes")
    assert len(server.requests) < 12


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint8", {"compress": "deflate"}),
        ("int16", {"compress": "lzw", "predictor": "yes"}),
        ("float32", {"driver": "GTiff", "tiled": False, "interleave": "pixel"}),
        ("float32", {"driver": "GTiff", "tiled": True, "bigtiff": "yes", "interleave": "pixel"}),
    ],
)
def test_whatever_way_it_is_stored(server, tmp_path, dtype, options) -> None:
    options = {k: v for k, v in options.items() if k != "driver"} | {
        "driver": options.get("driver", "COG")
    }
    whole = tmp_path / "whole.tif"
    write_raster(whole, dtype, **options)
    server.answers["/large.tif"] = made = Parts(whole.read_bytes())
    same_pixels(fetched(server, tmp_path), whole)
    assert made.sent < 0.3 * len(made.body)


def test_real_elevations_keep_where_their_pixels_lie(
    server, shared_data, tmp_path, monkeypatch
) -> None:
    """Copernicus DEM counts from the middles of pixels; the island takes most of this tile."""
    monkeypatch.setattr("floodloom.acquire.window.LESS", 2.0)
    whole = next((shared_data / "conventions/copernicus_dem").glob("*.tif"))
    server.answers["/large.tif"] = Parts(whole.read_bytes())
    bounds = (230_000.0, 20_000.0, 234_000.0, 24_000.0)
    part = fetched(server, tmp_path, bounds=bounds, epsg=32632)
    with rasterio.open(part) as one, rasterio.open(whole) as other:
        assert one.tags()["AREA_OR_POINT"] == "Point"
        window = from_bounds(*one.bounds, other.transform)
        rows, cols = round(window.row_off), round(window.col_off)
        assert (window.row_off, window.col_off) == pytest.approx((rows, cols), abs=1e-6)
        place = Window(cols, rows, one.width, one.height)
        assert np.array_equal(one.read(1), other.read(1, window=place))
        assert one.read(1).max() > 1000
    assert open_foreign(part, Kind("elevation raster")).geobox.shape.yx == one.shape


def test_connections_that_are_cut_go_on(server, parts, large, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("floodloom.acquire.web.PAUSES_S", (0.01,) * 5)
    parts.cuts, parts.busy = 20, 3
    same_pixels(fetched(server, tmp_path), large)
    assert parts.busy == 0
    assert parts.cuts < 20
    assert parts.sent < 0.1 * len(parts.body)


def test_what_stays_cut_is_one_line_and_leaves_nothing(server, parts, tmp_path) -> None:
    parts.cuts = 10_000
    parts.chance = random.Random(0)
    parts.chance.random = lambda: 0.0  # type: ignore[method-assign]
    parts.chance.randrange = lambda stop: 0  # type: ignore[method-assign,assignment]
    with pytest.raises(InputError, match=r"large\.tif: .*; try again") as caught:
        fetched(server, tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["item.json"]


def test_a_server_that_stays_busy_is_one_line(server, parts, tmp_path) -> None:
    parts.busy = 10_000
    with pytest.raises(InputError, match=r"large\.tif: can't be fetched \(status 503\)"):
        fetched(server, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["item.json"]


@pytest.mark.parametrize("why", ["no parts", "no area", "most of it", "changed", "changed unsaid"])
def test_else_the_whole_file_comes(server, parts, large, tmp_path, why) -> None:
    options: dict[str, object] = {}
    if why == "no parts":
        parts.ranges = False
    if why == "no area":
        options = {"bounds": None}
    if why == "most of it":
        options = {"bounds": (500_000.0, 4_970_000.0, 530_000.0, 4_990_000.0)}
    if why.startswith("changed"):
        server.answers["/large.tif"] = Changing(large.read_bytes(), heeds=why == "changed")
    assert fetched(server, tmp_path, **options).read_bytes() == large.read_bytes()


class Changing(Parts):
    """A file of which another edition is there for each request."""

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        super().__call__(handler)
        self.mark = f'"{self.chance.random()}"'


def test_a_digest_of_the_whole_is_not_asked_of_a_part(server, parts, large, tmp_path) -> None:
    stated = {"file:size": 1, "file:checksum": "1220" + 32 * "00"}
    path = item(tmp_path, f"{server.address}/large.tif", **stated)
    part = gather(tiles=[str(path)], out=tmp_path / "t", bounds=BOUNDS, epsg=EPSG)
    same_pixels(part / "large.tif", large)
    with pytest.raises(InputError, match="more than the 1 bytes"):
        gather(tiles=[str(path)], out=tmp_path / "whole")


def test_what_shows_nothing_of_the_map_is_left_out(server, parts, tmp_path) -> None:
    with pytest.raises(InputError, match="shows nothing of the map"):
        fetched(server, tmp_path, bounds=(100_000.0, 4_000_000.0, 101_000.0, 4_001_000.0))
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><html>Please sign in</html>" + b" " * 200_000, "a web page, no product"),
        (b"II*\0" + b"\xff" * 300_000, "not a readable GeoTIFF|cut short or damaged"),
        (b"II*\0\x08\0\0\0\xff\xff" + b"\x01" * 300_000, "not a readable GeoTIFF|cut short or dam"),
    ],
)
def test_what_is_no_raster_is_one_line(server, tmp_path, body, said) -> None:
    server.answers["/large.tif"] = Parts(body)
    with pytest.raises(InputError, match=said) as caught:
        fetched(server, tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["item.json"]


def test_signatures_and_tokens_are_kept_nowhere(
    server, parts, large, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setenv(TOKENS, f"127.0.0.1={SECRET}")
    signer = {"127.0.0.1": f"{server.address}/s"}
    monkeypatch.setattr("floodloom.acquire.signing.SIGNERS", signer)

    def sign(handler: BaseHTTPRequestHandler) -> None:
        href = parse_qs(urlsplit(handler.path).query)["href"][0]
        answer(json.dumps({"href": f"{href}?sig={SECRET}"}).encode())(handler)

    server.answers["/s"] = sign
    server.answers["/large.tif"] = only_with_secret(parts)
    caplog.set_level("DEBUG")
    same_pixels(fetched(server, tmp_path), large)
    assert telling(tmp_path, [SECRET]) == []
    assert SECRET not in caplog.text
    parts.cuts, parts.chance.random = 10_000, lambda: 0.0  # type: ignore[method-assign]
    with pytest.raises(InputError) as caught:
        fetched(server, tmp_path)
    assert SECRET not in str(caught.value)


def only_with_secret(parts: Parts) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        known = handler.headers.get("Authorization") == f"Bearer {SECRET}"
        if known and urlsplit(handler.path).query == f"sig={SECRET}":
            parts(handler)
        else:
            answer(b"no", status=403)(handler)

    return send


def test_a_full_disk_is_one_line_and_leaves_nothing(server, parts, tmp_path) -> None:
    source = item(tmp_path, f"{server.address}/large.tif")
    words = ["gather", "--tiles", source, "--out", tmp_path / "t", "--epsg", EPSG]
    limit = (100_000, 100_000)
    run = subprocess.run(
        [sys.executable, "-m", "floodloom.cli", *map(str, [*words, "--bounds", *BOUNDS])],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert "free some space or write elsewhere" in last or "raise the limit of file sizes" in last
    assert "Traceback" not in run.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["item.json"]


def test_blocks_beyond_counting_are_not_counted(
    server, parts, large, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("floodloom.acquire.window._MOST_BLOCKS", 3)
    assert fetched(server, tmp_path).read_bytes() == large.read_bytes()


def test_ranges_that_nearly_touch_are_one_request() -> None:
    assert merged([(10, 20), (0, 12), (30, 40)], 1000) == [(0, 40)]
    assert merged([(0, 10), (100_000, 100_010)], 200_000) == [(0, 10), (100_000, 100_010)]
    assert merged([(0, 10), (5, 300)], 100) == [(0, 100)]
    assert merged([(500, 600)], 100) == []
