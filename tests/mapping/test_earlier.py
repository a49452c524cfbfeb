"""Water and backscatter on several dates before a flood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from odc.geo.xr import wrap_xr

from floodloom.cli import main
from floodloom.errors import InputError
from floodloom.mapping.change import backscatter_change, change_from_dates, speckle_spread
from floodloom.mapping.delineate import Evidence, delineate_flood, flood_likelihood
from floodloom.mapping.exclusion import Reason
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.sources import DATES_BEFORE
from floodloom.mapping.water import water_occurrence
from floodloom.raster.areas import pixel_areas
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds, pixel_geobox
from floodloom.raster.placing import mean_percent
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.settings import arguments_of
from floodloom.stages.delineate import delineate

GRID = grid_from_bounds((400000, 5000000, 400600, 5000400), 32633, 10.0)
SHAPE = tuple(GRID.shape.yx)
AFTER = "2023-05-14T16:58:21"
DAYS = ("2023-05-02T16:58:21", "2023-04-20T16:58:21.500000", "2023-04-08T16:58:21")
BAND = 10  # columns
"""Of the map: water on 0, 1, 2 and 3 of three dates; then unknown on two of them, and dry or wet
on the third."""
WET, DRY = 95, 5


def rules(**settings: object) -> DelineateSettings:
    return DelineateSettings(**{"shore_buffer": 0, "minimum_mapping_unit": 0.0, **settings})


def percents() -> list[np.ndarray]:
    found = []
    for date in range(3):
        percent = np.full(SHAPE, DRY, "uint8")
        for wet in range(4):
            percent[:, BAND * wet : BAND * (wet + 1)] = WET if date < wet else DRY
        percent[:, 4 * BAND :] = 255
        found.append(percent)
    found[1][:, 4 * BAND : 5 * BAND] = DRY
    found[2][:, 5 * BAND :] = WET
    return found


def bands(values: np.ndarray) -> list:
    """The one value of each band of columns."""
    found = [np.unique(values[:, col : col + BAND]) for col in range(0, SHAPE[1], BAND)]
    assert all(len(one) == 1 for one in found)
    return [one[0] for one in found]


def mosaic(path: Path, percent: np.ndarray, acquired: str, grid=GRID, **tags: str) -> Path:
    stated = {"ACQUISITION_TIME": acquired} if acquired else {}
    return write_cog(percent, path, geobox=grid, nodata=255, tags={**stated, **tags})


def mosaics(folder: Path) -> list[Path]:
    named = enumerate(zip(percents(), DAYS, strict=True))
    return [mosaic(folder / f"b{n}.tif", percent, day) for n, (percent, day) in named]


def run(folder: Path, **arguments) -> tuple[np.ndarray, np.ndarray]:
    """Classes and reasons of a map whose whole ground is water after the flood."""
    usual = {
        "probability": [mosaic(folder / "p.tif", np.full(SHAPE, 100, "uint8"), AFTER)],
        "out": folder / "flood.tif",
        "vectors": folder / "flood.gpkg",
        "item": folder / "flood.json",
        "likelihood": folder / "likelihood.tif",
        "shore_buffer": 0,
    }
    delineate(**arguments_of(delineate, {**usual, **arguments}))
    with rasterio.open(folder / "flood.tif") as raster:
        classes, reasons = raster.read()
    return classes, reasons


def test_occurrence_is_the_share_of_the_dates_that_saw_a_pixel() -> None:
    pairs = [(percent, None) for percent in percents()]
    found = water_occurrence(pairs, rules(), pixel_areas(pixel_geobox(*SHAPE)))[:]
    np.testing.assert_allclose(bands(found), [0, 100 / 3, 200 / 3, 100, 0, 100], rtol=1e-6)
    unseen = np.full(SHAPE, 255, "uint8")
    assert np.isnan(water_occurrence([(unseen, None)], rules(), pixel_areas(GRID))[:]).all()


def test_water_on_half_of_the_dates_is_permanent_and_on_fewer_no_flood(tmp_path) -> None:
    classes, reasons = run(tmp_path, before=mosaics(tmp_path))
    assert bands(classes) == [2, 3, 1, 1, 2, 1]
    assert bands(reasons) == [0, Reason.SEASONAL.value, 0, 0, 0, 0]
    classes, _ = run(tmp_path, before=mosaics(tmp_path), before_threshold=40)
    assert bands(classes) == [2, 2, 1, 1, 2, 1]


def test_occurrence_is_compared_to_the_pixel_at_its_limits() -> None:
    occurrence = np.array([[19.9, 20.0, 49.9, 50.0, np.nan]], "float32")
    after, before = np.full((1, 5), 100, "uint8"), np.full((1, 5), 10, "uint8")
    before[0, 4] = 255
    classes, reasons = delineate_flood(
        Evidence(after, before, occurrence=occurrence), rules()
    ).read()
    assert classes.tolist() == [[2, 3, 3, 1, 3]]
    assert reasons[0, [1, 2, 4]].tolist() == [10, 10, Reason.BEFORE_UNKNOWN.value]


def test_reference_land_does_not_deny_water_that_was_seen() -> None:
    """The doubt of a probability yields to reference land; water on a date doesn't."""
    after = np.full((1, 2), 100, "uint8")
    evidence = Evidence(
        after,
        np.full((1, 2), 30, "uint8"),
        reference=np.zeros((1, 2), "uint8"),
        occurrence=np.array([[0, 33]], "float32"),
    )
    classes, reasons = delineate_flood(evidence, rules()).read()
    assert classes.tolist() == [[2, 3]]
    assert reasons.tolist() == [[0, Reason.SEASONAL.value]]


