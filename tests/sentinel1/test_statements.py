"""Backscatter of others, however it is written and whatever states what it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Transformer
from rasterio.shutil import copy
from scipy.ndimage import map_coordinates

from floodloom.errors import InputError
from floodloom.raster.recipe import Flag
from floodloom.raster.store import open_store, recipe_of
from floodloom.sentinel1.backscatter import POINTS, read_backscatter
from floodloom.sentinel1.settings import BackscatterSettings, GeocodeSettings
from floodloom.stages.geocode import geocode

GRID = GeoBox((120, 150), Affine(10.0, 0, 500000.0, 0, -10.0, 5100000.0), "EPSG:32633")
HOLE = (slice(0, 20), slice(0, 30))
GRD = "S1A_IW_GRDH_1SDV_20180716T004042_20180716T004107_022812_02792A_FD5B"
SIGMA0 = {"scale": "db", "quantity": "sigma0"}


def power(seed: int = 0, mean: float = 0.09) -> np.ndarray:
    """(y, x) float32 linear power, NaN in a hole."""
    drawn = np.random.default_rng(seed).gamma(4.4, mean / 4.4, tuple(GRID.shape.yx))
    drawn[HOLE] = np.nan
    return drawn.astype("float32")


POWERS = {"vv": power(), "vh": power(1, 0.02)}


def decibel(values: np.ndarray) -> np.ndarray:
    return 10 * np.log10(values)


def write(path: Path, bands: np.ndarray, grid: GeoBox = GRID, **facts: Any) -> Path:
    """Write (band, y, x); `facts` are those of the file, and descriptions, units, scales, tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("descriptions", "units", "scales", "offsets")
    own = {name: facts.pop(name) for name in names if name in facts}
    tags = facts.pop("tags", {})
    place = {"crs": grid.crs and grid.crs.to_wkt(), "transform": grid.affine}
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype=bands.dtype, **{**place, **facts},
    ) as raster:  # fmt: skip
        raster.write(bands)
        for name, value in own.items():
            setattr(raster, name, value)
        raster.update_tags(**tags)
    return path


def both(code: Callable[[np.ndarray], np.ndarray] = np.asarray) -> np.ndarray:
    return np.stack([code(POWERS[name]) for name in ("vv", "vh")])


def filled(fill: float, dtype: str, times: float = 1.0) -> Callable[[np.ndarray], np.ndarray]:
    """Decibel, times a number, rounded to the type."""

    def code(values: np.ndarray) -> np.ndarray:
        numbers = np.nan_to_num(decibel(values) * times, nan=fill)
        return (np.round(numbers) if dtype.startswith("int") else numbers).astype(dtype)

    return code


