"""The same ground written in many ways comes back the same."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import reproject

from floodloom.errors import InputError
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.raster.placing import place_raster
from floodloom.raster.windows import Window

GRID = GeoBox((40, 60), Affine(20.0, 0, 500000.0, 0, -20.0, 5100000.0), "EPSG:32633")
KIND = Kind("elevation raster", low=-500, high=9000)
HOLE = (slice(5, 9), slice(30, 40))


def ground() -> np.ndarray:
    """(y, x) float32 with decimals that every coding below can hold, NaN in a hole."""
    y, x = np.mgrid[:40, :60]
    values = (100 + 3 * y + x / 2).astype("float32")
    values[HOLE] = np.nan
    return values


def write(path: Path, values: np.ndarray, grid: GeoBox = GRID, **facts) -> Path:
    """Write (y, x) or (band, y, x); `facts` are those of the file, and scales, offsets, mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = values if values.ndim == 3 else values[np.newaxis]
    own = {k: facts.pop(k) for k in ("scales", "offsets", "units", "tags", "mask") if k in facts}
    crs = facts.pop("crs", grid.crs and grid.crs.to_wkt())
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype=bands.dtype, crs=crs, transform=grid.affine, **facts,
    ) as raster:  # fmt: skip
        raster.write(bands)
        for name in ("scales", "offsets", "units"):
            if name in own:
                setattr(raster, name, own[name])
        raster.update_tags(**own.get("tags", {}))
        if "mask" in own:
            raster.write_mask(own["mask"])
    return path


def filled(fill: float, dtype: str = "float32") -> np.ndarray:
    return np.nan_to_num(ground(), nan=fill).astype(dtype)