def test_the_map_and_its_item_name_the_dates(tmp_path) -> None:
    run(tmp_path, before=mosaics(tmp_path))
    dates = [day[:19] for day in sorted(DAYS)]
    item = json.loads((tmp_path / "flood.json").read_text())
    assert item["properties"]["dates_before"] == dates
    with rasterio.open(tmp_path / "flood.tif") as raster:
        assert raster.tags()[DATES_BEFORE] == ", ".join(dates)
    with rasterio.open(tmp_path / "likelihood.tif") as raster:
        expected = flood_likelihood(
            Evidence(np.full(SHAPE, 100, "uint8"), mean_percent(percents()))
        )[:]
        np.testing.assert_array_equal(raster.read(1), expected)


ONE = np.repeat(np.array([[0, 30, 60, 255, 255, 90]], "uint8"), BAND, axis=1).repeat(SHAPE[0], 0)
OTHER = np.repeat(np.array([[0, 31, 20, 40, 255, 255]], "uint8"), BAND, axis=1).repeat(SHAPE[0], 0)
MEAN = np.repeat(np.array([[0, 30, 40, 40, 255, 90]], "uint8"), BAND, axis=1).repeat(SHAPE[0], 0)


@pytest.mark.parametrize(
    ("slices", "times", "before"),
    [
        ([ONE], [""], ONE),
        ([ONE], ["in May"], ONE),
        ([ONE, OTHER], ["", ""], MEAN),
        ([ONE, OTHER], ["", DAYS[0]], MEAN),
        ([ONE, OTHER], [DAYS[0], "2023-05-02T16:58:46"], MEAN),
    ],
)
def test_one_date_is_what_it_was_without_a_word_of_dates(tmp_path, slices, times, before) -> None:
    """Slices of one pass are put together by their mean, whether their time is stated or not."""
    after = np.full(SHAPE, 100, "uint8")
    expected = delineate_flood(Evidence(after, before), DelineateSettings(shore_buffer=0)).read()
    named = enumerate(zip(slices, times, strict=True))
    paths = [mosaic(tmp_path / f"s{n}.tif", percent, time) for n, (percent, time) in named]
    np.testing.assert_array_equal(run(tmp_path, before=paths), expected)
    assert "dates_before" not in json.loads((tmp_path / "flood.json").read_text())["properties"]
    with rasterio.open(tmp_path / "flood.tif") as raster:
        assert DATES_BEFORE not in raster.tags()