NAMED = {"descriptions": ("Sigma0_VV_db", "Sigma0_VH_db")}
"""How SNAP calls its bands."""
NUMBERED = {"bands": {"vv": 1, "vh": 2}}
WAYS: dict[str, tuple[np.ndarray, dict[str, Any], dict[str, Any]]] = {
    "names state all": (both(decibel), NAMED, {}),
    "power, stated": (both(), {}, {"scale": "power", "quantity": "sigma0", **NUMBERED}),
    "amplitude, stated": (
        both(np.sqrt), {}, {"scale": "amplitude", "quantity": "sigma0", **NUMBERED},
    ),
    "units state decibel": (
        both(decibel), {"units": ("dB", "dB")}, {"quantity": "sigma0", **NUMBERED},
    ),
    "negative numbers state decibel": (both(decibel), {}, {"quantity": "sigma0", **NUMBERED}),
    "bands by description": (
        both(decibel), {"descriptions": ("a", "b")}, {**SIGMA0, "bands": {"vv": "a", "vh": "B"}},
    ),
    "exact 0 dB is no data": (both(filled(0, "float32")), NAMED, {"nodata": (0,)}),
    "exact 0 dB is no data, as declared": (both(filled(0, "float32")), {**NAMED, "nodata": 0}, {}),
    "-9999 that nobody declares": (both(filled(-9999, "float64")), NAMED, {}),
    "-30 that is stated to be no data": (
        both(filled(-30, "float32")), NAMED, {"nodata": (-30, float("nan"))},
    ),
    "hundredths of a decibel in int16": (
        both(filled(-9999, "int16", 100)), NAMED, {"scale_factor": 0.01},
    ),
    "hundredths of a decibel in float64": (
        both(filled(-9999, "float64", 100)), NAMED, {"scale_factor": 0.01, "nodata": (-9999,)},
    ),
    "int32 of 1e-4 dB with fill 0": (
        both(filled(0, "int32", 1e4)), NAMED, {"scale_factor": 1e-4, "nodata": (0,)},
    ),
    "scale and offset of the bands": (
        both(lambda p: np.nan_to_num((decibel(p) + 50) / 0.001, nan=65535).astype("uint16")),
        {**NAMED, "scales": (0.001, 0.001), "offsets": (-50, -50), "nodata": 65535},
        {},
    ),
    "8 bits with a scale": (
        both(lambda p: np.nan_to_num((decibel(p) + 40) / 0.2, nan=255).astype("uint8")),
        {**NAMED, "scales": (0.2, 0.2), "offsets": (-40, -40), "nodata": 255},
        {},
    ),
    "amplitude of JAXA": (
        both(lambda p: np.nan_to_num(np.sqrt(p) * 10 ** (83 / 20)).astype("uint16")),
        {"descriptions": ("VV", "VH"), "nodata": 0},
        {"scale": "amplitude", "scale_factor": 10 ** (-83 / 20), "quantity": "sigma0"},
    ),
    "pixels are points": (both(decibel), {**NAMED, "tags": {"AREA_OR_POINT": "Point"}}, {}),
    "cloud-optimised": (both(decibel), {**NAMED, "driver": "COG"}, {}),
}  # fmt: skip
COARSE = {
    "int32 of 1e-4 dB with fill 0": 1.5e-5,
    "hundredths of a decibel in int16": 0.002,
    "scale and offset of the bands": 0.0003,
    "8 bits with a scale": 0.05,
    "amplitude of JAXA": 0.02,
}
"""Relative steps of what is stored in whole numbers."""


@pytest.mark.parametrize("name", WAYS)
def test_however_it_is_written_it_is_the_same_scene(tmp_path, name: str) -> None:
    bands, facts, stated = WAYS[name]
    path = tmp_path / "scene.tif"
    if facts.get("driver") == "COG":
        facts = {key: value for key, value in facts.items() if key != "driver"}
        copy(write(tmp_path / "plain.tif", bands, **facts), path, driver="COG")
    else:
        write(path, bands, **facts)
    scene = read_backscatter(path, BackscatterSettings(**stated))
    assert set(scene.data_vars) == {"vv", "vh", "flags"}
    assert scene.odc.geobox == GRID
    for band, expected in POWERS.items():
        rounded = COARSE.get(name, 1e-5)
        np.testing.assert_allclose(scene[band].values, expected, rtol=rounded)
    nodata = (scene.flags.values & Flag.NODATA.value) > 0
    np.testing.assert_array_equal(nodata, np.isnan(power()))
    recipe = recipe_of(scene)
    assert (recipe.quantity, recipe.flattened, recipe.noise_removed) == ("sigma0", False, True)
    assert recipe.spacing == 10.0


PLACES = {
    "degrees": GeoBox((120, 150), Affine(9e-5, 0, 15.0, 0, -9e-5, 46.0), "EPSG:4326"),
    "degrees that aren't square": GeoBox(
        (120, 150), Affine(1.3e-4, 0, 15.0, 0, -9e-5, 46.0), "EPSG:4326"
    ),
    "of 0 to 360 degrees": GeoBox((120, 150), Affine(9e-5, 0, 345.0, 0, -9e-5, 46.0), "EPSG:4326"),
    "from the south": GeoBox((120, 150), Affine(10.0, 0, 5e5, 0, 10.0, 51e5), "EPSG:32633"),
    "mirrored": GeoBox((120, 150), Affine(-10.0, 0, 5e5, 0, -10.0, 51e5), "EPSG:32633"),
    "turned": GeoBox((120, 150), Affine(8.0, 6.0, 5e5, 6.0, -8.0, 51e5), "EPSG:32633"),
    "on its side": GeoBox((120, 150), Affine(0.0, 10.0, 5e5, 10.0, 0.0, 51e5), "EPSG:32633"),
    "between whole metres": GeoBox(
        (120, 150), Affine(10.0, 0, 790236.0403820039, 0, -10.0, 7198039.252334285), "EPSG:32722"
    ),
    "of Lambert": GeoBox((120, 150), Affine(10.0, 0, 44e5, 0, -10.0, 29e5), "EPSG:3035"),
}


