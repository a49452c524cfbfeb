"""What fuzzing by coverage has found: each is refused in one line, in little memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from rasterio.crs import CRS

from floodloom.acquire.orbits import LISTING, listed_orbits
from floodloom.errors import InputError, library_text
from floodloom.raster.foreign import Kind
from floodloom.raster.layers import open_layers
from floodloom.raster.netcdf3 import require_whole
from floodloom.sentinel1.product import open_product

from .harness import Trial
from .reader import refused
from .readers import READERS

Change = Callable[[bytes], bytes]


def netcdf(path: Path, version: int = 1, *, records: bool = False) -> Path:
    """Write an image as a classic NetCDF file, with its rows as records or not."""
    coords = {"y": 5e6 - 10.0 * np.arange(16), "x": 5e5 + 10.0 * np.arange(16)}
    scene = xr.Dataset({"vv": (("y", "x"), np.ones((16, 16), "float32"))}, coords=coords)
    forms = {1: "NETCDF3_CLASSIC", 2: "NETCDF3_64BIT"}
    unlimited = ["y"] if records else []
    scene.to_netcdf(path, engine="scipy", format=forms[version], unlimited_dims=unlimited)
    return path


def as_cdf5() -> bytes:
    """Return a header of two dimensions and a variable in the version whose counts are long."""
    name = struct.pack(">Q", 1) + b"y\0\0\0"
    dimensions = struct.pack(">IQ", 10, 1) + name + struct.pack(">Q", 4)
    variable = name + struct.pack(">QQ", 1, 0) + struct.pack(">IQ", 0, 0)
    header = b"CDF\5" + bytes(8) + dimensions + struct.pack(">IQ", 0, 0)
    header += struct.pack(">IQ", 11, 1) + variable + struct.pack(">IQ", 5, 16)
    return header + struct.pack(">Q", len(header) + 8) + bytes(16)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("records", [False, True])
def test_whole_netcdf_files_of_each_version_are_read(
    version: int, records: bool, tmp_path: Path
) -> None:
    path = netcdf(tmp_path / "a.nc", version, records=records)
    (layer,) = open_layers(path, Kind("backscatter"))
    assert (layer.raster.numbers(band=layer.band) == 1).all()


def test_the_version_with_long_counts_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(as_cdf5())
    require_whole(path, "a.nc")
    path.write_bytes(as_cdf5()[:-1])
    with pytest.raises(InputError, match=r"a\.nc: a NetCDF file, damaged or cut off"):
        require_whole(path, "a.nc")


def put(pattern: bytes, new: bytes, at: int = 0) -> Change:
    """Return what writes over the bytes that begin so far behind the first of a pattern."""

    def change(content: bytes) -> bytes:
        start = content.index(pattern) + at
        return content[:start] + new + content[start + len(new) :]

    return change


HUGE = b"\x7f\xff\xff\xff"
NETCDF: dict[str, Change] = {
    "dimensions": put(b"\0\0\0\x0a", HUGE, 4),
    "the length of a dimension": put(b"y\0\0\0", HUGE, 4),
    "variables": put(b"\0\0\0\x0b", HUGE, 4),
    "the length of a name": put(b"\0\0\0\x02vv", HUGE),
    "dimensions of a variable": put(b"vv\0\0", HUGE, 4),
    "attributes": put(b"\0\0\0\x0c", HUGE, 4),
    "values of an attribute": put(b"_FillValue\0\0\0\0\0\5", HUGE, 16),
    "another dimension": put(b"vv\0\0", b"\0\0\0\2\0\0\0\7", 4),
    "another type": put(b"_FillValue\0\0", b"\0\0\0\x63", 12),
    "the end": lambda content: content[:-200],
    "all but the beginning": lambda content: content[:4],
}


@pytest.mark.parametrize("name", NETCDF)
def test_a_netcdf_header_that_promises_more_is_refused_in_little_memory(
    name: str, trial: Trial
) -> None:
    path = netcdf(trial.given / "a.nc")
    path.write_bytes(NETCDF[name](path.read_bytes()))
    trial.refuses(partial(open_layers, path, Kind("backscatter")), words=("a.nc", "fetch it again"))


def test_more_records_than_a_netcdf_file_holds_are_refused(trial: Trial) -> None:
    path = netcdf(trial.given / "a.nc", records=True)
    path.write_bytes(put(b"CDF", HUGE, 4)(path.read_bytes()))
    trial.refuses(partial(open_layers, path, Kind("backscatter")), words=("a.nc", "fetch it again"))


def test_a_database_whose_statements_are_no_text_is_refused(trial: Trial) -> None:
    reader = READERS["gpkg"](trial)
    assert refused(reader.read, put(b"CREATE TRIGGER", b"\xc5", 2)(reader.seeds[0]))


def test_a_fill_value_that_is_too_short_is_refused(trial: Trial) -> None:
    reader = READERS["zarr-3"](trial)
    metadata = json.loads(reader.seeds[0])
    metadata["attributes"]["_FillValue"] = "AAAA"
    assert refused(reader.read, json.dumps(metadata).encode())


@pytest.mark.parametrize(
    "place", ["http://[", "\x01http://host/", "http://ho&#10;st/", "ftp://host/"]
)
def test_a_listing_leads_to_plain_addresses_alone(
    place: str, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "S1A_OPER_AUX_POEORB_OPOD_20230603T080000_V20230513T225942_20230515T005942.EOF"
    page = trial.file(
        "listing.xml", f"<a><Key>{place}{name}</Key><Key>https://host/{name}</Key></a>"
    )
    monkeypatch.setenv(LISTING, str(page))
    assert listed_orbits("POEORB", "S1A", "20230514") == {name: f"https://host/{name}"}


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "1e300"])
def test_features_that_lie_nowhere_are_refused(number: str, trial: Trial) -> None:
    reader = READERS["label-features"](trial)
    (text,) = reader.seeds
    assert refused(reader.read, text.replace(b"450150.0", number.encode()))


def test_names_of_tables_in_capitals_are_those_of_a_product(trial: Trial) -> None:
    safe = trial.copy("after.SAFE")
    tables = safe / "annotation" / "calibration"
    for table in list(tables.glob("calibration-*")):
        table.rename(tables / table.name.replace("calibration-", "caliBration-"))
    assert ("calibration", "vv") in open_product(safe).parts


def test_a_library_that_quotes_all_that_it_did_is_cut_short(trial: Trial) -> None:
    reader = READERS["gpkg"](trial)
    content = reader.seeds[0].replace(b"gpkg_contents", b"gpkg_contentx")
    assert refused(reader.read, content)
    assert len(library_text(ValueError("x\n" * 1000))) == 301


def test_names_of_spaces_are_shown_as_they_are(trial: Trial) -> None:
    assert refused(READERS["item"](trial).read, b'{"assets": {"\\u00a0/": {}}}')


def test_a_corner_of_a_thousand_digits_is_refused(trial: Trial) -> None:
    reader = READERS["item-of-scene"](trial)
    assert refused(reader.read, reader.seeds[0].replace(b"[[[14.0", b"[[[" + b"9" * 400))


def test_an_item_of_no_known_geometry_is_left_out(trial: Trial) -> None:
    reader = READERS["catalogue-item"](trial)
    (text,) = reader.seeds
    assert b'"Polygon"' in text
    assert refused(reader.read, text.replace(b'"Polygon"', b'"\\u0663"'))


def test_an_encoding_of_a_thousand_letters_is_refused_in_a_short_line(trial: Trial) -> None:
    reader = READERS["calibration"](trial)
    content = reader.seeds[0].partition(b"?>")[2]
    assert refused(reader.read, b'<?xml version="1.0" encoding="U%s"?>' % (b"9" * 2000) + content)


def test_a_reference_system_in_another_encoding_is_refused(trial: Trial) -> None:
    path = trial.given / "labels.tif"
    crs = CRS.from_epsg(32633).to_wkt().replace("WGS 84 / UTM zone 33N", "Ein Netz", 1)
    crs = crs.replace("0.9996", "0.9995").replace(',AUTHORITY["EPSG","32633"]', "")
    grid = {"crs": crs, "transform": Affine(10, 0, 450000, 0, -10, 5200000)}
    with rasterio.open(path, "w", "GTiff", 8, 8, 1, dtype="uint8", **grid) as raster:
        raster.write(np.ones((1, 8, 8), np.uint8))
    content = path.read_bytes()
    assert b"Ein Netz" in content
    path.write_bytes(content.replace(b"Ein Netz", b"Ein N\xe4tz"[:8]))
    trial.refuses(
        "tile", "--scene", trial.event / "scene.zarr", "--labels", path,
        "--out", trial.out / "t.zarr", words=("labels.tif", "isn't UTF-8"),
    )  # fmt: skip