def test_slices_of_a_date_are_put_together_before_dates_are_compared(tmp_path) -> None:
    """Of two slices the mean counts, as one date of two."""
    dry, wet = np.full(SHAPE, DRY, "uint8"), np.full(SHAPE, WET, "uint8")
    half = dry.copy()
    half[:, :30] = 255
    paths = [
        mosaic(tmp_path / "a.tif", half, "2023-05-02T16:58:21"),
        mosaic(tmp_path / "b.tif", np.where(half == 255, wet, 255), "2023-05-02T16:58:46"),
        *(mosaic(tmp_path / f"{n}.tif", dry, f"2023-0{n}-01T16:58:21") for n in (2, 3)),
    ]
    classes, reasons = run(tmp_path, before=paths)
    assert (reasons[:, :30] == Reason.SEASONAL.value).all()
    assert (classes[:, 30:] == 2).all()


def test_dates_that_cannot_be_told_apart_and_other_orbits_are_refused(tmp_path) -> None:
    first, second, third = mosaics(tmp_path)
    unknown = mosaic(tmp_path / "u.tif", percents()[0], "")
    with pytest.raises(InputError, match=r"u\.tif: doesn't state when it was acquired"):
        run(tmp_path, before=[first, second, unknown])
    broken = mosaic(tmp_path / "x.tif", percents()[0], "in May")
    with pytest.raises(InputError, match=r"x\.tif: was acquired at 'in May', but such a time"):
        run(tmp_path, before=[first, broken])
    flown = {"ORBIT_DIRECTION": "descending"}
    across = mosaic(tmp_path / "d.tif", percents()[1], DAYS[1], **flown)
    after = mosaic(tmp_path / "q.tif", percents()[0], AFTER, ORBIT_DIRECTION="ascending")
    with pytest.raises(InputError, match=r"d\.tif: taken descending"):
        run(tmp_path, probability=[after], before=[first, across, third])
    run(tmp_path, probability=[after], before=[first, across, third], mixed_orbits=True)


def test_maps_without_a_place_have_several_dates_too(tmp_path) -> None:
    grid = pixel_geobox(*SHAPE)
    after = mosaic(tmp_path / "q.tif", np.full(SHAPE, 100, "uint8"), AFTER, grid=grid)
    named = zip(percents(), DAYS, strict=True)
    before = [mosaic(tmp_path / f"{day[:10]}.tif", p, day, grid=grid) for p, day in named]
    classes, _ = run(tmp_path, probability=[after], before=before)
    assert bands(classes) == [2, 3, 1, 1, 2, 1]


def test_the_command_line_takes_several(tmp_path) -> None:
    after = mosaic(tmp_path / "p.tif", np.full(SHAPE, 100, "uint8"), AFTER)
    words = [word for path in mosaics(tmp_path) for word in ("--before", str(path))]
    outputs = {"out": "flood.tif", "vectors": "flood.gpkg", "item": "flood.json"}
    words += [word for name, to in outputs.items() for word in (f"--{name}", str(tmp_path / to))]
    assert main(["delineate", "--probability", str(after), "--shore-buffer", "0", *words]) == 0
    with rasterio.open(tmp_path / "flood.tif") as raster:
        assert bands(raster.read(1)) == [2, 3, 1, 1, 2, 1]


def level(decibel: float) -> np.ndarray:
    return np.full((9, 9), 10 ** (decibel / 10), "float32")


def test_z_score_is_by_mean_and_spread_of_the_dates() -> None:
    dates = [level(-10), level(-12), level(-11)]
    change = change_from_dates(level(-20), dates, spread=0.1)
    np.testing.assert_allclose(change.decibel, -9, rtol=1e-4)
    np.testing.assert_allclose(change.z_score, -9, rtol=1e-4)  # a standard deviation of 1 dB
    floored = change_from_dates(level(-20), dates, spread=3.0)
    np.testing.assert_allclose(floored.z_score, -3, rtol=1e-4)
    alike = change_from_dates(level(-14), [level(-10)] * 3, spread=2.0)
    np.testing.assert_allclose(alike.z_score, -2, rtol=1e-4)


