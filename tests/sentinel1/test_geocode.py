"""Geocoding against exact solves, analytic masks and the simulator's truth."""

import logging

import dask
import numpy as np
import pytest
import rasterio
from pydantic import ValidationError
from pyproj import Transformer
from scipy.ndimage import maximum_filter

from floodloom.errors import InputError
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Flag
from floodloom.raster.store import open_store, recipe_of, write_store
from floodloom.raster.windows import Window
from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.elevation import ConstantHeight, open_elevation
from floodloom.sentinel1.geocode import Geocoding
from floodloom.sentinel1.geometry import image_geometry
from floodloom.sentinel1.locate import build_lattice, locate_block
from floodloom.sentinel1.product import open_product
from floodloom.sentinel1.settings import CalibrateSettings, GeocodeSettings
from floodloom.sentinel1.terrain import view_terrain
from floodloom.simulate.render import earth_fixed
from floodloom.stages.calibrate import calibrate
from floodloom.stages.geocode import geocode

from .conftest import grid, ridges


def test_slopes_of_the_test_mountains_reach_45_degrees(mountains) -> None:
    down, right = np.gradient(mountains.event.elevation, 10.0)
    assert 44 < np.degrees(np.arctan(np.hypot(down, right).max())) < 60


def test_lattice_agrees_with_exact_solves_on_steep_terrain(mountains) -> None:
    event = mountains.event
    geometry, elevation = event.acquisition.geometry, event.elevation.astype(np.float32)
    line, pixel, _ = geometry.locate(earth_fixed(event.geobox, elevation))
    heights = float(elevation.min()), float(elevation.max())
    window = Window(0, 0, *elevation.shape)
    lattice = build_lattice(event.geobox, window, geometry, heights, 64)
    near_line, near_pixel = locate_block(lattice, window, elevation)
    assert np.abs(near_line - line).max() < 0.01
    assert np.abs(near_pixel - pixel).max() < 0.01


@pytest.mark.parametrize("heights", [(0.0, 800.0), (-400.0, 8800.0)])
def test_lattice_on_a_real_product(shared_data, heights) -> None:
    """All heights of the Himalaya within one block of a real scene, far under 0.05 px."""
    path = next((shared_data / "sentinel1_safe").glob("*20200708*.zip"))
    annotation = parse_annotation(open_product(path).xml("annotation", "vv"), path.name)
    geometry = image_geometry(annotation)
    west, south, east, north = annotation.grid.footprint
    x, y = Transformer.from_crs(4326, 32630, always_xy=True).transform(
        (west + east) / 2, (south + north) / 2
    )
    box = grid_from_bounds((x, y, x + 20e3, y + 20e3), 32630, 10.0)
    window = Window(777, 333, 256, 256)
    elevation = np.random.default_rng(0).uniform(*heights, (256, 256)).astype(np.float32)
    line, pixel, _ = geometry.locate(earth_fixed(box[777:1033, 333:589], elevation))
    lattice = build_lattice(box, window, geometry, heights, 64)
    near_line, near_pixel = locate_block(lattice, window, elevation)
    assert np.abs(near_line - line).max() < 0.01
    assert np.abs(near_pixel - pixel).max() < 0.01


def test_point_targets_on_mountains(mountains, tmp_path) -> None:
    """Bright points come back within half a pixel of where they stand."""
    event = mountains.event
    elevation = event.elevation
    view, geometry = event.view, event.acquisition.geometry
    plan = Geocoding(event.geobox, geometry, open_elevation(mountains.dem, "ellipsoid", 10.0), 10.0)
    window = Window(0, 0, *elevation.shape)
    lattice = build_lattice(event.geobox, window, geometry, plan.heights, plan.step)
    padded = np.pad(elevation.astype(np.float32), 1, mode="edge")
    doubtful = view_terrain(lattice, window, padded, 1).flags > 0
    doubtful = maximum_filter(doubtful, 9)
    inside = (view.line > 20) & (view.line < geometry.lines - 20)
    inside &= (view.pixel > 20) & (view.pixel < geometry.samples - 20)
    places = np.argwhere(inside & ~doubtful)
    chosen: list[np.ndarray] = []
    for place in np.random.default_rng(0).permutation(places):
        if all(np.abs(place - other).max() > 25 for other in chosen):
            chosen.append(place)
    assert len(chosen) > 15
    assert np.ptp([elevation[tuple(p)] for p in chosen]) > 200
    surface = np.full(elevation.shape, 1e-5)
    for place in chosen:
        surface[tuple(place)] = 100.0
    mountains.write(tmp_path / "points.SAFE", surface)
    calibrate(
        safe=tmp_path / "points.SAFE",
        out=tmp_path / "c.zarr",
        settings=CalibrateSettings(remove_noise=False),
    )
    geocode(scene=tmp_path / "c.zarr", dem=mountains.dem, out=tmp_path / "g.zarr")
    power = np.nan_to_num(open_store(tmp_path / "g.zarr").vv.values)
    assert power.shape == elevation.shape
    offsets = np.arange(-4, 5)
    for row, col in chosen:
        around = power[row - 4 : row + 5, col - 4 : col + 5]
        weights = np.clip(around - 0.02 * around.max(), 0, None)
        centre = np.array([weights.sum(1) @ offsets, weights.sum(0) @ offsets]) / weights.sum()
        assert np.abs(centre).max() < 0.5, (row, col, centre)


