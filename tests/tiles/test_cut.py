import dataclasses
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from odc.geo.xr import wrap_xr, xr_coords
from pydantic import ValidationError

from floodloom.arrays import IGNORE
from floodloom.errors import InputError, RecipeMismatchError
from floodloom.learning.data.zarr_tiles import ZarrTiles, locate_tiles
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.tiles.cut import Source, cut_tiles
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import concatenate_tiles, open_tiles, refuse_leaks, write_tiles

CLASSES = ("dry", "water")
RECIPE = Recipe(quantity="sigma0", spacing=10.0).for_inputs(("vv", "vh"))
GRID = grid_from_bounds((400000, 5000000, 403000, 5002000), 32633, 10.0)


def source(
    name: str = "s", orbit_pass: str = "ascending-1", optical: bool = False, from_x: float = 400500
) -> Source:
    """Return a scene that has data from an easting on."""
    rows, cols = np.mgrid[: GRID.shape.y, : GRID.shape.x].astype("float32")
    inputs = xr.concat([wrap_xr(rows, GRID), wrap_xr(cols, GRID)], "band")
    inputs = inputs.where(inputs.x > from_x)
    image = inputs.rename(band="channel").assign_coords(channel=["green", "nir"])
    label = (cols > 250).astype("uint8")
    return Source(inputs, label, "event", name, orbit_pass, image if optical else None)


def cut(origin: Source | None = None, recipe: Recipe = RECIPE, **plan: object) -> xr.Dataset:
    settings = {"split": "train", "size": 64, **plan}
    return cut_tiles(origin or source(), recipe, classes=CLASSES, settings=TileSettings(**settings))


def test_tiles_hold_what_lies_at_their_place() -> None:
    tiles = cut(source(optical=True), stride=40)
    rows, cols = np.mgrid[:64, :64]
    for tile in range(tiles.sizes["tile"]):
        one = tiles.isel(tile=tile)
        valid = np.isfinite(one.image.values[0])
        np.testing.assert_array_equal(one.image.values[0][valid], (rows + int(one.row))[valid])
        np.testing.assert_array_equal(one.image.values[1][valid], (cols + int(one.col))[valid])
        np.testing.assert_array_equal(one.optical.values, one.image.values)
        expected = np.where(valid, cols + int(one.col) > 250, IGNORE)
        np.testing.assert_array_equal(one.label.values, expected)
        assert float(one.valid_fraction) == pytest.approx(valid.mean())
        assert float(one.fraction_water) == pytest.approx((one.label.values == 1).mean())


def test_regular_plan_covers_the_scene() -> None:
    tiles = cut(source(from_x=0), stride=64)
    painted = np.zeros(tuple(GRID.shape.yx), dtype=int)
    for row, col in zip(tiles.row.values, tiles.col.values, strict=True):
        painted[row : row + 64, col : col + 64] += 1
    assert painted.min() == 1


def test_only_the_rows_that_hold_a_tile_are_read() -> None:
    grid = grid_from_bounds((400000, 5000000, 401280, 5025600), 32633, 10.0)
    read: list[int] = []

    def block(block_info: Any = None) -> np.ndarray:
        first = block_info[None]["array-location"][1][0]
        read.append(first)
        return np.full((2, 512, 128), first, dtype=np.float32)

    image = da.map_blocks(block, chunks=((2,), (512,) * 5, (128,)), dtype=np.float32)
    inputs = xr.DataArray(image, dims=("band", "y", "x"), coords=xr_coords(grid))
    label = np.indices((2560, 128))[1] > 50
    tiles = cut(Source(inputs, label.astype("uint8"), "event", "s", "ascending-1"))
    read.clear()
    assert tiles.image[-1].values.max() == 2048
    assert set(read) == {2048}