def test_z_score_is_unknown_where_fewer_than_two_dates_have_data() -> None:
    first, second, third = level(-10), level(-12), level(-11)
    second[0], third[:2], first[:3, 0] = np.nan, np.nan, np.nan
    after = level(-20)
    after[8, 8] = np.nan
    change = change_from_dates(after, [first, second, third], spread=0.1)
    known = np.ones((9, 9), bool)
    known[0], known[1:3, 0], known[8, 8] = False, False, False
    known[2, 0] = True  # second and third
    np.testing.assert_array_equal(np.isfinite(change.z_score), known)
    assert np.isfinite(change.decibel[0, 1:]).all()
    np.testing.assert_array_equal(np.isnan(change.decibel[0]), [True] + [False] * 8)


def test_speckle_leaves_the_spread_that_is_expected() -> None:
    """Of independent pixels as large as resolution cells; one of 20 m by 22 m has 4.4 looks."""
    draw = np.random.default_rng(0)
    power = draw.gamma(4.4, 1 / 4.4, (400, 400)).astype("float32")
    change = backscatter_change(power, np.ones_like(power))
    assert np.std(change) == pytest.approx(speckle_spread(np.sqrt(440.0)), rel=0.1)
    assert speckle_spread(10.0) == pytest.approx(43.4 / 70, rel=0.01)


def scene(path: Path, decibel: float, acquired: str, direction: str = "ascending") -> Path:
    power = np.full(SHAPE, 10 ** (decibel / 10), "float32")
    layers = {"vv": wrap_xr(power, GRID), "vh": wrap_xr(power / 5, GRID)}
    facts = {"orbit_direction": direction, "acquisition_time": acquired}
    dataset = xr.Dataset(layers).assign_attrs(facts)
    return write_store(stamp(dataset, Recipe(quantity="gamma0", spacing=10.0)), path)


def scenes(folder: Path, **facts: str) -> list[Path]:
    named = zip((-10, -12, -11), DAYS, strict=True)
    return [scene(folder / f"{day[:10]}.zarr", db, day, **facts) for db, day in named]


@pytest.mark.parametrize(("limit", "kept"), [(4.9, True), (5.1, False)])
def test_flood_within_the_spread_of_the_dates_is_unchanged(tmp_path, limit, kept) -> None:
    after = scene(tmp_path / "a.zarr", -16, AFTER)
    given = {"scene": after, "before_scene": scenes(tmp_path), "minimum_z_score": limit}
    dry = [mosaic(tmp_path / "d.tif", np.full(SHAPE, DRY, "uint8"), DAYS[0])]
    classes, reasons = run(tmp_path, before=dry, **given)
    assert (classes == (2 if kept else 3)).all()
    assert (reasons == (0 if kept else Reason.UNCHANGED.value)).all()


def test_a_z_score_of_one_date_excludes_nothing_and_the_log_tells(tmp_path, caplog) -> None:
    after, (before, *_) = scene(tmp_path / "a.zarr", -10, AFTER), scenes(tmp_path)
    classes, _ = run(tmp_path, scene=after, before_scene=before, minimum_z_score=3.0)
    assert (classes == 2).all()
    assert "of one date, so minimum_z_score excludes nothing" in caplog.text
    with pytest.raises(InputError, match="minimum_z_score needs scene and before_scene"):
        run(tmp_path, minimum_z_score=3.0)


def test_scenes_before_of_another_orbit_are_refused(tmp_path) -> None:
    after = scene(tmp_path / "a.zarr", -16, AFTER)
    before = scenes(tmp_path, direction="descending")
    with pytest.raises(InputError, match="taken descending"):
        run(tmp_path, scene=after, before_scene=before, minimum_z_score=3.0)


def test_edges_are_looked_at_in_the_scene_of_each_date(tmp_path) -> None:
    after = scene(tmp_path / "a.zarr", -16, AFTER)
    given = {"scene": after, "before": mosaics(tmp_path), "refine": "crf"}
    several = scenes(tmp_path)
    classes, _ = run(tmp_path, before_scene=several[::-1], **given)
    assert (classes[:, :5] == 2).all()
    assert (classes[:, 3 * BAND + 3 : 4 * BAND - 3] == 1).all()
    with pytest.raises(InputError, match=r"b2\.tif: no before_scene is of its date \(2023-04-08"):
        run(tmp_path, before_scene=several[:2], **given)