@pytest.fixture(scope="module")
def chunked(mountains, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chunks")
    draw = np.random.default_rng(0)
    surface = 10 ** draw.uniform(-2, 0, mountains.event.elevation.shape)
    return mountains.write(folder / "random.SAFE", surface), folder


@pytest.fixture
def blocks(monkeypatch):
    """Sets the lines of a strip and the greatest side of a block."""

    def of(side: int) -> None:
        monkeypatch.setattr("floodloom.sentinel1.radar_scene._STRIP", side)
        monkeypatch.setattr("floodloom.sentinel1.geocode._LARGEST", side)

    return of


@pytest.mark.parametrize("flatten", [False, True])
def test_blocks_and_workers_change_no_bit(mountains, chunked, blocks, tmp_path, flatten) -> None:
    safe, _ = chunked
    made = []
    for side, workers in ((2048, 1), (256, 2), (100, 2), (1000, 2), (97, 1)):
        blocks(side)
        with dask.config.set(scheduler="threads", num_workers=workers):
            scene = calibrate(
                safe=safe,
                out=tmp_path / "c.zarr",
                settings=CalibrateSettings(quantity="beta0"),
            )
            calibrated = open_store(scene).load()
            out = geocode(
                scene=scene,
                dem=mountains.dem,
                out=tmp_path / "g.zarr",
                settings=GeocodeSettings(flatten=flatten),
            )
            made.append((calibrated, open_store(out).load()))
    assert (made[0][1].flags & Flag.LAYOVER.value).any()
    for calibrated, geocoded in made[1:]:
        assert calibrated.identical(made[0][0])
        assert geocoded.identical(made[0][1])


def plateau(side: int, height: float) -> np.ndarray:
    """A flat-topped block with walls that climb within one pixel."""
    elevation = np.zeros((side, side))
    elevation[side // 3 : -side // 3, side // 3 : -side // 3] = height
    return elevation


def test_layover_and_shadow_of_a_block_are_as_long_as_geometry_says(place_of) -> None:
    height = 200.0
    place = place_of(plateau(240, height), 190)
    event = place.event
    plan = Geocoding(
        event.geobox,
        event.acquisition.geometry,
        open_elevation(place.dem, "ellipsoid", 10.0),
        10.0,
    )
    margin = plan.reach + 2
    window = Window(0, 0, 240, 240)
    around = Window(-margin, -margin, 240 + 2 * margin, 240 + 2 * margin)
    lattice = build_lattice(event.geobox, around, plan.geometry, plan.heights, plan.step)
    elevation = np.pad(event.elevation.astype(np.float32), margin)
    view = view_terrain(lattice, window, elevation, margin)
    sight = lattice.sight.mean(axis=(0, 1))[:3]
    # the radar looks from the west, a little from the south: along the middle row
    assert sight[0] < -0.5
    tangent = np.tan(np.radians(view.incidence_angle[120, 120]))
    along = -sight[0] / np.hypot(sight[0], sight[1])
    layover = (view.flags[120] & Flag.LAYOVER.value) > 0
    shadow = (view.flags[120] & Flag.SHADOW.value) > 0
    wall, lee = 80, 160
    in_front = layover[:wall].sum() * 10 / along
    on_top = layover[wall:lee].sum() * 10 / along
    behind = shadow[lee:].sum() * 10 / along
    assert in_front == pytest.approx(height / tangent, abs=20)
    assert on_top == pytest.approx(height / tangent, abs=20)
    assert behind == pytest.approx(height * tangent, abs=20)
    assert not shadow[: lee - 1].any()
    assert not layover[lee + 1 :].any()


def test_flat_ground_has_neither_layover_nor_shadow(place_of, tmp_path) -> None:
    place = place_of(np.full((150, 150), 30.0), 110)
    place.write(tmp_path / "flat.SAFE", np.full((150, 150), 0.1))
    for quantity, flatten in (("beta0", True), ("gamma0", False)):
        calibrate(
            safe=tmp_path / "flat.SAFE",
            out=tmp_path / "c.zarr",
            settings=CalibrateSettings(quantity=quantity, remove_noise=False),
        )
        geocode(
            scene=tmp_path / "c.zarr",
            dem=place.dem,
            out=tmp_path / f"{quantity}.zarr",
            settings=GeocodeSettings(flatten=flatten),
        )
    flat, plain = open_store(tmp_path / "beta0.zarr"), open_store(tmp_path / "gamma0.zarr")
    assert not (flat.flags.values & (Flag.LAYOVER.value | Flag.SHADOW.value)).any()
    inner = np.isfinite(flat.vv.values) & np.isfinite(plain.vv.values)
    inner &= ~maximum_filter(~inner, 9)
    decibel = 10 * np.log10(flat.vv.values[inner] / plain.vv.values[inner])
    assert abs(np.median(decibel)) < 0.05
    assert decibel.std() < 0.1
    np.testing.assert_allclose(
        flat.local_incidence_angle.values[inner], flat.incidence_angle.values[inner], atol=0.1
    )


def test_flattening_takes_the_terrain_out(place_of, tmp_path) -> None:
    """Ground of one gamma0 looks the same on all slopes afterwards, without stripes."""
    place = place_of(ridges(260, 180.0, 140.0), 200)
    view = place.event.view
    place.write(tmp_path / "hills.SAFE", 0.1 * np.cos(np.radians(view.incidence_deg)))
    calibrate(
        safe=tmp_path / "hills.SAFE",
        out=tmp_path / "c.zarr",
        settings=CalibrateSettings(quantity="beta0", remove_noise=False),
    )
    spread = {}
    for flatten in (False, True):
        geocode(
            scene=tmp_path / "c.zarr",
            dem=place.dem,
            out=tmp_path / "g.zarr",
            settings=GeocodeSettings(flatten=flatten),
        )
        store = open_store(tmp_path / "g.zarr").load()
        clear = np.isfinite(store.vv.values) & (store.flags.values == 0)
        clear &= ~maximum_filter(~clear, 9)
        decibel = 10 * np.log10(store.vv.values[clear])
        spread[flatten] = decibel.std()
        if flatten:
            assert np.median(decibel) == pytest.approx(-10.0, abs=0.1)
    assert spread[False] > 1.0
    assert spread[True] < 0.3
    assert recipe_of(store).quantity == "gamma0"
    assert recipe_of(store).flattened


def test_coarser_grids_average_the_power(mountains, chunked, tmp_path) -> None:
    safe, _ = chunked
    scene = calibrate(safe=safe, out=tmp_path / "c.zarr")
    fine = open_store(geocode(scene=scene, dem=mountains.dem, out=tmp_path / "f.zarr")).load()
    out = geocode(
        scene=scene,
        dem=mountains.dem,
        out=tmp_path / "h.zarr",
        settings=GeocodeSettings(resolution=20.0),
    )
    coarse = open_store(out).load()
    assert coarse.vv.shape == (fine.sizes["y"] // 2, fine.sizes["x"] // 2)
    np.testing.assert_allclose(coarse.vv, fine.vv.coarsen(y=2, x=2).mean(), rtol=1e-5, atol=1e-9)
    assert recipe_of(coarse).spacing == 20.0


def test_without_elevations_the_store_says_so(mountains, chunked, tmp_path) -> None:
    safe, _ = chunked
    scene = calibrate(safe=safe, out=tmp_path / "c.zarr")
    out = geocode(
        scene=scene, out=tmp_path / "g.zarr", settings=GeocodeSettings(constant_height=200.0)
    )
    store = open_store(out)
    assert "ellipsoid at 200 m: no elevations were given" in store.attrs["history"]
    assert (store.attrs["instrument_mode"], store.attrs["product_type"]) == ("IW", "GRD")
    np.testing.assert_allclose(store.incidence_angle, store.local_incidence_angle, atol=1 / 128)


def test_a_hole_in_the_elevations_is_flagged_and_counted(
    mountains, chunked, tmp_path, caplog
) -> None:
    safe, _ = chunked
    with rasterio.open(mountains.dem) as raster:
        profile, values = raster.profile, raster.read()
    values[0, 200:203, 200:210] = -9999
    with rasterio.open(tmp_path / "holes.tif", "w", **{**profile, "nodata": -9999}) as raster:
        raster.write(values)
    scene = calibrate(safe=safe, out=tmp_path / "c.zarr")
    with caplog.at_level(logging.WARNING):
        out = geocode(scene=scene, dem=tmp_path / "holes.tif", out=tmp_path / "g.zarr")
    flags = open_store(out).flags.values
    holes = (flags & Flag.NO_ELEVATION.value) > 0
    assert holes.sum() == 30
    assert holes[200:203, 200:210].all()
    assert np.isnan(open_store(out).vv.values[holes]).all()
    assert "holes.tif: 30 px have no elevation" in caplog.text


def test_elevations_are_the_same_in_every_window(mountains) -> None:
    model = open_elevation(mountains.dem, "ellipsoid", 10.0)
    box = grid(420)
    whole = model.read(box, Window(0, 0, 420, 420), 64)
    np.testing.assert_allclose(whole, mountains.event.elevation, atol=2e-3)
    part = model.read(box, Window(123, 45, 77, 200), 64)
    np.testing.assert_array_equal(part, whole[123:200, 45:245])
    beyond = model.read(box, Window(-5, -5, 20, 20), 64)
    assert np.isnan(beyond[:4]).all()
    np.testing.assert_array_equal(beyond[5:, 5:], whole[:15, :15])


def test_fine_elevations_are_averaged(mountains) -> None:
    model = open_elevation(mountains.dem, "ellipsoid", 40.0)
    box = grid(420).zoom_out(4)
    coarse = model.read(box, Window(0, 0, 105, 105), 16)
    expected = mountains.event.elevation.astype(np.float32)
    expected = expected[: 105 * 4 // 2 * 2].reshape(210, 2, 210, 2).mean(axis=(1, 3))
    assert model.average == 2
    assert np.abs(coarse.mean() - expected.mean()) < 0.5


def test_a_constant_height_has_no_range() -> None:
    assert ConstantHeight(12.0).height_range(grid(4), 64) == (12.0, 12.0)


def test_one_pass_in_two_scenes_is_one_mosaic(mountains, chunked, tmp_path) -> None:
    """Two products that each saw a part of the ground give what one product gives."""
    safe, _ = chunked
    whole = calibrate(safe=safe, out=tmp_path / "whole.zarr")
    expected = open_store(geocode(scene=whole, dem=mountains.dem, out=tmp_path / "g.zarr")).load()
    halves = []
    for name, lines in (("north", slice(0, 180)), ("south", slice(176, None))):
        store = open_store(whole).load()
        unseen = np.ones(store.sizes["line"], dtype=bool)
        unseen[lines] = False
        for band in ("vv", "vh"):
            store[band].values[unseen] = np.nan
        store.flags.values[unseen] = Flag.NODATA.value
        halves.append(write_store(store, tmp_path / f"{name}.zarr"))
    mosaic = open_store(geocode(scene=halves, dem=mountains.dem, out=tmp_path / "m.zarr")).load()
    np.testing.assert_array_equal(mosaic.vv, expected.vv)
    with pytest.raises(InputError, match=r"nothing\.zarr: store not found"):
        geocode(scene=[whole, tmp_path / "nothing.zarr"], out=tmp_path / "x.zarr")


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"acquisition_time": "2023-05-26T16:58:21"}, "acquisition time 2023-05-26T16:58:21"),
        ({"relative_orbit": 117}, "relative orbit 117"),
        ({"orbit_direction": "descending"}, "orbit direction descending"),
        ({"platform": "S1C"}, "platform S1C"),
    ],
)
def test_another_pass_isnt_mosaicked(chunked, tmp_path, facts, what) -> None:
    scene = calibrate(safe=chunked[0], out=tmp_path / "c.zarr")
    other = write_store(open_store(scene).load().assign_attrs(facts), tmp_path / "o.zarr")
    with pytest.raises(InputError, match=rf"o\.zarr: {what}, but .*c\.zarr has .* one pass"):
        geocode(scene=[scene, other], out=tmp_path / "g.zarr")
    assert not (tmp_path / "g.zarr").exists()
    geocode(
        scene=scene,
        companions=[other],
        out=tmp_path / "g.zarr",
        settings=GeocodeSettings(resolution=200.0),
    )