def test_drawn_tiles_hold_what_lies_at_their_place() -> None:
    tiles = cut(source(from_x=0), samples=40)
    assert (np.diff(tiles.row) < 0).any()  # as drawn, not as cut
    np.testing.assert_array_equal(tiles.image[:, 0, 0, -1], tiles.row)
    np.testing.assert_array_equal(tiles.image[:, 1, 0, -1], tiles.col + 63)


def test_empty_tiles_are_left_out() -> None:
    columns = [set(cut(source(from_x=first)).col.values) for first in (400320, 400330)]
    assert columns[0] - columns[1] == {0}
    assert cut(source(from_x=400320)).valid_fraction.min() == 0.5


def test_random_tiles_are_balanced_and_reproducible() -> None:
    tiles = cut(samples=60, seed=3)
    centre = tiles.label.isel(y=32, x=32).values
    inside = (tiles.col.values > 0) & (tiles.col.values < GRID.shape.x - 64)
    share = (centre[inside] == 1).mean()
    assert tiles.sizes["tile"] == 60
    assert 0.2 < share < 0.8  # water covers 17 % of the scene
    np.testing.assert_array_equal(tiles.row, cut(samples=60, seed=3).row)
    assert (tiles.row.values != cut(samples=60, seed=4).row.values).any()


def test_few_labelled_pixels_lie_anywhere_in_their_tiles() -> None:
    few = source()
    label = np.full_like(few.label, IGNORE)
    label[100, 120], label[40, 260] = 0, 1
    tiles = cut(dataclasses.replace(few, label=label), samples=40)
    assert tiles.sizes["tile"] == 40
    assert ((tiles.label != IGNORE).sum(("y", "x")) >= 1).all()
    assert [(tiles.label == value).sum() for value in (0, 1)] == [20, 20]
    assert len(set(zip(tiles.row.values, tiles.col.values, strict=True))) > 30


def test_blocks_share_no_pixel() -> None:
    tiles = cut(source(from_x=0), split="blocks", size=32, stride=16)
    columns = {
        split: {
            pixel
            for col in tiles.col.values[tiles.split.values == split]
            for pixel in range(col, col + 32)
        }
        for split in ("train", "validation", "test")
    }
    assert all(columns.values())
    assert not columns["train"] & columns["validation"]
    assert not columns["validation"] & columns["test"]


def test_scene_without_labels_is_a_target() -> None:
    blank = source()
    blank = dataclasses.replace(blank, label=np.full_like(blank.label, IGNORE))
    assert set(cut(blank, samples=5).split.values) == {"target"}


def test_stores_concatenate_and_optical_is_filled_with_nan(tmp_path) -> None:
    paths = [tmp_path / "with.zarr", tmp_path / "without.zarr", tmp_path / "empty.zarr"]
    write_tiles(cut(source(optical=True)), paths[0])
    write_tiles(cut(source("other")), paths[1])
    write_tiles(cut().isel(tile=slice(0)), paths[2])
    both = open_tiles(paths)
    count = open_tiles(paths[0]).sizes["tile"]
    assert both.sizes["tile"] == 2 * count
    assert both.optical[:count].notnull().any()
    assert both.optical[count:].isnull().all()
    assert list(both.scene.values) == ["s"] * count + ["other"] * count
    assert list(both.band.values) == ["vv", "vh"]
    assert open_tiles(paths[2]).sizes["tile"] == 0


def test_stores_of_different_recipes_do_not_mix(tmp_path) -> None:
    write_tiles(cut(), tmp_path / "a.zarr")
    write_tiles(cut(recipe=RECIPE.model_copy(update={"spacing": 20.0})), tmp_path / "b.zarr")
    with pytest.raises(RecipeMismatchError, match=r"b\.zarr: spacing"):
        open_tiles([tmp_path / "a.zarr", tmp_path / "b.zarr"])


