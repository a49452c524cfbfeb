"""Bands of VRT, NetCDF and Zarr are those of GDAL and xarray, and no file leads to another."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.shutil import copy

from floodloom.errors import InputError
from floodloom.raster.content import format_of
from floodloom.raster.foreign import Kind
from floodloom.raster.hdf5 import require_alone
from floodloom.raster.layers import Layer, open_layers
from floodloom.raster.windows import Window
from tests.raster.test_foreign import write

GRID = GeoBox((40, 60), Affine(20.0, 0, 500000.0, 0, -20.0, 5100000.0), "EPSG:32633")
KIND = Kind("backscatter")
DRAWN = np.random.default_rng(0).normal(-12, 3, (2, 40, 60)).astype("float32")
DRAWN[:, :5, :9] = np.nan


def numbers(layer: Layer, window: Window | None = None) -> np.ndarray:
    return layer.raster.numbers(window, layer.band)


def vrt(bands: str, srs: str = "EPSG:32633", size: tuple[int, int] = (40, 60)) -> str:
    return (
        f'<VRTDataset rasterXSize="{size[1]}" rasterYSize="{size[0]}"><SRS>{srs}</SRS>'
        f"<GeoTransform>500000,20,0,5100000,0,-20</GeoTransform>{bands}</VRTDataset>"
    )


def source(
    name: str, start: tuple[int, int], to: tuple[int, int], size: tuple[int, int], **facts: Any
) -> str:
    """A source: `start` and `to` are rows and columns."""
    kind = "ComplexSource" if "nodata" in facts else "SimpleSource"
    nodata = f"<NODATA>{facts['nodata']}</NODATA>" if "nodata" in facts else ""
    (height, width), band = size, facts.get("band", 1)
    return (
        f'<{kind}><SourceFilename relativeToVRT="{facts.get("relative", 1)}">{name}'
        f"</SourceFilename><SourceBand>{band}</SourceBand>"
        f'<SrcRect xOff="{start[1]}" yOff="{start[0]}" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="{to[1]}" yOff="{to[0]}" xSize="{facts.get("wide", width)}" '
        f'ySize="{height}"/>{nodata}</{kind}>'
    )


def band(inside: str, facts: str = "") -> str:
    return f'<VRTRasterBand dataType="Float32" band="1">{facts}{inside}</VRTRasterBand>'


def test_a_stack_and_a_mosaic_are_what_gdal_makes_of_them(tmp_path) -> None:
    filled = np.nan_to_num(DRAWN, nan=-99)
    write(tmp_path / "vv.tif", filled[0], GRID, nodata=-99)
    write(tmp_path / "vh.tif", filled[1], GRID, nodata=-99)
    write(tmp_path / "both.tif", filled, GRID, nodata=-99)
    write(tmp_path / "left.tif", filled[0, :, :35], GRID[:, :35])
    write(tmp_path / "right.tif", filled[0, :, 25:], GRID[:, 25:])
    declared = "<NoDataValue>-99</NoDataValue>"
    whole = ((0, 0), (0, 0), (40, 60))
    texts = {
        "stack": band(source("vv.tif", *whole), declared)
        + band(source("vh.tif", *whole), declared),
        "of bands": band(source("both.tif", *whole, band=2), declared),
        "mosaic": band(
            source("left.tif", (0, 0), (0, 0), (40, 35), nodata=-99)
            + source("right.tif", (0, 0), (0, 25), (40, 35), nodata=-99),
            declared,
        ),
        "cut": band(source("vv.tif", (4, 6), (0, 0), (20, 30)), declared),
        "scaled": band(source("vv.tif", *whole), f"{declared}<Scale>0.5</Scale><Offset>3</Offset>"),
    }
    for name, text in texts.items():
        size = (20, 30) if name == "cut" else (40, 60)
        path = tmp_path / f"{name}.vrt"
        path.write_text(vrt(text, size=size))
        layers = open_layers(path, KIND)
        with rasterio.open(path) as raster:
            assert len(layers) == raster.count
            for layer in layers:
                expected = raster.read(layer.number, masked=True).astype("f4")
                scale, offset = raster.scales[layer.number - 1], raster.offsets[layer.number - 1]
                expected = expected.filled(np.nan) * scale + offset
                np.testing.assert_allclose(numbers(layer), expected, rtol=1e-6)
                part = numbers(layer, Window(3, 5, 11, 13))
                np.testing.assert_allclose(part, expected[3:14, 5:18], rtol=1e-6)
                assert layer.raster.geobox.affine == raster.transform
                assert layer.raster.geobox.crs.to_epsg() == 32633
    assert [layer.description for layer in open_layers(tmp_path / "stack.vrt", KIND)] == [
        "vv",
        "vh",
    ]


def outside(folder: Path, name: str) -> str:
    whole = ((0, 0), (0, 0), (40, 60))
    inside = {
        "an absolute path": source(str(folder.parent / "secret.tif"), *whole, relative=0),
        "a path upward": source("../secret.tif", *whole),
        "a link": source("link.tif", *whole),
        "an address": source("/vsicurl/{url}/x.tif", *whole, relative=0),
        "a connection": source("vrt://../secret.tif", *whole, relative=0),
        "a zip": source("/vsizip/x.zip/x.tif", *whole, relative=0),
        "a VRT of its own": source("inner.vrt", *whole),
        "nothing": source("none.tif", *whole),
        "a folder": source(".", *whole),
        "more than there is": source("own.tif", (0, 0), (0, 0), (40, 61), wide=61),
        "a band that isn't there": source("own.tif", *whole, band=2),
        "other pixels": source("own.tif", (0, 0), (0, 0), (40, 60), wide=30),
        "half a pixel": source("own.tif", (0.5, 0), (0, 0), (39, 60)),  # type: ignore[arg-type]
    }
    bands = {
        "raw bytes": '<VRTRasterBand subClass="VRTRawRasterBand" dataType="Float32" band="1">'
        "<SourceFilename>/etc/passwd</SourceFilename></VRTRasterBand>",
        "code": '<VRTRasterBand subClass="VRTDerivedRasterBand" dataType="Float32" band="1">'
        f"<PixelFunctionLanguage>Python</PixelFunctionLanguage>{source('own.tif', *whole)}"
        "</VRTRasterBand>",
        "a mask elsewhere": band(source("own.tif", *whole)) + "<MaskBand/>",
        "a table": band(source("own.tif", *whole).replace("<SrcRect", "<LUT>0:1</LUT><SrcRect")),
    }
    return bands[name] if name in bands else band(inside[name])


REFUSED = {
    "an absolute path": "lies outside of its folder",
    "a path upward": "lies outside of its folder",
    "a link": "lies outside of its folder",
    "an address": "lies outside of its folder",
    "a connection": "lies outside of its folder|isn't there",
    "a zip": "lies outside of its folder",
    "a VRT of its own": "names other files",
    "nothing": "isn't there",
    "a folder": "isn't there",
    "more than there is": "reaches over the edge",
    "a band that isn't there": "more of own.tif than it has",
    "other pixels": "resampled",
    "half a pixel": "whole pixels",
    "raw bytes": "VRTRawRasterBand",
    "code": "VRTDerivedRasterBand",
    "a mask elsewhere": "MaskBand",
    "a table": "LUT",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_vrt_names_files_of_its_folder_and_does_nothing_else(tmp_path, address, name) -> None:
    url, asked = address
    folder = tmp_path / "given"
    write(tmp_path / "secret.tif", DRAWN[0], GRID)
    write(folder / "own.tif", DRAWN[0], GRID)
    (folder / "link.tif").symlink_to(tmp_path / "secret.tif")
    (folder / "inner.vrt").write_text(vrt(band(source("own.tif", (0, 0), (0, 0), (40, 60)))))
    (folder / "x.vrt").write_text(vrt(outside(folder, name).replace("{url}", url)))
    with pytest.raises(InputError, match=REFUSED[name]) as caught:
        open_layers(folder / "x.vrt", KIND)
    assert str(caught.value).isprintable()
    assert not asked


def scene(grid: GeoBox = GRID, **coords: Any) -> xr.Dataset:
    made = xr.Dataset(
        {name: (("y", "x"), v) for name, v in zip(("vv", "vh"), DRAWN, strict=True)},
        coords={**xr_coords(grid, always_yx=True), **coords},
    )
    for variable in made.data_vars.values():
        variable.attrs.update(grid_mapping="spatial_ref", units="dB")
    return made


TURNED = GeoBox((40, 60), Affine(16.0, 12.0, 5e5, 12.0, -16.0, 51e5), "EPSG:32633")
SOUTH = GeoBox((40, 60), Affine(20.0, 0, 5e5, 0, 20.0, 5099200.0), "EPSG:32633")
DEGREES = GeoBox((40, 60), Affine(2e-4, 0, 14.0, 0, -1e-4, 46.0), "EPSG:4326")


PLACES = {"metres": GRID, "turned": TURNED, "degrees": DEGREES, "from the south": SOUTH}
KINDS = ("netcdf 3", "netcdf 4", "zarr 2", "zarr 3")
STORED = [(kind, place) for kind in KINDS for place in PLACES]
STORED.remove(("netcdf 4", "turned"))  # which GDAL can't write


@pytest.mark.parametrize(("kind", "place"), STORED)
def test_stores_and_netcdf_hold_the_same_bands(tmp_path, kind: str, place: str) -> None:
    grid = PLACES[place]
    if kind.startswith("zarr"):
        path = tmp_path / "s.zarr"
        scene(grid).to_zarr(path, zarr_format=int(kind[-1]), consolidated=False)
    elif kind == "netcdf 3":
        path = tmp_path / "s.nc"
        scene(grid).to_netcdf(path, engine="scipy")
    else:
        path = tmp_path / "s.nc"
        copy(write(tmp_path / "s.tif", DRAWN, grid), path, driver="netCDF", FORMAT="NC4")
        Path(f"{path}.aux.xml").unlink(missing_ok=True)
    layers = open_layers(path, KIND)
    if kind.startswith("zarr"):  # which keeps no order
        assert [layer.description for layer in layers] == ["vh", "vv"]
        layers = layers[::-1]
    if kind != "netcdf 4":
        assert [layer.description for layer in layers] == ["vv", "vh"]
        assert "dB" in layers[0].texts
    for layer, values in zip(layers, DRAWN, strict=True):
        turned = layer.raster.geobox.affine.e * grid.affine.e < 0  # GDAL writes it north-up
        np.testing.assert_array_equal(numbers(layer), values[::-1] if turned else values)
        moved = ~grid.affine @ layer.raster.geobox.affine
        expected = (1, 0, 0, 0, -1, 40) if turned else (1, 0, 0, 0, 1, 0)
        np.testing.assert_allclose(moved[:6], expected, atol=1e-6)
        assert layer.raster.geobox.crs.to_epsg() == grid.crs.to_epsg()


def test_axes_in_degrees_are_a_place(tmp_path) -> None:
    """Longitude and latitude without a CRS, as most programs write them."""
    axes = scene(DEGREES).drop_vars("spatial_ref").rename(y="lat", x="lon")
    axes.lat.attrs = {"units": "degrees_north", "standard_name": "latitude"}
    axes.lon.attrs = {"units": "degrees_east", "standard_name": "longitude"}
    for variable in axes.data_vars.values():
        del variable.attrs["grid_mapping"]
    axes.to_netcdf(tmp_path / "s.nc", engine="scipy")
    axes.to_zarr(tmp_path / "s.zarr", zarr_format=2, consolidated=False)
    for name in ("s.nc", "s.zarr"):
        for layer in open_layers(tmp_path / name, KIND):
            assert layer.raster.geobox.crs.to_epsg() == 4326
            moved = ~DEGREES.affine @ layer.raster.geobox.affine
            np.testing.assert_allclose(moved[:6], (1, 0, 0, 0, 1, 0), atol=1e-6)


def test_layers_of_a_variable_are_bands_of_their_own(tmp_path) -> None:
    cube = xr.Dataset(
        {"s1": (("time", "band", "y", "x"), DRAWN[np.newaxis])},
        coords={**xr_coords(GRID, always_yx=True), "band": ["vv", "vh"], "time": [0]},
    )
    cube.s1.attrs.update(grid_mapping="spatial_ref", scale_factor=0.5, add_offset=2.0)
    cube.to_zarr(tmp_path / "s.zarr", zarr_format=3, consolidated=False)
    found = open_layers(tmp_path / "s.zarr", KIND)
    assert [layer.description for layer in found] == ["s1 vv", "s1 vh"]
    for layer, values in zip(found, DRAWN, strict=True):
        assert layer.is_scaled
        np.testing.assert_allclose(numbers(layer), values * 0.5 + 2, rtol=1e-6)


def test_a_damaged_chunk_is_one_line(tmp_path) -> None:
    scene().to_zarr(tmp_path / "s.zarr", zarr_format=2, consolidated=False)
    (_, layer) = open_layers(tmp_path / "s.zarr", KIND)
    next((tmp_path / "s.zarr" / "vv").glob("[0-9]*")).write_bytes(b"\x02\x01junk")
    with pytest.raises(InputError, match=r"s\.zarr: not a readable backscatter") as caught:
        numbers(layer)
    assert "\n" not in str(caught.value)


def superblock() -> bytes:
    """The beginning of an HDF5 file of version 2, whose addresses are plain offsets."""
    return b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00" + struct.pack("<QQQQ", 0, 2**64 - 1, 4096, 48)


def heap(content: bytes, signature: bytes) -> tuple[bytes, bytes]:
    """Add a heap; return the bytes and its address."""
    return content + signature + bytes(24), struct.pack("<Q", len(content))


def external_storage() -> bytes:
    content, address = heap(superblock() + bytes(80), b"HEAP\0\0\0\0")
    return content + b"\1\0\0\0" + struct.pack("<HH", 1, 1) + address + bytes(24)


def virtual() -> bytes:
    content, address = heap(superblock() + bytes(80), b"GCOL\1\0\0\0")
    return content + b"\4\3" + address + bytes(4)


def external_link() -> bytes:
    value = b"\0/somebody/else.h5\0/vv\0"
    return superblock() + bytes(80) + b"\1\x08\x40\2vv" + struct.pack("<H", len(value)) + value


HDF5 = {
    "nothing else": (lambda: superblock() + bytes(300), None),
    "an internal link": (lambda: superblock() + b"\1\0\2vv" + bytes(300), None),
    "external storage": (external_storage, "names other files"),
    "a virtual dataset": (virtual, "names other files"),
    "an external link": (external_link, "names other files"),
    "links that may be compressed": (
        lambda: superblock() + b"FRHP\0\7\0\4\0" + bytes(90), "in a form that isn't read",
    ),
    "addresses of 4 bytes": (
        lambda: superblock()[:9] + b"\4\4" + superblock()[11:] + bytes(99),
        "in a form that isn't read",
    ),
    "a version of tomorrow": (
        lambda: superblock()[:8] + b"\7" + superblock()[9:] + bytes(99),
        "in a form that isn't read",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HDF5)
def test_an_hdf5_file_that_names_others_is_refused_before_it_is_opened(tmp_path, name) -> None:
    make, message = HDF5[name]
    path = tmp_path / "x.nc"
    path.write_bytes(make())
    assert format_of(path) == "netcdf"
    if message is None:
        require_alone(path, "x.nc")
        return
    with pytest.raises(InputError, match=message):
        open_layers(path, KIND)


def test_a_file_with_names_of_any_letters_is_read(tmp_path) -> None:
    path = tmp_path / "we:i rd's {1} #.nc"
    scene().to_netcdf(path, engine="scipy")
    np.testing.assert_array_equal(numbers(open_layers(path, KIND)[1]), DRAWN[1])


def test_what_is_no_raster_has_no_format(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "folder").mkdir()
    for name in ("pipe.tif", "text.tif", "folder", "none.tif"):
        assert format_of(tmp_path / name) is None