def test_slices_give_the_polarisations_that_all_have(mountains, chunked, tmp_path) -> None:
    scene = calibrate(safe=chunked[0], out=tmp_path / "c.zarr")
    store = open_store(scene).load()
    single = write_store(store.drop_vars("vh"), tmp_path / "single.zarr")
    other = write_store(store.rename(vv="hh", vh="hv"), tmp_path / "hh.zarr")
    whole = open_store(geocode(scene=scene, dem=mountains.dem, out=tmp_path / "g.zarr")).load()
    for scenes in ([scene, single], [single, scene], [single, single]):
        made = geocode(scene=scenes, dem=mountains.dem, out=tmp_path / "m.zarr")
        mosaic = open_store(made).load()
        assert "vh" not in mosaic
        np.testing.assert_array_equal(mosaic.vv, whole.vv)
    with pytest.raises(InputError, match=r"c\.zarr has vv, vh; .*hh\.zarr has hh, hv: no pol"):
        geocode(scene=[scene, other], out=tmp_path / "x.zarr")


def test_the_order_of_scenes_beside_each_other_doesnt_matter(mountains, chunked, tmp_path) -> None:
    with rasterio.open(mountains.dem) as raster:
        profile, values = raster.profile, raster.read()
    values[0, 100:300, 200:203] = -9999
    with rasterio.open(tmp_path / "holes.tif", "w", **{**profile, "nodata": -9999}) as raster:
        raster.write(values)
    scene = calibrate(safe=chunked[0], out=tmp_path / "c.zarr")
    halves = []
    for name, start, stop in (("north", 0, 170), ("south", 170, 9999)):
        store = open_store(scene).load()
        elsewhere = (np.arange(store.sizes["line"]) < start) | (
            np.arange(store.sizes["line"]) >= stop
        )
        for band in ("vv", "vh"):
            store[band].values[elsewhere] = np.nan
        store.flags.values[elsewhere] = Flag.NODATA.value
        halves.append(write_store(store, tmp_path / f"{name}.zarr"))
    made = [
        open_store(geocode(scene=order, dem=tmp_path / "holes.tif", out=tmp_path / "g.zarr")).load()
        for order in (halves, halves[::-1])
    ]
    seen = made[0].flags.values & Flag.NODATA.value == 0
    for name, layer in made[0].items():
        everywhere = seen | (layer.dtype == np.uint8)
        np.testing.assert_array_equal(layer.values[everywhere], made[1][name].values[everywhere])
    assert (made[0].flags.values & Flag.NO_ELEVATION.value).any()