def test_same_ground_on_both_sides_is_refused() -> None:
    training, held_out = cut(), cut(source("other"), split="validation", stride=50)
    with pytest.raises(InputError, match="show the same place on the same pass"):
        refuse_leaks(concatenate_tiles([training, held_out]))
    refuse_leaks(training)
    placeless = concatenate_tiles([training, held_out])
    nowhere = {s: ("tile", np.full(placeless.sizes["tile"], np.nan)) for s in ("left", "bottom")}
    refuse_leaks(placeless.assign_coords(nowhere))
    elsewhere = cut(source("other", orbit_pass="descending-7"), split="validation", stride=50)
    refuse_leaks(concatenate_tiles([training, elsewhere]))


def test_neighbours_share_no_ground_where_north_is_not_up() -> None:
    grid = grid_from_bounds((260000, 7000000, 263000, 7002000), 32633, 10.0)  # 4° off
    image = xr.concat([wrap_xr(np.zeros((200, 300), "float32"), grid)] * 2, "band")
    turned = Source(image, np.zeros((200, 300), "uint8"), "event", "s", "ascending-1")
    tiles = cut(turned, split="blocks")
    assert set(tiles.split.values) == {"train", "validation", "test"}
    refuse_leaks(tiles)
    moved = cut(turned, split="validation", stride=50)
    with pytest.raises(InputError, match="show the same place on the same pass"):
        refuse_leaks(concatenate_tiles([cut(turned), moved]))


@pytest.mark.parametrize(
    "plan",
    [{"split": "holdout"}, {"size": 16}, {"bands": ()}],
)
def test_senseless_plans_are_refused(plan: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="TileSettings"):
        cut(**plan)


def test_labels_of_another_size_are_refused() -> None:
    bad = dataclasses.replace(source(), label=np.zeros((3, 3), "uint8"))
    with pytest.raises(InputError, match="put them on the scene's grid"):
        cut(bad)


def test_what_is_known_of_whole_tiles_comes_along() -> None:
    whole = np.full(tuple(GRID.shape.yx), IGNORE, np.uint8)
    whole[:, :128] = 0
    whole[10:20, 70:80] = 1
    tiles = cut(dataclasses.replace(source(from_x=0), whole=whole))
    known = {
        (row, col): label
        for row, col, label in zip(
            tiles.row.values, tiles.col.values, tiles.tile_label.values, strict=True
        )
    }
    assert tiles.tile_label.dtype == np.uint8
    assert [known[0, 0], known[0, 64], known[0, 128]] == [0, 1, IGNORE]
    assert known[64, 64] == 0
    assert (cut().tile_label == IGNORE).all()


@pytest.mark.parametrize("channels", [[1, 0], [1]])
def test_optical_channels_are_those_that_all_images_have(tmp_path, channels) -> None:
    """Of every store in one order, from memory and from disk alike."""
    paths = [tmp_path / name for name in ("one.zarr", "other.zarr", "radar.zarr")]
    tiles = cut(source(optical=True))
    write_tiles(tiles.isel(channel=channels), paths[0])
    write_tiles(tiles, paths[1])
    write_tiles(cut(), paths[2])
    found = open_tiles(paths)
    assert found.channel.values.tolist() == [tiles.channel.values[at] for at in channels]
    once, count = tiles.optical.values[:, channels], tiles.sizes["tile"]
    expected = np.concatenate([once, once, np.full_like(once, np.nan)])
    np.testing.assert_array_equal(found.optical.values, expected)

    stored = ZarrTiles(locate_tiles(found, paths))
    index = np.array([2 * count, count, 0, count + 1])
    np.testing.assert_array_equal(stored.read(index).optical.values, expected[index])


def test_optical_images_without_a_common_channel_are_refused(tmp_path) -> None:
    tiles = cut(source(optical=True))
    paths = [write_tiles(tiles.isel(channel=[n]), tmp_path / f"{n}.zarr") for n in (0, 1)]
    with pytest.raises(InputError, match=r"0\.zarr has \['green'\], .*1\.zarr has \['nir'\]"):
        open_tiles(paths)