@pytest.mark.parametrize("name", PLACES)
def test_wherever_it_lies_it_comes_onto_the_map(tmp_path, name: str) -> None:
    """The grid is that of the file; on the map, level and area stay."""
    grid = PLACES[name]
    flat = np.full(grid.shape.yx, 0.05, "float32")
    path = write(tmp_path / "s.tif", np.stack([flat, flat / 4]), grid, descriptions=("VV", "VH"))
    stated = BackscatterSettings(scale="power", quantity="gamma0")
    scene = read_backscatter(path, stated)
    assert scene.vv.dims == ("y", "x")
    corners = np.array([(0, 0), (0, 120), (150, 0), (150, 120)])
    moved = [~grid.affine @ (scene.odc.geobox.affine @ tuple(corner)) for corner in corners]
    if grid.crs.geographic:  # a whole turn around the Earth is the same place
        turn = 360 / grid.affine.a
        moved = np.subtract(moved, [turn * round(moved[0][0] / turn), 0])
    np.testing.assert_allclose(moved, corners, atol=1e-6)
    out = geocode(
        scene=path, out=tmp_path / "g.zarr", backscatter=stated, settings=GeocodeSettings()
    )
    store = open_store(out).load()
    known = np.isfinite(store.vv.values)
    np.testing.assert_allclose(store.vv.values[known], 0.05, rtol=1e-6)
    north = np.cos(np.radians(46.0)) if grid.crs.geographic else 1.0
    metre = 111_320.0 if grid.crs.geographic else 1.0
    ground = abs(grid.affine.determinant) * metre**2 * north * flat.size
    assert known.sum() * 100.0 == pytest.approx(ground, rel=0.03)


def test_one_file_per_polarisation_or_one_of_several_bands(tmp_path) -> None:
    one = {"descriptions": ("VV", "VH")}
    write(tmp_path / "one" / "scene.tif", both(decibel), **one)
    for name, values in POWERS.items():
        write(tmp_path / "two" / f"x_{name}.tif", decibel(values)[np.newaxis])
        write(tmp_path / "jp2" / f"T33_{name.upper()}.jp2", decibel(values)[np.newaxis])
        write(tmp_path / "named" / f"first_{name}.tif", decibel(values)[np.newaxis])
        write(tmp_path / "named" / f"second_{name}.tif", decibel(values)[np.newaxis] - 1)
        write(tmp_path / "level" / "measurement" / f"iw-{name}.tiff", decibel(values)[np.newaxis])
    sigma0 = BackscatterSettings(quantity="sigma0")
    chosen = {"vv": "first_vv.tif", "vh": "first_vh.tif"}
    for path, stated in (
        (tmp_path / "one", sigma0),
        (tmp_path / "one" / "scene.tif", sigma0),
        (tmp_path / "two", sigma0),
        (tmp_path / "two" / "x_vh.tif", sigma0),
        (tmp_path / "jp2", sigma0),
        (tmp_path / "level", sigma0),
        (tmp_path / "named" / "first_vh.tif", sigma0),
        (tmp_path / "named", BackscatterSettings(quantity="sigma0", bands=chosen)),
    ):
        scene = read_backscatter(path, stated)
        for name, values in POWERS.items():
            np.testing.assert_allclose(scene[name].values, values, rtol=1e-5)
    single = BackscatterSettings(quantity="sigma0", bands={"hh": 1})
    alone = read_backscatter(tmp_path / "two" / "x_vh.tif", single)
    assert set(alone.data_vars) == {"hh", "flags"}
    with pytest.raises(InputError, match="2 products inside"):
        read_backscatter(tmp_path / "named", sigma0)


def netcdf(folder: Path, engine: str) -> Path:
    if engine == "scipy":
        stacked(folder).to_netcdf(folder / "s.nc", engine="scipy")
    else:
        copy(write(folder / "s.tif", both(decibel)), folder / "s.nc", driver="netCDF", FORMAT="NC4")
    return folder / "s.nc"