def test_slices_of_another_date_are_one_date_of_the_filter(mountains, chunked, tmp_path) -> None:
    scene = calibrate(safe=chunked[0], out=tmp_path / "c.zarr")
    store = open_store(scene).load()
    draw = np.random.default_rng(1).gamma(4.4, 1 / 4.4, store.vv.shape).astype("float32")
    store = store.assign(vv=store.vv * draw, vh=store.vh * draw)
    store = store.assign_attrs(acquisition_time="2023-05-26T16:58:21")
    whole, slices = write_store(store, tmp_path / "whole.zarr"), []
    for name, lines in (("north", slice(0, 200)), ("south", slice(140, None))):
        part = store.copy(deep=True)
        unseen = np.ones(part.sizes["line"], dtype=bool)
        unseen[lines] = False
        part.vv.values[unseen] = np.nan
        part.flags.values[unseen] = Flag.NODATA.value
        slices.append(write_store(part.drop_vars("vh"), tmp_path / f"{name}.zarr"))
    made = [
        open_store(
            geocode(
                scene=scene,
                companions=companions,
                dem=mountains.dem,
                out=tmp_path / "g.zarr",
                settings=GeocodeSettings(speckle_filter="multitemporal"),
            )
        ).vv.load()
        for companions in ([whole], slices)
    ]
    np.testing.assert_array_equal(*made)


