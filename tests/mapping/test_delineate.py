import json
import warnings

import numpy as np
import pyogrio
import pytest
import rasterio
import xarray as xr
from odc.geo.xr import wrap_xr
from rasterio.features import rasterize

from floodloom.errors import InputError
from floodloom.mapping.delineate import Evidence, delineate_flood
from floodloom.mapping.exclusion import Ground, Reason
from floodloom.mapping.settings import DelineateSettings, EvaluateSettings
from floodloom.raster.align import onto_grid
from floodloom.raster.areas import pixel_areas
from floodloom.raster.cog import read_raster, write_cog
from floodloom.raster.grid import grid_from_bounds, pixel_geobox
from floodloom.raster.recipe import Flag
from floodloom.raster.store import write_store
from floodloom.settings import arguments_of
from floodloom.stages.delineate import delineate
from floodloom.stages.evaluate import evaluate

GRID = grid_from_bounds((400000, 5000000, 401000, 5000800), 32633, 10.0)
SHAPE = tuple(GRID.shape.yx)
TAGS = {"ACQUISITION_TIME": "2023-05-14T16:58:21", "FLOODLOOM_SCENE": "s"}


def uint8(*values: int) -> np.ndarray:
    return np.array([values], "uint8")


def rules(**settings: object) -> DelineateSettings:
    """Settings under which no patch is too small, unless they say so."""
    return DelineateSettings(**{"minimum_mapping_unit": 0.0, **settings})


def test_truth_table() -> None:
    evidence = Evidence(
        after=uint8(0, 49, 50, 100, 100, 100, 100, 255, 0, 255),
        before=uint8(0, 0, 49, 50, 255, 255, 0, 0, 0, 100),
        reference=uint8(255, 255, 255, 255, 255, 1, 255, 255, 255, 255),
        ground=Ground(
            uint8(0, 0, 0, 0, 0, 0, Flag.LAYOVER, Flag.LAYOVER, Flag.SHADOW | Flag.LOW_ANGLE, 0)
        ),
    )
    classes, reasons = delineate_flood(evidence, rules(before_threshold=50, shore_buffer=0)).read()
    assert classes.tolist() == [[0, 0, 2, 1, 3, 1, 3, 255, 3, 255]]
    assert reasons.tolist() == [[0, 0, 0, 0, 3, 0, 1, 0, 2, 0]]


def test_small_patches_go_to_their_surroundings_but_not_into_nodata() -> None:
    after = np.zeros((20, 20), "uint8")
    after[2:4, 2:4] = 100
    after[8:14, 8:14] = 100
    after[10, 10] = 0
    after[:, 18:] = 255
    classes, _ = delineate_flood(Evidence(after), rules(minimum_mapping_unit=0.06)).read()
    assert (classes[2:4, 2:4] == 0).all()
    assert (classes[8:14, 8:14] == 2).all()
    assert (classes[:, 18:] == 255).all()


def mosaic(path, seed: int = 0, dry: bool = False, grid=GRID):
    shape = tuple(grid.shape.yx)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    water = (np.hypot(rows - 40, cols - 50) < 20) | ((cols > 80) & (rows % 7 < 3))
    percent = np.where(water & (not dry), 90, 5).astype("uint8")
    percent[:5] = 255
    return write_cog(percent, path, geobox=grid, nodata=255, tags=TAGS)


def hectares(mask: np.ndarray, grid) -> float:
    return pixel_areas(grid).by_value(mask, 1)[1] / 10_000


def run(folder, **arguments):
    products = {
        "out": folder / "flood.tif",
        "vectors": folder / "flood.gpkg",
        "item": folder / "flood.json",
    }
    return delineate(**arguments_of(delineate, {**products, **arguments}))


