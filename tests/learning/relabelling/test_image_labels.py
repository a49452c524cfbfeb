"""Learning from labels of whole tiles alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from floodloom.arrays import IGNORE
from floodloom.learning.data.splits import labelled_as_a_whole, training_and_validation
from floodloom.learning.data.zarr_tiles import locate_tiles
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.relabelling.retraining import RoundTiles
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.learning.training.settings import TrainSettings
from floodloom.stages.relabel import relabel
from floodloom.stages.train import train
from floodloom.tiles.store import concatenate_tiles, open_tiles, write_tiles
from tests.learning.conftest import QUICK


def as_a_whole(tiles: xr.Dataset, label: int) -> xr.Dataset:
    """Tiles of which nothing else is known."""
    unknown = np.full_like(tiles["label"].values, IGNORE)
    whole = ("tile", np.full(tiles.sizes["tile"], label, np.uint8))
    tiles = tiles.assign(label=(("tile", "y", "x"), unknown, tiles["label"].attrs))
    return tiles.assign_coords(tile_label=whole)


@pytest.fixture
def tiles(make_tiles) -> xr.Dataset:
    """Wet and dry tiles to train on, and two of either kind to validate on."""
    parts = []
    for split, count, seed in (("train", 8, 0), ("validation", 4, 10)):
        for label, contrast in ((1, 6.0), (0, 0.0)):
            event = f"{split}-{label}"
            made = make_tiles(count, split, seed=seed + label, contrast=contrast, event=event)
            parts.append(as_a_whole(made, label))
    return concatenate_tiles(parts)


def test_every_pixel_takes_the_label_of_its_tile(tiles) -> None:
    training, validation = training_and_validation(tiles)
    assert labelled_as_a_whole(training)
    for part in (training, validation):
        expected = part["tile_label"].values[:, np.newaxis, np.newaxis]
        assert (part["label"].values == expected).all()
    assert (training.sizes["tile"], validation.sizes["tile"]) == (16, 8)


def test_pixels_that_are_labelled_count_more(tiles, make_tiles) -> None:
    pixels = make_tiles(2, "validation", seed=20).assign_coords(
        tile_label=("tile", np.full(2, IGNORE, np.uint8))
    )
    training, validation = training_and_validation(concatenate_tiles([tiles, pixels]))
    assert labelled_as_a_whole(training)
    np.testing.assert_array_equal(validation["label"].values, pixels["label"].values)

    more = pixels.assign_coords(split=("tile", ["train", "train"]))
    training, _ = training_and_validation(concatenate_tiles([tiles, more, pixels]))
    assert not labelled_as_a_whole(training)
    assert training.sizes["tile"] == 2


def test_pseudo_labels_take_the_place_of_those_of_whole_tiles(tiles, tmp_path) -> None:
    wet = tiles.isel(tile=np.flatnonzero(tiles["tile_label"].values == 1)[:8])
    pseudo = wet.assign(label=wet["label"].copy(data=np.ones_like(wet["label"].values)))
    stores = [write_tiles(tiles, tmp_path / "t.zarr"), write_tiles(pseudo, tmp_path / "p.zarr")]
    located = [locate_tiles(open_tiles(store), store) for store in stores]
    together = RoundTiles.load(*located, TrainSettings()).training
    assert len(together) == 16
    assert (together.label[:8][together.label[:8] != IGNORE] == 0).all()


def test_rounds_find_the_pixels_of_the_water(tiles, make_tiles, tmp_path) -> None:
    """From labels of whole tiles alone, without a single labelled pixel."""
    store = write_tiles(tiles, tmp_path / "tiles.zarr")
    target = make_tiles(4, "target", seed=30, labelled=False, event="target")
    offered = write_tiles(as_a_whole(target, 1), tmp_path / "target.zarr")
    settings = TrainSettings(**{**QUICK, "speckle_looks": None, "fine_tune_epochs": 4})
    first = train(tiles=[store], out=tmp_path / "0.safetensors", settings=settings)
    pseudo, audit = tmp_path / "pseudo.zarr", tmp_path / "audit.json"
    relabel(
        tiles=[offered], validation=[store], checkpoints=[first], out=pseudo, audit=audit,
        settings=RelabelSettings(gate="image-level", batch_statistics=0.0, likelihood=0.0),
    )  # fmt: skip
    assert not json.loads(audit.read_text())["acceptance"]
    found = open_tiles(pseudo)
    assert {name.split("_")[0] for name in found["tile_id"].values} == {"target", "train-1"}
    second = train(
        tiles=[store], pseudo=[pseudo], init=first, audit=audit, settings=settings,
        out=tmp_path / "1.safetensors",
    )  # fmt: skip
    truth = make_tiles(6, "test", seed=40)
    predicted = load_ensemble([second]).probabilities(truth.image.values)
    label = np.where(np.isnan(predicted[:, 0]), IGNORE, truth.label.values)
    matrix = confusion_matrix(np.nan_to_num(predicted).argmax(axis=1), label, 2)
    everything = confusion_matrix(np.ones_like(label), label, 2)
    assert foreground_scores(matrix)["iou"] > foreground_scores(everything)["iou"]