def test_before_and_after_in_two_zones_lie_on_one_grid(chunked, tmp_path) -> None:
    scene = calibrate(safe=chunked[0], out=tmp_path / "c.zarr")
    stores = [
        write_store(
            open_store(scene).load().assign_attrs(footprint=[west, 45.0, west + 0.5, 45.4]),
            tmp_path / f"{name}.zarr",
        )
        for name, west in (("before", 11.5), ("after", 12.01))
    ]
    grids = [
        open_store(
            geocode(
                scene=one,
                companions=[two],
                out=tmp_path / "g.zarr",
                settings=GeocodeSettings(resolution=500.0),
            )
        ).odc.geobox
        for one, two in (stores, stores[::-1])
    ]
    assert grids[0] == grids[1]
    assert grids[0].crs.to_epsg() == 32633


def test_a_calibrated_store_and_a_product_of_others_dont_mix(chunked, tmp_path) -> None:
    scene = calibrate(safe=chunked[0], out=tmp_path / "c.zarr")
    name = "OPERA_L2_RTC-S1_T044-000001-IW1_20230514T165821Z_20230515T000000Z_S1A_30_v1.0_VV.tif"
    with rasterio.open(
        tmp_path / name, "w", driver="GTiff", count=1, height=9, width=9, dtype="float32",
        crs="EPSG:32633", transform=rasterio.Affine(30, 0, 5e5, 0, -30, 5.1e6),
    ) as raster:  # fmt: skip
        raster.write(np.full((9, 9), 0.1, "float32"), 1)
    with pytest.raises(InputError, match=r"VV\.tif: backscatter of others, but .*c\.zarr is"):
        geocode(scene=[scene, tmp_path / name], out=tmp_path / "g.zarr")