@pytest.mark.parametrize("grid", [GRID, pixel_geobox(80, 100)])
def test_polygons_are_the_raster_to_the_pixel(tmp_path, grid) -> None:
    run(tmp_path, probability=[mosaic(tmp_path / "p.tif", grid=grid)], minimum_mapping_unit=0.05)
    classes, found = read_raster(tmp_path / "flood.tif")
    frame = pyogrio.read_dataframe(tmp_path / "flood.gpkg")
    pairs = list(zip(frame.geometry, frame["class"], strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        painted = rasterize(pairs, SHAPE, transform=found.affine, dtype="uint8")
    expected = np.where(np.isin(classes, [1, 2, 3]), classes, 0)
    np.testing.assert_array_equal(painted, expected)
    flood = frame[frame["name"] == "flood"]
    assert flood["area_ha"].sum() == pytest.approx(hectares(classes == 2, found))
    assert (flood["likelihood"] == 90).all()
    assert set(flood["date"]) == {"2023-05-14"}


def test_item_and_map_say_what_they_are(tmp_path) -> None:
    run(tmp_path, probability=[mosaic(tmp_path / "p.tif")])
    item = json.loads((tmp_path / "flood.json").read_text())
    assert item["properties"]["datetime"] == "2023-05-14T16:58:21Z"
    assert set(item["assets"]) == {"flood", "polygons"}
    assert item["bbox"][0] < item["bbox"][2]
    with rasterio.open(tmp_path / "flood.tif") as raster:
        assert raster.count == 2
        assert raster.nodata == 255
        assert raster.tags()["FLOODLOOM_PRODUCT"] == "flood_map"
        assert raster.colormap(1)[2] == (230, 85, 13, 255)
        classes = raster.read(1)
    for name, value in (("flood", 2), ("dry", 0)):
        expected = hectares(classes == value, GRID)
        assert item["properties"]["area_ha"][name] == pytest.approx(expected, abs=1e-4)


def test_dry_scene_gives_empty_valid_products(tmp_path) -> None:
    run(tmp_path, probability=[mosaic(tmp_path / "p.tif", dry=True)])
    classes, _ = read_raster(tmp_path / "flood.tif")
    assert set(np.unique(classes)) == {0, 255}
    frame = pyogrio.read_dataframe(tmp_path / "flood.gpkg")
    assert len(frame) == 0
    assert {"class", "name", "area_ha", "likelihood"} <= set(frame.columns)


def test_raster_shifted_by_whole_pixels_is_moved_exactly() -> None:
    other = grid_from_bounds((400050, 4999900, 400950, 5000700), 32633, 10.0)
    values = np.random.default_rng(0).integers(0, 100, tuple(other.shape.yx)).astype("uint8")
    moved = onto_grid(values, other, GRID, 255, "before")
    np.testing.assert_array_equal(moved[10:80, 5:95], values[:70])
    assert (moved[:10] == 255).all()
    assert (moved[:, :5] == 255).all()


def test_raster_on_another_grid_is_reprojected_and_said_so(caplog) -> None:
    other = grid_from_bounds((400003, 5000000, 401003, 5000800), 32633, 20.0)
    values = np.full(tuple(other.shape.yx), 7, "uint8")
    moved = onto_grid(values, other, GRID, 255, "before")
    assert (moved[10:70, 10:90] == 7).all()
    assert "before: on another grid" in caplog.text


def test_rasters_that_cannot_be_placed_are_refused() -> None:
    with pytest.raises(InputError, match="no CRS in common"):
        onto_grid(np.zeros((3, 3), "uint8"), pixel_geobox(3, 3), GRID, 255, "before")


def test_evaluation_pools_events_and_names_them(tmp_path) -> None:
    paths = {}
    for name, share in (("one", 0.5), ("two", 0.1)):
        true = np.zeros(SHAPE, "uint8")
        true[:, : int(SHAPE[1] * share)] = 2
        folder = tmp_path / name
        predicted = np.roll(true, 10, axis=1)
        tags = {"FLOODLOOM_PRODUCT": "flood_map"}
        write_cog(predicted, folder / "flood.tif", geobox=GRID, nodata=255, tags=tags)
        write_cog(true, folder / "truth.tif", geobox=GRID, nodata=255)
        paths[name] = (folder / "flood.tif", folder / "truth.tif")
    evaluate(
        out=tmp_path / "e.json",
        prediction=[p for p, _ in paths.values()],
        truth=[t for _, t in paths.values()],
    )
    summary = json.loads((tmp_path / "e.json").read_text())
    by_event = summary["by_event"]
    assert set(by_event) == {"one", "two"}
    for count in ("tp", "fp", "fn", "tn"):
        assert summary["flood"][count] == sum(by_event[e]["flood"][count] for e in by_event)
    tp, fp, fn = (summary["flood"][count] for count in ("tp", "fp", "fn"))
    assert summary["flood"]["iou"] == pytest.approx(tp / (tp + fp + fn))
    mean = np.mean([by_event[e]["flood"]["iou"] for e in by_event])
    assert summary["flood"]["iou"] != pytest.approx(mean)


def test_evaluation_without_pairs_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="1 predictions but 0 truths"):
        evaluate(out=tmp_path / "e.json", prediction=[tmp_path / "p.tif"])
    with pytest.raises(InputError, match="give both or neither"):
        evaluate(out=tmp_path / "e.json", tiles=[tmp_path / "t.zarr"])
    with pytest.raises(InputError, match="nothing to score"):
        evaluate(out=tmp_path / "e.json")


def test_two_maps_of_one_event_are_both_counted(tmp_path) -> None:
    pairs = []
    for number, flooded in enumerate((300, 50)):
        true = np.zeros(SHAPE, "uint8")
        true.flat[:flooded] = 2
        path = tmp_path / f"{number}.tif"
        pairs.append(write_cog(true, path, geobox=GRID, nodata=255))
    evaluate(
        out=tmp_path / "e.json",
        prediction=pairs,
        truth=pairs,
        settings=EvaluateSettings(event=("one", "one")),
    )
    summary = json.loads((tmp_path / "e.json").read_text())
    assert summary["by_event"]["one"]["flood"] == summary["flood"]
    assert summary["flood"]["tp"] == 350


def test_fringe_of_a_lake_is_not_flood() -> None:
    lake = np.zeros((30, 30), "uint8")
    lake[5:15, 5:15] = 100
    after = lake.copy()
    after[4, 5:15] = 100
    after[20:26, 3:20] = 100
    classes, _ = delineate_flood(Evidence(after, lake), rules(minimum_mapping_unit=0.2)).read()
    assert (classes[4:15, 5:15] == 1).all()
    assert (classes[20:26, 3:20] == 2).all()
    assert (classes == 2).sum() == 6 * 17


def test_water_between_a_lake_and_flood_beyond_its_shore_is_flood() -> None:
    lake = np.zeros((30, 30), "uint8")
    lake[:, :8] = 100
    after = lake.copy()
    after[:, 8] = 100  # mixed pixels, all along
    after[10:20, 8:20] = 100
    for reference in (None, (lake > 0).astype("uint8")):
        found = delineate_flood(Evidence(after, lake, reference=reference), rules())
        classes, _ = found.read()
        assert (classes[:, :8] == 1).all()
        assert (classes[9:21, 8] == 2).all()
        assert (classes[:9, 8] == 1).all()
        assert (classes[21:, 8] == 1).all()
        assert (classes[10:20, 9:20] == 2).all()


def test_flood_is_what_was_land_with_confidence() -> None:
    """Columns: water before, then doubt, then land; both grow by a buffer of two pixels."""
    after = np.full((12, 40), 100, "uint8")
    before = np.zeros((12, 40), "uint8")
    before[:, :10] = 90
    before[:, 10:15] = 21
    before[:, 15:20] = 19
    after[:, 17:] = 0
    classes, reasons = delineate_flood(Evidence(after, before), rules(shore_buffer=2)).read()
    assert (classes[:, :12] == 1).all()
    assert (classes[:, 12:17] == 3).all()
    assert (reasons[:, 12:17] == Reason.BEFORE_UNKNOWN.value).all()
    assert (classes[:, 17:] == 0).all()
    after[:, 17:] = 100
    classes, reasons = delineate_flood(Evidence(after, before), rules(shore_buffer=2)).read()
    assert (classes[:, 12:15] == 3).all()
    assert (classes[:, 15:] == 2).all()
    land = np.zeros_like(before)
    trusted, _ = delineate_flood(
        Evidence(after, before, reference=land), rules(shore_buffer=2)
    ).read()
    assert (trusted[:, 12:] == 2).all()


def test_grid_in_degrees_keeps_its_patches_and_has_hectares(tmp_path) -> None:
    grid = grid_from_bounds((14.0, 46.0, 14.01, 46.008), 4326, 0.0001)
    run(tmp_path, probability=[mosaic(tmp_path / "p.tif", grid=grid)], minimum_mapping_unit=0.02)
    classes, _ = read_raster(tmp_path / "flood.tif")
    frame = pyogrio.read_dataframe(tmp_path / "flood.gpkg")
    expected = hectares(classes == 2, grid)
    assert frame.loc[frame["class"] == 2, "area_ha"].sum() == pytest.approx(expected, rel=1e-9)
    assert expected > 5
    item = json.loads((tmp_path / "flood.json").read_text())
    assert item["properties"]["area_ha"]["flood"] == pytest.approx(expected, abs=1e-3)
    assert item["properties"]["proj:code"] == "EPSG:4326"


def test_products_name_their_event(tmp_path) -> None:
    run(tmp_path, probability=[mosaic(tmp_path / "p.tif")], event="dunlin")
    assert set(pyogrio.read_dataframe(tmp_path / "flood.gpkg")["event"]) == {"dunlin"}
    assert json.loads((tmp_path / "flood.json").read_text())["id"] == "dunlin"


def test_item_without_a_date_says_when_it_may_have_been(tmp_path) -> None:
    path = write_cog(np.zeros(SHAPE, "uint8"), tmp_path / "p.tif", geobox=GRID, nodata=255)
    run(tmp_path, probability=[path])
    properties = json.loads((tmp_path / "flood.json").read_text())["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] < properties["end_datetime"]


def test_flags_exclude_only_their_own_ground(tmp_path) -> None:
    other = grid_from_bounds((400100, 5000000, 400500, 5000800), 32633, 10.0)
    flags = np.full(tuple(other.shape.yx), Flag.SHADOW.value, "uint8")
    scene = xr.Dataset({"flags": wrap_xr(flags, other)})
    write_store(scene, tmp_path / "scene.zarr")
    run(tmp_path, probability=[mosaic(tmp_path / "p.tif")], scene=tmp_path / "scene.zarr")
    classes, _ = read_raster(tmp_path / "flood.tif")
    assert (classes[5:, 10:50] == 3).all()
    assert not (classes[:, 50:] == 3).any()
    assert (classes[:5] == 255).all()
