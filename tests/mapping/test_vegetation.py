"""Flood under plants: what has become brighter beside open flood water, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import xarray as xr
from odc.geo.xr import wrap_xr
from scipy.ndimage import binary_dilation

from floodloom.mapping.brightening import (
    LEAST_CHANGE_DB,
    Backscatter,
    Brightening,
    Distribution,
    Pair,
    find_limits,
    read_pair,
)
from floodloom.mapping.delineate import Evidence, delineate_flood
from floodloom.mapping.exclusion import Ground, Reason
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.water import Pace
from floodloom.raster.areas import pixel_areas
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.settings import arguments_of
from floodloom.simulate.chips import make_chip
from floodloom.stages.delineate import delineate

GRID = grid_from_bounds((400000, 5000000, 402400, 5002000), 32633, 10.0)
SHAPE = tuple(GRID.shape.yx)
AREAS = pixel_areas(GRID)
LOOKS = 4.4
UNDER = Reason.UNDER_PLANTS.value

WATER = (slice(60, 140), slice(80, 120))
WOOD = (slice(60, 140), slice(120, 160))  # beside the water
ALONE = (slice(60, 140), slice(190, 230))  # a wood far from it
FIELD = (slice(60, 140), slice(40, 80))  # bare, on the water's other side
BANDS = ("vv", "vh")


Changes = Sequence[tuple[tuple[slice, slice], tuple[float, float]]]


def masked(*places: tuple[slice, slice]) -> np.ndarray:
    found = np.zeros(SHAPE, bool)
    for place in places:
        found[place] = True
    return found


def date(seed: int, changes: Changes = (), flood: bool = False) -> dict[str, np.ndarray]:
    """Speckled linear power of a date; `changes` of places, dB of VV and VH."""
    draw = np.random.default_rng(seed)
    found = {}
    for number, (band, land, wood, water) in enumerate(
        (("vv", -11, -8, -20), ("vh", -17, -13.5, -27))
    ):
        level = np.full(SHAPE, float(land))
        level[masked(WOOD, ALONE)] = wood
        level[FIELD] -= 5  # bare
        for place, change in changes:
            level[place] += change[number]
        if flood:
            level[WATER] = water
        power = 10 ** (level / 10) * draw.gamma(LOOKS, 1 / LOOKS, SHAPE)
        found[band] = power.astype(np.float32)
    return found


def pair(changes: Changes) -> Pair:
    after, before = date(1, changes, flood=True), date(2)
    return Pair(Backscatter(*after.values()), Backscatter(*before.values()))


def percents() -> tuple[np.ndarray, np.ndarray]:
    after = np.full(SHAPE, 3, "uint8")
    after[WATER] = 97
    return after, np.full(SHAPE, 3, "uint8")


def read(changes: Changes, **evidence) -> tuple[np.ndarray, np.ndarray]:
    after, before = percents()
    found = Evidence(after, before, pair=pair(changes), areas=AREAS, **evidence)
    return delineate_flood(found, DelineateSettings()).read()


BOUNCE = (3.0, 0.3)


def test_a_wood_beside_open_water_that_has_become_brighter_is_flooded_vegetation() -> None:
    classes, reasons = read([(WOOD, BOUNCE), (ALONE, BOUNCE)])
    called = reasons == UNDER
    assert called[WOOD].mean() > 0.9
    assert (classes[called] == 2).all()
    assert not called[masked(WATER)].any()
    assert not called[masked(ALONE)].any(), "it isn't joined to open water"
    beyond = called & ~binary_dilation(masked(WOOD), np.ones((3, 3)), 4)
    assert beyond.mean() < 0.002
    assert (classes[WATER] == 2).all()


@pytest.mark.parametrize(
    ("what", "where", "change"),
    [
        ("wet soil and growth raise both polarisations", FIELD, (3.0, 3.0)),
        ("rain on a wood, too", WOOD, (2.5, 2.5)),
        ("a field that was bare isn't among the brightest", FIELD, (3.0, 0.3)),
        ("a canopy that hides the water", WOOD, (0.3, 0.0)),
        ("what has become darker", WOOD, (-3.0, -0.3)),
    ],
)
def test_what_is_brighter_for_another_reason_is_not(what, where, change) -> None:
    changed, (classes, reasons) = masked(where), read([(where, change)])
    assert not (reasons == UNDER).any(), what
    assert (classes[changed] == 0).all()


def test_a_shift_of_the_whole_scene_makes_no_difference() -> None:
    rain = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
    assert not (read([(rain, (2.0, 1.5))])[1] == UNDER).any()
    changes = [(rain, (2.0, 1.5)), (WOOD, BOUNCE)]
    assert (read(changes)[1] == UNDER)[WOOD].mean() > 0.9


def test_without_a_scene_before_a_map_is_as_it_was() -> None:
    after, before = percents()
    expected = np.where(masked(WATER), 2, 0)
    classes, reasons = delineate_flood(
        Evidence(after, before, areas=AREAS), DelineateSettings()
    ).read()
    np.testing.assert_array_equal(classes, expected)
    assert not reasons.any()


def test_high_ground_and_towns_stay_excluded_and_dense_plants_do_not() -> None:
    height = np.zeros(SHAPE, "float32")
    height[:100] = 40
    settings = DelineateSettings(maximum_height=20)
    after, before = percents()
    evidence = Evidence(after, before, pair=pair([(WOOD, BOUNCE)]), areas=AREAS)
    ground = Ground(height=height)
    classes, reasons = delineate_flood(replace(evidence, ground=ground), settings).read()
    assert (reasons[:100] == Reason.ABOVE_DRAINAGE.value).all()
    assert (classes[105:135, 125:155] == 2).mean() > 0.9

    for cover, kept in ((10, True), (50, False)):
        ground = Ground(land_cover=np.where(masked(WOOD), cover, 40).astype("int32"))
        classes, reasons = delineate_flood(replace(evidence, ground=ground), settings).read()
        assert ((classes[WOOD] == 2).mean() > 0.9) == kept
        assert (reasons[WOOD] > 0).all()
        assert ((classes == 3) == ((reasons > 0) & (reasons != UNDER))).all()


def test_ground_that_may_have_been_water_before_is_not_called() -> None:
    after, before = percents()
    before[WOOD] = 30
    evidence = Evidence(after, before, pair=pair([(WOOD, BOUNCE)]), areas=AREAS)
    assert not (delineate_flood(evidence, DelineateSettings()).read()[1] == UNDER).any()
    after[0, :] = 255
    evidence = replace(evidence, after=after, before=percents()[1])
    classes, reasons = delineate_flood(evidence, DelineateSettings()).read()
    assert (reasons[WOOD] == UNDER).mean() > 0.9
    assert (classes[0] == 255).all()


def test_the_map_is_the_same_however_it_is_cut() -> None:
    changes = [(WOOD, BOUNCE), (ALONE, BOUNCE), (FIELD, (1.5, 0.2))]
    after, before = percents()
    found = pair(changes)
    found.after.co[70:75, 130:140] = np.nan
    evidence = Evidence(after, before, pair=found, areas=AREAS)
    expected = delineate_flood(evidence, DelineateSettings()).read()
    assert (expected[1] == UNDER).sum() > 2000
    for pace in (Pace(rows, threads) for rows in (1, 7, 64, 100) for threads in (1, 2)):
        made = delineate_flood(evidence, DelineateSettings(), pace).read()
        for ours, theirs in zip(made, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=str(pace))


@pytest.mark.parametrize("seed", [900013, 900044])
def test_flooded_woods_of_a_simulated_place_are_found(seed) -> None:
    """Where open water is known exactly; the truth says where there is water under plants."""
    chip = make_chip(seed, 256)
    truth, open_water = chip.label, (chip.label > 0) & chip.visible
    after = np.where(open_water, 97, 3).astype("uint8")
    before = np.where(chip.label == 1, 97, 3).astype("uint8")
    dates = [
        Backscatter(*(np.where(chip.valid, band, np.nan).astype("f4") for band in image))
        for image in (chip.after, chip.before)
    ]
    maps = [
        delineate_flood(Evidence(after, before, pair=p), DelineateSettings()).read()
        for p in (None, Pair(*dates))
    ]  # fmt: skip
    was, now = (np.sum((classes == 2) & (truth == 2)) for classes, _ in maps)
    called = maps[1][1] == UNDER
    assert now > was + 500
    assert (truth[called] == 2).mean() > 0.8


DRY = [900000, 900001, 900002, 900003, 900005, 900007, 900008, 900009]


def test_two_days_of_dry_places_hardly_differ_so() -> None:
    """Other weather and another season; rivers and lakes are taken for flood, which invites it."""
    called, wet = 0, 0
    for seed in DRY:
        chip = make_chip(seed, 192)
        assert not (chip.label == 2).any()
        after = np.where(chip.label == 1, 97, 3).astype("uint8")
        dates = [Backscatter(*image.astype("f4")) for image in (chip.after, chip.before)]
        evidence = Evidence(after, np.full_like(after, 3), pair=Pair(*dates))
        classes, reasons = delineate_flood(evidence, DelineateSettings()).read()
        called += int((reasons == UNDER).sum())
        wet += int(((classes == 2) & (reasons == 0)).sum())
    assert wet > 0.01 * len(DRY) * 192**2
    assert called < 0.005 * len(DRY) * 192**2


def test_quantiles_and_spread_are_those_of_the_values_in_any_order() -> None:
    values = np.random.default_rng(0).normal(0.7, 0.6, 40_000).astype("float32")
    values[:4000] += 6
    one, other = Distribution(), Distribution()
    one.add(values)
    for part in np.split(values[::-1], 8):
        other.add(part)
    np.testing.assert_array_equal(one.counts, other.counts)
    for share in (0.25, 0.5, 0.75):
        assert one.quantile(share) == pytest.approx(np.quantile(values, share), abs=0.03)
    median = np.median(values)
    expected = 1.4826 * np.median(np.abs(values - median))
    assert one.spread() == pytest.approx(expected, abs=0.05)


def test_limits_are_a_decibel_at_least_and_unknown_without_land() -> None:
    same = np.full((50, 50), 0.2, "float32")
    land = np.ones((50, 50), bool)
    found = find_limits([Brightening(land, same, same, same - 9)])
    assert found is not None
    assert found.co == pytest.approx((0.2 + LEAST_CHANGE_DB / 2, 0.2 + LEAST_CHANGE_DB), abs=0.02)
    assert find_limits([Brightening(~land, same, same, same)]) is None


def store(
    path: Path, bands: dict[str, np.ndarray], grid=GRID, recipe: Recipe | None = None, **attrs
) -> Path:
    layers = {name: wrap_xr(values, grid) for name, values in bands.items()}
    scene = xr.Dataset(layers).assign_attrs(
        {"acquisition_time": "2023-05-14T16:58:21", "orbit_direction": "ascending",
         "relative_orbit": 44, **attrs}
    )  # fmt: skip
    known = recipe or Recipe(quantity="gamma0", noise_removed=True, spacing=10.0)
    return write_store(stamp(scene, known), path)


def test_only_scenes_of_one_orbit_and_kind_with_both_polarisations_are_compared(tmp_path) -> None:
    after = store(tmp_path / "after.zarr", date(1))
    for name, (bands, stated) in {
        "another orbit": (date(2), {"relative_orbit": 117}),
        "another direction": (date(2), {"orbit_direction": "descending"}),
        "one polarisation": ({"vv": date(2)["vv"]}, {}),
        "another quantity": (date(2), {"recipe": Recipe(quantity="sigma0", spacing=10.0)}),
        "another grid": (date(2), {"grid": GRID.translate_pix(3, 0)}),
    }.items():
        before = store(tmp_path / f"{name}.zarr", bands, **stated)
        assert read_pair(after, [before], GRID) is None, name
    good = store(tmp_path / "good.zarr", date(2))
    found = read_pair(after, [good], GRID)
    assert found is not None
    np.testing.assert_array_equal(found.before.cross[:], date(2)["vh"])
    shown = Recipe(quantity="display")
    pictures = [store(tmp_path / f"d{n}.zarr", date(n), recipe=shown) for n in (1, 2)]
    assert read_pair(pictures[0], pictures[1:], GRID) is None


def test_of_several_dates_before_their_mean_counts(tmp_path) -> None:
    after = store(tmp_path / "after.zarr", date(1))
    dates = [date(2), date(3)]
    dates[0]["vv"][:5] = np.nan
    dates[1]["vv"][3:8] = np.nan
    paths = [store(tmp_path / f"{n}.zarr", one) for n, one in enumerate(dates)]
    found = read_pair(after, paths, GRID)
    assert found is not None
    power = found.before.co[:]
    np.testing.assert_allclose(power[:3], dates[1]["vv"][:3])
    assert np.isnan(power[3:5]).all()
    np.testing.assert_allclose(power[5:8], dates[0]["vv"][5:8])
    np.testing.assert_allclose(power[9], (dates[0]["vv"][9] + dates[1]["vv"][9]) / 2, rtol=1e-6)


def test_map_item_and_polygons_name_flooded_vegetation(tmp_path) -> None:
    percent, earlier = percents()
    tags = {
        "ACQUISITION_TIME": "2023-05-14T16:58:21", "FLOODLOOM_PRODUCT": "water_probability",
    }  # fmt: skip
    mosaics = [
        write_cog(values, tmp_path / f"{name}.tif", geobox=GRID, nodata=255, tags=tags)
        for name, values in (("p", percent), ("b", earlier))
    ]
    scene = store(tmp_path / "after.zarr", date(1, [(WOOD, BOUNCE)], flood=True))
    arguments = {
        "probability": [mosaics[0]], "before": mosaics[1:], "scene": scene,
        "before_scene": [store(tmp_path / "before.zarr", date(2))],
        "out": tmp_path / "flood.tif", "vectors": tmp_path / "flood.gpkg",
        "item": tmp_path / "flood.json",
    }  # fmt: skip
    delineate(**arguments_of(delineate, arguments))
    with rasterio.open(tmp_path / "flood.tif") as raster:
        classes, reasons = raster.read()
    under = reasons == UNDER
    assert under[WOOD].mean() > 0.9
    assert set(np.unique(classes)) == {0, 2}
    hectares = under.sum() / 100

    stated = json.loads((tmp_path / "flood.json").read_text())["properties"]
    assert stated["flooded_vegetation_ha"] == pytest.approx(hectares, rel=0.002)
    assert stated["area_ha"]["flood"] == pytest.approx((classes == 2).sum() / 100, rel=0.002)
    assert stated["excluded_ha"] == {}
    polygons = pyogrio.read_dataframe(tmp_path / "flood.gpkg")
    named = polygons.groupby("name")["area_ha"].sum()
    assert named["flooded vegetation"] == pytest.approx(hectares, rel=0.002)
    assert set(polygons["class"]) == {2}

    no_before = {**arguments, "before_scene": []}
    delineate(**arguments_of(delineate, no_before))
    with rasterio.open(tmp_path / "flood.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), np.where(masked(WATER), 2, 0))
    assert "flooded_vegetation_ha" not in (tmp_path / "flood.json").read_text()