@pytest.mark.parametrize("flatten", [False, True])
def test_blocks_change_no_bit_of_a_grid_in_degrees_far_north(
    place_of, blocks, tmp_path, flatten
) -> None:
    """At 70 degrees a pixel is three times as high as wide, and layover reaches as many more."""
    place = place_of(ridges(240, 400.0, 96.0), 180, grid(240, 500_000.0, 7_765_000.0))
    surface = 10 ** np.random.default_rng(0).uniform(-2, 0, (240, 240))
    safe = place.write(tmp_path / "north.SAFE", surface)
    scene = calibrate(
        safe=safe, out=tmp_path / "c.zarr", settings=CalibrateSettings(quantity="beta0")
    )
    made = []
    for side in (1536, 512, 256, 97):
        blocks(side)
        out = geocode(
            scene=scene,
            dem=place.dem,
            out=tmp_path / "g.zarr",
            settings=GeocodeSettings(epsg=4326, resolution=8e-5, flatten=flatten),
        )
        made.append(open_store(out).load())
    assert made[0].sizes["x"] > 2 * made[0].sizes["y"] > 500
    assert (made[0].flags & Flag.LAYOVER.value).any()
    assert all(other.identical(made[0]) for other in made[1:])
    assert recipe_of(made[0]).spacing == 8.9