KNOWN = np.isfinite(ground())
WRITTEN = {
    "not a number": (ground(), {}),
    "declared": (filled(-9999), {"nodata": -9999}),
    "declared, a possible elevation": (filled(777), {"nodata": 777}),
    "declared, as single precision": (filled(-3.4028235e38), {"nodata": -3.4028234663852886e38}),
    "undeclared -9999": (filled(-9999), {}),
    "undeclared -32768": (filled(-32768), {}),
    "undeclared 3.4e38": (filled(3.4028235e38), {}),
    "undeclared -99999, double": (filled(-99999, "float64"), {}),
    "infinite": (filled(np.inf), {}),
    "a mask": (filled(5), {"mask": KNOWN}),
    "alpha": (
        np.stack([filled(5) * 2, KNOWN * 65535]).astype("uint16"),
        {"photometric": "MINISBLACK", "ALPHA": "YES", "scales": (0.5, 1), "offsets": (0, 0)},
    ),
    "decimetres in integers": (
        np.nan_to_num(ground() * 10, nan=-32768).astype("int16"),
        {"scales": (0.1,), "nodata": -32768},
    ),
    "scale and offset": (
        np.nan_to_num((ground() - 50) * 2, nan=65535).astype("uint16"),
        {"scales": (0.5,), "offsets": (50.0,), "nodata": 65535},
    ),
    "scaled, its fill undeclared": (
        np.nan_to_num(ground() * 2, nan=-32768).astype("int32"),
        {"scales": (0.5,)},
    ),
    "pixels are points": (ground(), {"tags": {"AREA_OR_POINT": "Point"}}),
    "heights above a geoid": (ground(), {"crs": "EPSG:32633+3855"}),
    "three dimensions": (ground(), {"crs": "EPSG:32633+4979"}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_however_it_is_written(tmp_path, name: str) -> None:
    values, facts = WRITTEN[name]
    raster = open_foreign(write(tmp_path / "a.tif", values, **facts), KIND)
    np.testing.assert_allclose(raster.read(), ground(), atol=2e-5)
    np.testing.assert_allclose(place_raster(raster, GRID), ground(), atol=2e-5)
    part = raster.read(Window(4, 28, 7, 9))
    np.testing.assert_allclose(part, ground()[4:11, 28:37], atol=2e-5)


def turned() -> dict[str, tuple[np.ndarray, Affine]]:
    """The ground with its rows from the south, its columns from the east, and on its side."""
    a, rows, cols = GRID.affine, *GRID.shape.yx
    return {
        "south-up": (ground()[::-1], a @ Affine.translation(0, rows) @ Affine.scale(1, -1)),
        "mirrored": (ground()[:, ::-1], a @ Affine.translation(cols, 0) @ Affine.scale(-1, 1)),
        "on its side": (np.ascontiguousarray(ground().T), a @ Affine(0, 1, 0, 1, 0, 0)),
    }


@pytest.mark.parametrize("name", turned())
def test_whatever_way_it_lies(tmp_path, name: str) -> None:
    values, affine = turned()[name]
    grid = GeoBox(values.shape, affine, GRID.crs)
    raster = open_foreign(write(tmp_path / "a.tif", values, grid), KIND)
    np.testing.assert_allclose(place_raster(raster, GRID), ground(), atol=1e-5)


def test_values_that_are_impossible_are_counted_and_said(tmp_path, caplog) -> None:
    raster = open_foreign(write(tmp_path / "a.tif", filled(-9999)), KIND)
    place_raster(raster, GRID)
    assert "a.tif: 40 px can't be elevation raster, such as -9999; taken as unknown" in caplog.text


def test_degrees_that_are_not_square_are_brought_onto_metres(tmp_path) -> None:
    """A plane in longitude and latitude is known everywhere."""
    degrees = GeoBox((400, 300), Affine(2e-4, 0, 14.98, 0, -1e-4, 46.08), "EPSG:4326")
    cols, rows = np.meshgrid(np.arange(300) + 0.5, np.arange(400) + 0.5)
    longitude, latitude = degrees.affine @ (cols, rows)
    plane = 1000 * (longitude - 15) + 2000 * (latitude - 46)
    raster = open_foreign(write(tmp_path / "a.tif", plane.astype("float32"), degrees), KIND)
    target = GeoBox((50, 50), Affine(20.0, 0, 500000.0, 0, -20.0, 5101000.0), "EPSG:32633")
    found = place_raster(raster, target, resampling=Resampling.bilinear)
    expected = np.full((50, 50), np.nan, "float32")
    reproject(
        plane.astype("float32"), expected, src_transform=degrees.affine, src_crs="EPSG:4326",
        dst_transform=target.affine, dst_crs="EPSG:32633", src_nodata=np.nan, dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )  # fmt: skip
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("left", [179.9, -180.1])
@pytest.mark.parametrize(("epsg", "east"), [(32760, 814000.0), (32701, 176000.0)])
def test_across_the_antimeridian(tmp_path, left: float, epsg: int, east: float) -> None:
    degrees = GeoBox((300, 300), Affine(1e-3, 0, left, 0, -1e-3, -16.3), "EPSG:4326")
    raster = open_foreign(
        write(tmp_path / "a.tif", np.full((300, 300), 7, "float32"), degrees), KIND
    )
    target = GeoBox((40, 400), Affine(30.0, 0, east, 0, -30.0, 8180000.0), f"EPSG:{epsg}")
    assert (place_raster(raster, target) == 7).all()


def test_pieces_don_t_show(tmp_path, monkeypatch) -> None:
    draw = np.random.default_rng(0).normal(200, 30, (400, 300)).astype("float32")
    degrees = GeoBox((400, 300), Affine(2e-4, 0, 14.98, 0, -1e-4, 46.08), "EPSG:4326")
    raster = open_foreign(write(tmp_path / "a.tif", draw, degrees), KIND)
    whole = place_raster(raster, GRID, resampling=Resampling.bilinear)
    monkeypatch.setattr("floodloom.raster.placing._MOST_PX", 900)
    pieces = place_raster(raster, GRID, resampling=Resampling.bilinear)
    np.testing.assert_allclose(pieces, whole, atol=0.3)  # GDAL's places are .125 px sure


def test_a_folder_of_tiles_is_one_raster(tmp_path) -> None:
    for name, (rows, cols) in {
        "nw": (slice(0, 20), slice(0, 30)),
        "ne": (slice(0, 20), slice(28, 60)),
        "s": (slice(20, 40), slice(0, 60)),
    }.items():
        write(tmp_path / "tiles" / f"{name}.tif", ground()[rows, cols], GRID[rows, cols])
    (tmp_path / "tiles" / "readme.txt").write_text("not a raster")
    raster = open_foreign(tmp_path / "tiles", KIND)
    assert raster.geobox == GRID
    np.testing.assert_array_equal(raster.read(), ground())
    np.testing.assert_array_equal(raster.read(Window(15, 20, 10, 25)), ground()[15:25, 20:45])


def test_tiles_with_other_pixels_are_brought_onto_the_first(tmp_path) -> None:
    flat = np.full((20, 60), 50, "float32")
    write(tmp_path / "tiles" / "a.tif", flat, GRID[:20])
    wide = GeoBox((20, 30), Affine(40.0, 0, 500000.0, 0, -20.0, 5099600.0), "EPSG:32633")
    write(tmp_path / "tiles" / "b.tif", np.full((20, 30), 50, "float32"), wide)
    raster = open_foreign(tmp_path / "tiles", KIND)
    assert raster.geobox == GRID
    assert (raster.read() == 50).all()


def refused(tmp_path) -> dict[str, tuple[Path, str]]:
    """Files whose place or meaning can't be told."""
    flat = np.full((4, 6), 5, "float32")
    nowhere = GeoBox((4, 6), Affine.identity(), None)
    points = [
        GroundControlPoint(row, col, 15 + col / 100, 46 - row / 100)
        for row, col in ((0, 0), (0, 6), (4, 0), (4, 6))
    ]
    with rasterio.open(
        tmp_path / "gcps.tif", "w", driver="GTiff", count=1, height=4, width=6, dtype="float32",
        gcps=points, crs="EPSG:4326",
    ) as raster:  # fmt: skip
        raster.write(flat, 1)
    picture = np.zeros((3, 4, 6), "uint8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tif").write_text("not a raster")
    return {
        "points": (tmp_path / "gcps.tif", "ground control points only"),
        "identity": (
            write(tmp_path / "i.tif", flat, nowhere, crs="EPSG:4326"),
            "has a CRS but no place in it",
        ),
        "picture": (
            write(tmp_path / "p.tif", picture, photometric="RGB"),
            "a picture of 3 bands",
        ),
        "complex": (write(tmp_path / "c.tif", flat.astype("complex64")), "complex numbers"),
        "folder": (tmp_path / "empty", r"no elevation raster \(.tif\) inside"),
        "text": (tmp_path / "text.tif", "not a readable elevation raster"),
        "missing": (tmp_path / "none.tif", "not a readable elevation raster"),
    }


@pytest.mark.parametrize(
    "name", ["points", "identity", "picture", "complex", "folder", "text", "missing"]
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_can_t_be_told_is_refused(tmp_path, name: str) -> None:
    path, message = refused(tmp_path)[name]
    with pytest.raises(InputError, match=message) as error:
        open_foreign(path, KIND)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_palette_is_no_picture(tmp_path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=4, width=6, dtype="uint8",
        crs="EPSG:32633", transform=GRID.affine, photometric="PALETTE",
    ) as raster:  # fmt: skip
        raster.write(np.full((4, 6), 3, "uint8"), 1)
        raster.write_colormap(1, {3: (0, 0, 0, 0)})
    with rasterio.open(path) as raster:
        assert raster.colorinterp[0] == ColorInterp.palette
    assert (open_foreign(path, KIND).read() == 3).all()


def test_the_real_copernicus_tile_lies_where_its_points_are(shared_data) -> None:
    """Pixel-is-point: the first pixel's centre is on the whole degree."""
    folder = shared_data / "conventions" / "copernicus_dem"
    raster = open_foreign(next(folder.glob("*.tif")), KIND)
    assert raster.tags["AREA_OR_POINT"] == "Point"
    assert raster.geobox.affine @ (0.5, 0.5) == pytest.approx((6.0, 1.0), abs=1e-9)