def stacked(folder: Path) -> xr.Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    coords = xr_coords(GRID, always_yx=True)
    bands = {f"Sigma0_{name.upper()}_db": v for name, v in POWERS.items()}
    made = xr.Dataset({n: (("y", "x"), decibel(v)) for n, v in bands.items()}, coords=coords)
    for variable in made.data_vars.values():
        variable.attrs["grid_mapping"] = "spatial_ref"
    return made


def zarr(folder: Path) -> Path:
    stacked(folder).chunk(y=50, x=60).to_zarr(folder / "s.zarr", consolidated=False)
    return folder / "s.zarr"


def vrt(folder: Path) -> Path:
    """A stack of two files, of which each is a mosaic of two parts."""
    bands = ""
    for name, values in POWERS.items():
        bands += '<VRTRasterBand dataType="Float32" band="1">'
        bands += f"<Description>Sigma0_{name}_db</Description>"
        for left, right in ((0, 70), (70, 150)):
            part = decibel(values)[np.newaxis, :, left:right]
            file = write(folder / f"{name}{left}.tif", part, GRID[:, left:right])
            size = f'xSize="{right - left}" ySize="120"'
            bands += (
                f'<SimpleSource><SourceFilename relativeToVRT="1">{file.name}</SourceFilename>'
                f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="{left}" yOff="0" {size}/>'
                "</SimpleSource>"
            )
        bands += "</VRTRasterBand>"
    (folder / "s.vrt").write_text(
        '<VRTDataset rasterXSize="150" rasterYSize="120"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>500000,10,0,5100000,0,-10</GeoTransform>{bands}</VRTDataset>"
    )
    return folder / "s.vrt"


