"""What goes in comes out: calibration and geocoding against the simulator's truth."""

import numpy as np
import pytest
import rasterio
from scipy.ndimage import distance_transform_edt, maximum_position

from floodloom.errors import InputError
from floodloom.raster.recipe import Flag
from floodloom.raster.store import open_store, recipe_of
from floodloom.sentinel1.settings import CalibrateSettings
from floodloom.simulate.event import band_noise, image_event, make_event, product_content
from floodloom.simulate.render import digital_numbers, render_sigma0
from floodloom.simulate.safe import write_safe
from floodloom.stages.calibrate import calibrate
from floodloom.stages.geocode import geocode
from tests.simulated import lay_event

SIZE = 256


@pytest.fixture(scope="module")
def event():
    return make_event(seed=5, size=SIZE, spacing=10.0, flood_depth=2.5, relief=40.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("event")
    lay_event(folder, seed=5, size=SIZE)
    return folder


@pytest.mark.parametrize("remove_noise", [True, False])
def test_calibrating_what_was_simulated_gives_it_back(event, files, tmp_path, remove_noise) -> None:
    out = tmp_path / "c.zarr"
    calibrate(
        safe=files / "after.SAFE",
        out=out,
        settings=CalibrateSettings(quantity="sigma0", remove_noise=remove_noise),
    )
    store = open_store(out)
    for band, image in image_event(event, flood=True).items():
        expected = image - band_noise(event, band) * remove_noise
        signal = expected > 2 * band_noise(event, band)
        seen = signal & np.isfinite(store[band].values)
        assert seen.mean() > 0.3
        decibel = 10 * np.log10(store[band].values[seen] / expected[seen])
        assert np.median(np.abs(decibel)) < 0.05
    assert recipe_of(store).noise_removed == remove_noise
    assert (store.flags.values & Flag.BELOW_NOISE.value).any() == remove_noise


def test_quantities_agree(files, event, tmp_path) -> None:
    stores = {}
    for quantity in ("beta0", "sigma0", "gamma0"):
        calibrate(
            safe=files / "after.SAFE",
            out=tmp_path / f"{quantity}.zarr",
            settings=CalibrateSettings(quantity=quantity),
        )
        stores[quantity] = open_store(tmp_path / f"{quantity}.zarr").vv.values
    angle = np.radians(event.incidence)
    inside = np.isfinite(stores["beta0"]) & (stores["beta0"] > 0)
    sine = np.broadcast_to(np.sin(angle), inside.shape)[inside]
    cosine = np.broadcast_to(np.cos(angle), inside.shape)[inside]
    np.testing.assert_allclose(
        (stores["sigma0"][inside] / stores["beta0"][inside]), sine, rtol=1e-4
    )
    np.testing.assert_allclose(
        (stores["gamma0"][inside] / stores["sigma0"][inside]), 1 / cosine, rtol=1e-4
    )


def test_point_targets_land_where_they_stand(event, tmp_path, files) -> None:
    """Bright points on hills and plains come back within one pixel of the map."""
    shape = event.elevation.shape
    inside = (event.view.line > 15) & (event.view.line < SIZE - 15)
    inside &= (event.view.pixel > 15) & (event.view.pixel < SIZE - 15)
    rows, cols = np.nonzero(inside)
    picks = np.random.default_rng(0).permutation(len(rows))
    chosen: list[tuple[int, int]] = []
    for pick in picks:
        place = (int(rows[pick]), int(cols[pick]))
        if all(np.hypot(place[0] - r, place[1] - c) > 25 for r, c in chosen):
            chosen.append(place)
        if len(chosen) == 20:
            break
    heights = [event.elevation[place] for place in chosen]
    assert np.ptp(heights) > 10
    surface = np.full(shape, 1e-3)
    for place in chosen:
        surface[place] = 100.0
    image = render_sigma0(surface, event.view, event.acquisition.geometry)
    content = product_content(event, {"vv": image, "vh": image}, flood=True)
    write_safe(content, tmp_path / "points.SAFE")
    calibrate(
        safe=tmp_path / "points.SAFE",
        out=tmp_path / "c.zarr",
        settings=CalibrateSettings(remove_noise=False),
    )
    geocode(scene=tmp_path / "c.zarr", dem=files / "dem.tif", out=tmp_path / "g.zarr")
    power = np.nan_to_num(open_store(tmp_path / "g.zarr").vv.values)
    for row, col in chosen:
        around = power[row - 5 : row + 6, col - 5 : col + 6]
        peak = maximum_position(around)
        weights = np.clip(around - 0.05 * around.max(), 0, None)
        offsets = np.arange(-5, 6)
        centre = (weights.sum(1) @ offsets, weights.sum(0) @ offsets) / weights.sum()
        assert np.hypot(peak[0] - 5, peak[1] - 5) <= 1.5
        assert np.hypot(*centre) < 1.0


def test_shores_are_dark_on_the_right_side(event, files, tmp_path) -> None:
    """Geocoded water is dark up to one pixel from its true shore, land bright from one pixel on."""
    calibrate(safe=files / "after.SAFE", out=tmp_path / "c.zarr")
    geocode(scene=tmp_path / "c.zarr", dem=files / "dem.tif", out=tmp_path / "g.zarr")
    vv = open_store(tmp_path / "g.zarr").vv.values
    with rasterio.open(files / "truth.tif") as raster:
        water = raster.read(1) > 0
    landscape = event.landscape
    flood = landscape.flood.covered
    known = np.isfinite(vv) & ~(flood & (landscape.hidden > 0.1)) & ~landscape.land.soaked
    inside, outside = distance_transform_edt(water), distance_transform_edt(~water)
    deep = np.median(vv[known & (inside > 4)])
    land = np.median(vv[known & (outside > 4)])
    near_water = np.median(vv[known & (inside > 1) & (inside <= 2)])
    near_land = np.median(vv[known & (outside > 1) & (outside <= 2)])
    middle = np.sqrt(deep * land)
    assert near_water < middle < near_land


def test_two_dates_overlay_to_the_pixel(files, tmp_path) -> None:
    grids = []
    for role in ("before", "after"):
        calibrate(safe=files / f"{role}.SAFE", out=tmp_path / f"{role}.zarr")
        geocode(scene=tmp_path / f"{role}.zarr", dem=files / "dem.tif", out=tmp_path / "g.zarr")
        grids.append(open_store(tmp_path / "g.zarr").odc.geobox)
    assert grids[0] == grids[1]


def test_elevation_without_crs_or_elsewhere_is_refused(files, tmp_path) -> None:
    calibrate(safe=files / "before.SAFE", out=tmp_path / "c.zarr")
    with rasterio.open(files / "dem.tif") as raster:
        profile, values = raster.profile, raster.read()
    plain = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 50, "width": 50}
    away = profile["transform"] @ profile["transform"].translation(0, -9000)
    for name, facts, message in (
        ("bare.tif", {}, r"bare\.tif: has no CRS"),
        ("away.tif", {"crs": profile["crs"], "transform": away}, r"away\.tif: doesn't cover"),
    ):
        with rasterio.open(tmp_path / name, "w", **plain, **facts) as raster:
            raster.write(values[:, :50, :50])
        with pytest.raises(InputError, match=message):
            geocode(scene=tmp_path / "c.zarr", dem=tmp_path / name, out=tmp_path / "g.zarr")
    assert not (tmp_path / "g.zarr").exists()


def test_events_are_reproducible_and_differ(event) -> None:
    same = make_event(seed=5, size=SIZE, spacing=10.0, flood_depth=2.5, relief=40.0)
    other = make_event(seed=6, size=SIZE, spacing=10.0, flood_depth=2.5, relief=40.0)
    np.testing.assert_array_equal(same.landscape.label, event.landscape.label)
    one, two = image_event(event, True)["vv"], image_event(same, True)["vv"]
    np.testing.assert_array_equal(one, two)
    assert (other.landscape.label != event.landscape.label).any()
    assert (image_event(event, False)["vv"] != one).any()


def test_digital_numbers_saturate() -> None:
    dn = digital_numbers(np.array([0.0, 1.0, 1e12]), np.array([500.0] * 3))
    assert dn.dtype == np.uint16
    assert list(dn) == [0, 500, 65535]