@pytest.mark.parametrize(
    ("epsg", "east", "north"),
    [
        (32701, 179_000.0, 8_173_000.0),
        (32660, 820_000.0, 5_544_000.0),
        (32633, 340_000.0, 8_850_000.0),
    ],
)
def test_places_come_back_across_180_degrees_and_far_north(
    place_of, tmp_path, epsg, east, north
) -> None:
    """On the map of the truth, and on the one that is chosen, or polar stereographic."""
    box = grid(150, east, north, epsg)
    place = place_of(ridges(150, 60.0, 300.0), 110, box)
    row, col = np.mgrid[:150, :150] // 12
    safe = place.write(tmp_path / "p.SAFE", np.where((row + 2 * col) % 3 == 0, 0.5, 0.02))
    scene = calibrate(
        safe=safe, out=tmp_path / "c.zarr", settings=CalibrateSettings(remove_noise=False)
    )
    other = 32661 if epsg == 32633 else None
    for code in (epsg, other):
        store = open_store(
            geocode(
                scene=scene,
                dem=place.dem,
                out=tmp_path / "g.zarr",
                settings=GeocodeSettings(epsg=code),
            )
        ).load()
        mine = store.odc.geobox
        assert max(mine.shape) < 260
        height, width = mine.shape.yx
        x, y = mine.affine @ tuple(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5))
        to_truth = Transformer.from_crs(mine.crs.to_wkt(), epsg, always_xy=True)
        at_col, at_row = ~box.affine @ to_truth.transform(x, y)
        fits = {}
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                r, c = at_row.astype(int) + down, at_col.astype(int) + right
                known = np.isfinite(store.vv.values) & (r >= 0) & (r < 150) & (c >= 0) & (c < 150)
                bright = (r // 12 + 2 * (c // 12)) % 3 == 0
                fits[down, right] = np.corrcoef(store.vv.values[known], bright[known])[0, 1]
        assert known.sum() > 5000
        assert max(fits, key=fits.get) == (0, 0), fits
        assert fits[0, 0] > 0.9


def test_dates_with_other_footprints_share_one_grid(mountains, chunked, tmp_path) -> None:
    safe, _ = chunked
    scene = calibrate(safe=safe, out=tmp_path / "c.zarr")
    store = open_store(scene).load()
    west, south, east, north = store.attrs["footprint"]
    other = write_store(
        store.assign_attrs(footprint=[west + 0.01, south + 0.01, east + 0.02, north + 0.02]),
        tmp_path / "other.zarr",
    )
    one = geocode(scene=scene, companions=[other], out=tmp_path / "one.zarr")
    two = geocode(scene=other, companions=[scene], out=tmp_path / "two.zarr")
    assert open_store(one).odc.geobox == open_store(two).odc.geobox
    assert open_store(one).sizes["x"] > mountains.event.geobox.shape.x
    with pytest.raises(InputError, match=r"bounds .* nothing of .* lies there"):
        geocode(
            scene=scene, out=tmp_path / "x.zarr", settings=GeocodeSettings(bounds=(0, 0, 10, 10))
        )


def test_speckle_filters_do_not_see_the_blocks(mountains, chunked, blocks, tmp_path) -> None:
    safe, _ = chunked
    scene = calibrate(safe=safe, out=tmp_path / "c.zarr")
    plain = open_store(geocode(scene=scene, dem=mountains.dem, out=tmp_path / "p.zarr")).load()
    for name in ("lee", "refined_lee", "multitemporal"):
        made = []
        for side in (2048, 100):
            blocks(side)
            out = geocode(
                scene=scene,
                companions=[scene],
                dem=mountains.dem,
                out=tmp_path / "g.zarr",
                settings=GeocodeSettings(speckle_filter=name),
            )
            made.append(open_store(out).load())
        assert made[0].identical(made[1])
        assert recipe_of(made[0]).speckle_filter == f"{name}-5"
        if name == "multitemporal":  # two dates that are the same hold nothing to average
            np.testing.assert_allclose(made[0].vv, plain.vv, rtol=1e-4)
        else:
            rough = [float(np.abs(store.vv.diff("x")).mean()) for store in (made[0], plain)]
            assert rough[0] < 0.75 * rough[1]
    with pytest.raises(ValidationError, match="should be 'none', 'boxcar'"):
        geocode(
            scene=scene, out=tmp_path / "x.zarr", settings=GeocodeSettings(speckle_filter="median")
        )


def test_heights_above_the_geoid_are_lifted_by_its_undulation(mountains, monkeypatch) -> None:
    monkeypatch.setattr("floodloom.sentinel1.elevation.require_datum", lambda datum: None)
    monkeypatch.setattr(
        "floodloom.sentinel1.elevation.geoid_undulation",
        lambda longitude, latitude, datum: (40.0 if datum == "egm2008" else 0.0) + 0 * longitude,
    )
    above_geoid = open_elevation(mountains.dem, "egm2008", 10.0)
    above_ellipsoid = open_elevation(mountains.dem, "ellipsoid", 10.0)
    window = Window(10, 10, 50, 50)
    lifted = above_geoid.read(grid(420), window, 64) - above_ellipsoid.read(grid(420), window, 64)
    np.testing.assert_allclose(lifted, 40.0, atol=1e-3)
    low, high = above_geoid.height_range(grid(420), 64)
    assert low >= 40.0
    assert high == pytest.approx(440.0, abs=1.0)