FORMATS: dict[str, Callable[[Path], Path]] = {
    "NetCDF-3": lambda folder: netcdf(folder, "scipy"),
    "NetCDF-4": lambda folder: netcdf(folder, "GDAL"),
    "Zarr": zarr,
    "VRT": vrt,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_the_same_scene_also_in_another_process(tmp_path, name: str) -> None:
    numbered = {"bands": {"vv": 1, "vh": 2}, "quantity": "sigma0"} if name == "NetCDF-4" else {}
    scene = read_backscatter(FORMATS[name](tmp_path / "in"), BackscatterSettings(**numbered))
    elsewhere = cloudpickle.loads(cloudpickle.dumps(scene))
    for band, expected in POWERS.items():
        np.testing.assert_allclose(elsewhere[band].values, expected, rtol=1e-5)
    moved = ~GRID.affine @ scene.odc.geobox.affine
    np.testing.assert_allclose(moved[:6], (1, 0, 0, 0, 1, 0), atol=1e-6)
    assert recipe_of(scene).quantity == "sigma0"


def test_one_line_reports_what_was_assumed_and_why(tmp_path, caplog) -> None:
    path = write(tmp_path / "S1B_x_20200708T182643.tif", both(decibel), nodata=-99, **NAMED)
    with caplog.at_level(logging.INFO):
        scene = read_backscatter(path, BackscatterSettings(flattened=True, nodata=(0,)))
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(f"{path}: ")
    for part in (
        "vv is band 1 of S1B_x_20200708T182643.tif ('Sigma0_VV_db')",
        "vh is band 2",
        "(descriptions)",
        "scale db ('Sigma0_VV_db')",
        "quantity sigma0 ('Sigma0_VV_db')",
        "no data -99 (file)",
        "no data 0 (stated)",
        "flattened (stated)",
        "noise removed (assumed)",
    ):
        assert part in line, part
    assert line.isprintable()
    assert line.partition(": ")[2].partition(": ")[2] in scene.attrs["history"]
    assert scene.attrs["platform"] == "S1B"
    assert scene.attrs["acquisition_time"] == "2020-07-08T18:26:43.000000000"


def test_bands_the_other_way_round_are_warned_of(tmp_path, caplog) -> None:
    path = write(tmp_path / "a.tif", both(decibel))
    read_backscatter(path, BackscatterSettings(**SIGMA0, bands={"vv": 2, "vh": 1}))
    brighter = np.diff([np.nanmedian(decibel(POWERS[name])) for name in ("vh", "vv")])[0]
    assert f"vh is {brighter:.1f} dB brighter than vv; are the bands the other" in caplog.text
    caplog.clear()
    read_backscatter(path, BackscatterSettings(**SIGMA0, bands={"vv": 1, "vh": 2}))
    assert "other way round" not in caplog.text


def test_what_is_stated_counts_before_names(tmp_path) -> None:
    name = "S1A__IW___A_20150309T173017_VV_gamma0-rtc_db.tif"
    path = write(tmp_path / name, decibel(POWERS["vv"])[np.newaxis])
    assert recipe_of(read_backscatter(path)).quantity == "gamma0"
    stated = BackscatterSettings(quantity="sigma0", flattened=False)
    recipe = recipe_of(read_backscatter(path, stated))
    assert (recipe.quantity, recipe.flattened) == ("sigma0", False)


REAL: dict[str, dict[str, Any]] = {
    "c2s_stac_overflow/features/awc00": {"quantity": "sigma0"},
    "c2s_stac_overflow/features/ayt12": {"quantity": "sigma0"},
    "c2s_stac_overflow/features/jja10": {"quantity": "sigma0"},
    "c2s_stac_overflow/features/pxs10": {"quantity": "sigma0"},
    "c2s_stac_overflow/features/qxb32": {"quantity": "sigma0"},
    "c2s_unlabelled/awc01": {"quantity": "sigma0"},
    "c2s_unlabelled/slovakia": {"quantity": "sigma0"},
    "terramesh/S1RTC/282D_485L_3_3": {"quantity": "gamma0", "flattened": True, **NUMBERED},
    "terramesh/S1RTC/38D_378R_2_3": {"quantity": "gamma0", "flattened": True, **NUMBERED},
    "terramesh/S1RTC/433D_629L_3_1": {"quantity": "gamma0", "flattened": True, **NUMBERED},
    "terramesh/S1RTC/609U_541L_3_0": {"quantity": "gamma0", "flattened": True, **NUMBERED},
    "terramesh/S1RTC/637U_59R_1_3": {"quantity": "gamma0", "flattened": True, **NUMBERED},
    "sentinel1_safe/S1A__IW___A_20150309T173017_VV_grd_mli_geo_norm_db": {},
    "conventions/hyp3/S1A_IW_20150621T120220_SVP_RTC10_G_saufem_F8E2_VV": {},
}
"""Real files, without what differs between the polarisations, and what has to be stated of them."""


def raw(shared_data: Path, name: str) -> dict[str, tuple[np.ndarray, Affine]]:
    """What a real file holds, read by GDAL alone: numbers with NaN = no data, by polarisation."""
    files = {band: shared_data / f"{name}_{band}.tif" for band in ("vv", "vh")}
    found = {band: (file, 1) for band, file in files.items() if file.exists()}
    whole = shared_data / f"{name}.tif"
    if not found:
        with rasterio.open(whole) as raster:
            found = {band: (whole, n) for band, n in (("vv", 1), ("vh", 2)) if n <= raster.count}
    numbers = {}
    for band, (file, number) in found.items():
        with rasterio.open(file) as raster:
            values = raster.read(number, masked=True).astype("f8").filled(np.nan)
            numbers[band] = values, raster.transform
    return numbers


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_to_the_pixel(shared_data, name: str) -> None:
    expected = raw(shared_data, name)
    first = next(iter(sorted((shared_data / name).parent.glob(f"{(shared_data / name).name}*"))))
    scene = read_backscatter(first, BackscatterSettings(**REAL[name]))
    assert {*scene.data_vars} - {"flags", "local_incidence_angle"} == set(expected)
    for band, (numbers, transform) in expected.items():
        found = scene[band].values
        np.testing.assert_array_equal(np.isnan(found), np.isnan(numbers))
        np.testing.assert_allclose(found, 10 ** (numbers / 10), rtol=1e-5)
        moved = ~transform @ scene.odc.geobox.affine
        np.testing.assert_allclose(moved[:6], Affine.identity()[:6], atol=1e-9)
        corner = moved @ (scene.sizes["x"], scene.sizes["y"])
        np.testing.assert_allclose(corner, (scene.sizes["x"], scene.sizes["y"]), atol=1e-6)


def test_zeros_at_the_edge_of_a_real_chip_are_no_data_without_their_tag(
    tmp_path, shared_data
) -> None:
    expected = raw(shared_data, "c2s_stac_overflow/features/awc00")
    for band, (numbers, transform) in expected.items():
        grid = GeoBox(numbers.shape, transform, "EPSG:32720")
        write(tmp_path / f"a_{band}.tif", np.nan_to_num(numbers).astype("f4")[np.newaxis], grid)
    scene = read_backscatter(tmp_path, BackscatterSettings(quantity="sigma0"))
    known = np.isfinite(expected["vv"][0])
    assert (np.isfinite(scene.vv.values) != known).mean() < 1e-4
    stated = BackscatterSettings(quantity="sigma0", nodata=(0,))
    scene = read_backscatter(tmp_path, stated)
    np.testing.assert_array_equal(np.isfinite(scene.vv.values), known)


def test_a_real_scene_is_placed_by_its_control_points(tmp_path, shared_data) -> None:
    """The points lie where they are stated to, and numbers between them."""
    folder = shared_data / "conventions" / "grd_decimated" / GRD
    stated = BackscatterSettings(scale="dn")
    scene = read_backscatter(folder, stated)
    points = scene.attrs[POINTS]
    rows, cols = points.places(np.array(points.x), np.array(points.y))
    np.testing.assert_allclose(rows, points.rows, atol=1e-6)
    np.testing.assert_allclose(cols, points.cols, atol=1e-6)
    with rasterio.open(folder / "measurement" / "iw-vv.tiff") as raster:
        numbers = raster.read(1)
        assert [point.x for point in raster.gcps[0]] == list(points.x)
    empty = scene.flags.values & Flag.NODATA.value > 0
    np.testing.assert_allclose(
        scene.vv.values[~empty], numbers[~empty].astype("f4") ** 2, rtol=1e-5
    )
    assert not numbers[empty].any()

    out = geocode(
        scene=folder, out=tmp_path / "g.zarr", backscatter=stated,
        settings=GeocodeSettings(resolution=200.0),
    )  # fmt: skip
    store = open_store(out).load()
    assert recipe_of(store).quantity == "dn"
    assert store.attrs["relative_orbit"] == 165
    shape = tuple(store.odc.geobox.shape.yx)
    row, col = (np.linspace(0.3, 0.7, 9) * n // 1 for n in shape)
    x, y = store.odc.geobox.affine @ (col + 0.5, row + 0.5)
    degrees = Transformer.from_crs(store.odc.geobox.crs.to_wkt(), 4326, always_xy=True)
    at = points.places(*map(np.asarray, degrees.transform(x, y)))
    expected = map_coordinates(numbers.astype("f8") ** 2, np.stack(at) - 0.5, order=1)
    found = store.vv.values[row.astype(int), col.astype(int)]
    np.testing.assert_allclose(found, expected, rtol=0.01)


@pytest.mark.parametrize(
    ("name", "stated", "found"),
    [
        ("valley_2023-05-14.tif", None, "2023-05-14"),
        ("S1_20230514T165821.tif", None, "2023-05-14T16:58:21"),
        ("valley_2023-05-14.tif", "2023-05-15T04:00:00", "2023-05-15T04:00:00"),
        ("valley.tif", None, ""),
    ],
)
def test_when_it_was_taken_is_stated_or_in_its_name(tmp_path, name, stated, found) -> None:
    file = write(tmp_path / name, np.stack(list(POWERS.values())), descriptions=("vv", "vh"))
    known = BackscatterSettings(scale="power", quantity="gamma0")
    out = geocode(scene=file, out=tmp_path / "g.zarr", backscatter=known, acquired=stated)
    assert open_store(out).attrs.get("acquisition_time", "")[:19] == found


def test_a_date_that_is_none_is_one_line(tmp_path) -> None:
    with pytest.raises(InputError, match=r"acquired 'soon': not a date"):
        geocode(scene=tmp_path / "a.tif", out=tmp_path / "g.zarr", acquired="soon")


def test_all_that_is_not_known_is_asked_for_at_once(tmp_path) -> None:
    file = write(tmp_path / "x.tif", np.stack(list(POWERS.values())))
    said = "state `bands`, such as --bands.vv 1 --bands.vh 2, and `quantity`, such as --quantity"
    with pytest.raises(InputError, match=said):
        read_backscatter(file)
    known = BackscatterSettings(bands={"vv": 1, "vh": 2})
    with pytest.raises(InputError, match="state `scale`, such as --scale power, and `quantity`"):
        read_backscatter(file, known)
