"""What a simulated annotator sets is true, in the inside of regions, and the same each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError
from scipy import ndimage

from floodloom.arrays import IGNORE
from floodloom.cli import main
from floodloom.errors import InputError
from floodloom.raster.recipe import Recipe
from floodloom.tiles.annotator import (
    Annotator,
    annotate_tiles,
    clicks,
    random_share,
    scribbles,
)
from floodloom.tiles.settings import AnnotateSettings
from floodloom.tiles.store import open_tiles, tile_dataset, write_tiles

KINDS: list[Callable[..., Annotator]] = [clicks, scribbles]


def dense(seed: int = 0, size: int = 64) -> np.ndarray:
    """(y, x) uint8 of dry ground and water in patches, unknown in the upper rows."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 4)
    label = (field > np.quantile(field, 0.65)).astype(np.uint8)
    label[:3] = IGNORE
    return label


def given(annotator: Annotator, label: np.ndarray, seed: int = 0) -> np.ndarray:
    return annotator(label, np.random.default_rng(seed))


@pytest.mark.parametrize(
    "annotator", [clicks(1), clicks(10), clicks(100), scribbles(3), random_share(0.01)]
)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_given_is_true_and_repeats(annotator: Annotator, seed: int) -> None:
    label = dense(seed)
    sparse = given(annotator, label, seed)
    known = sparse != IGNORE
    np.testing.assert_array_equal(sparse[known], label[known])
    assert known.any()
    np.testing.assert_array_equal(sparse, given(annotator, label, seed))
    assert (sparse != given(annotator, label, seed + 1)).any()


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_classes_take_turns(count: int) -> None:
    sparse = given(clicks(count), dense())
    numbers = [int((sparse == value).sum()) for value in (0, 1)]
    assert sum(numbers) == count
    assert abs(numbers[0] - numbers[1]) <= 1


def test_fewer_clicks_are_the_first_of_more() -> None:
    few, many = (given(clicks(count), dense()) for count in (5, 40))
    known = few != IGNORE
    np.testing.assert_array_equal(few[known], many[known])


def test_clicks_lie_in_the_inside_of_regions() -> None:
    """The first of each class as deep as seven tenths of its region's deepest place."""
    label = dense(2)
    sparse = given(clicks(2), label)
    for value in (0, 1):
        region, count = ndimage.label(label == value, np.ones((3, 3)))
        largest = np.bincount(region.ravel())[1:].argmax() + 1
        depth = ndimage.distance_transform_edt(label == value)
        ((row, col),) = np.argwhere(sparse == value)
        assert region[row, col] == largest
        assert depth[row, col] >= 0.7 * depth[region == largest].max()
        assert count > 1


def test_clicks_are_spread_over_regions_and_in_them() -> None:
    label = np.zeros((40, 120), np.uint8)
    label[5:35, 5:35] = label[5:35, 45:75] = label[5:35, 85:115] = 1
    region, _ = ndimage.label(label)
    sparse = given(clicks(24), label)
    assert np.bincount(region[sparse == 1]).tolist() == [0, 4, 4, 4]
    places = np.argwhere((sparse == 1) & (region == 1))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 5


def test_one_class_gets_all_clicks_and_a_full_tile_no_more() -> None:
    assert (given(clicks(9), np.zeros((8, 8), np.uint8)) == 0).sum() == 9
    tiny = np.array([[0, 1], [1, 1]], np.uint8)
    np.testing.assert_array_equal(given(clicks(50), tiny), tiny)
    unknown = np.full((8, 8), IGNORE, np.uint8)
    for annotator in (clicks(3), scribbles(3), random_share(0.5)):
        np.testing.assert_array_equal(given(annotator, unknown), unknown)


def test_a_scribble_runs_along_the_middle_from_end_to_end() -> None:
    label = np.zeros((40, 60), np.uint8)
    label[10:19, 5:55] = 1
    sparse = given(scribbles(2), label)
    rows, cols = np.nonzero(sparse == 1)
    middle = (cols > 10) & (cols < 50)
    assert set(rows[middle]) == {14}
    assert np.ptp(cols) >= 44
    assert ndimage.label(sparse == 1, np.ones((3, 3)))[1] == 1
    assert (sparse == 0).sum() > 40


def test_a_scribble_does_not_follow_the_edge_of_a_tile() -> None:
    label = np.zeros((40, 60), np.uint8)
    label[:, 30:] = 1
    rows, cols = np.nonzero(given(scribbles(2), label) != IGNORE)
    middle = (rows > 16) & (rows < 24)
    assert middle.sum() >= 14
    assert set(cols[middle] // 5) <= {2, 3, 8, 9}  # 15 and 45 are the middles


def test_a_share_is_that_share() -> None:
    label = dense()
    sparse = given(random_share(0.01), label)
    assert (sparse != IGNORE).sum() == round(0.01 * (label != IGNORE).sum())
    assert (given(random_share(1.0), label) == label).all()


def tiles(names: list[str]) -> xr.Dataset:
    label = np.stack([dense(seed) for seed in range(len(names))])
    image = np.zeros((len(names), 1, 64, 64), np.float32)
    image[:, :, :, 32:] = np.nan
    splits = ["train", "validation", "test"] * len(names)
    index: dict[str, list[object]] = {
        "tile_id": list(names),
        "event": ["e"] * len(names),
        "scene": list(names),
        "split": list(splits[: len(names)]),
        "row": [0] * len(names),
        "col": [0] * len(names),
    }
    recipe = Recipe(quantity="display").for_inputs(("vv",), normalisation="scene")
    return tile_dataset(image, label, index, recipe, ["dry", "water"])


def test_tiles_are_annotated_where_they_have_data_and_are_learnt_from() -> None:
    before = tiles(["a", "b", "c"])
    after = annotate_tiles(before, AnnotateSettings(clicks=6, seed=4))
    assert [(one != IGNORE).sum() for one in after["label"].values[:2]] == [6, 6]
    assert (after["label"][:2, :, 32:] == IGNORE).all()
    np.testing.assert_array_equal(after["label"][2], before["label"][2])
    assert after["fraction_water"].values[:2] == pytest.approx([3 / 64**2] * 2)
    alone = annotate_tiles(before.isel(tile=[1]), AnnotateSettings(clicks=6, seed=4))
    np.testing.assert_array_equal(alone["label"][0], after["label"][1])
    with pytest.raises(InputError, match="no training or validation tile is labelled"):
        annotate_tiles(before.isel(tile=[2]), AnnotateSettings(clicks=6))


def test_annotating_is_a_command(tmp_path, capsys) -> None:
    dense_store, out = tmp_path / "dense.zarr", tmp_path / "sparse.zarr"
    write_tiles(tiles(["a", "b", "c"]), dense_store)
    command = ["annotate", "--tiles", str(dense_store), "--out", str(out)]
    assert main([*command, "--share", "0.01", "--seed", "2"]) == 0
    assert (open_tiles(out)["label"][0] != IGNORE).sum() == round(0.01 * 61 * 32)
    assert main([*command, "--share", "0.01", "--clicks", "2"]) == 1
    assert "give one of clicks, scribbles and share" in capsys.readouterr().err
    with pytest.raises(ValidationError, match="give one of"):
        AnnotateSettings()
