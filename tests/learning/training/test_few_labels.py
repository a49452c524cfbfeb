"""Where nearly all pixels are unknown, everything is counted on those that aren't."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.arrays import IGNORE
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.splits import training_and_validation
from floodloom.learning.data.training_set import (
    TrainingSet,
    class_statistics,
    sampling_weights,
)
from floodloom.learning.losses import LOSSES
from floodloom.learning.training.loop import fit
from floodloom.learning.training.settings import TrainingSettings
from floodloom.models.registry import build
from floodloom.tiles.annotator import annotate_tiles
from floodloom.tiles.settings import AnnotateSettings
from floodloom.tiles.store import concatenate_tiles

CLICKS = 3


@pytest.fixture
def tiles(make_tiles) -> xr.Dataset:
    """Three clicks a tile; the first training tile has none, the second water alone."""
    dense = concatenate_tiles([make_tiles(8), make_tiles(4, "validation", seed=1)])
    sparse = annotate_tiles(dense, AnnotateSettings(clicks=CLICKS))
    label = sparse["label"].values.copy()
    label[0] = IGNORE
    label[1][label[1] == 0] = IGNORE
    return sparse.assign(label=(("tile", "y", "x"), label))


def test_statistics_and_draws_are_those_of_the_labelled_pixels(tiles) -> None:
    training, validation = training_and_validation(tiles)
    assert (training.sizes["tile"], validation.sizes["tile"]) == (7, 4)
    label = training["label"].values
    counts = np.stack([(label == value).sum(axis=(1, 2)) for value in (0, 1)], axis=1)
    found = class_statistics(radar_samples(training), 2)
    np.testing.assert_array_equal(found.counts, counts)
    assert found.class_fractions == pytest.approx(counts.sum(axis=0) / counts.sum())
    image = training["image"].values[:, 0][label != IGNORE]
    assert float(found.mean[0]) == pytest.approx(image.mean(), rel=1e-5)
    assert float(found.deviation[0]) == pytest.approx(image.std(), rel=1e-4)
    drawn = sampling_weights(found.counts, 1.0)
    np.testing.assert_allclose(drawn, (counts / counts.sum(axis=0)).mean(axis=1))
    assert drawn.min() > 0


@pytest.mark.parametrize("name", LOSSES.names)
def test_every_loss_learns_from_clicks(tiles, name) -> None:
    training, validation = (radar_samples(part) for part in training_and_validation(tiles))
    torch.manual_seed(0)
    model = build("unet", 2, 2, width=4, depth=2)
    plan = TrainingSettings(
        epochs=2, batch=4, precision="float32", learning_rate=3e-3, loss=name, balance=1.0
    )
    change = Augmentation(cutmix=0.5, elastic=0.5)
    result = fit(model, TrainingSet.of(training, 2), validation, plan, augmentation=change)
    for epoch in result.history:
        assert math.isfinite(epoch["loss"])
        assert math.isfinite(epoch["validation_loss"])
    assert all(torch.isfinite(weight).all() for weight in result.weights.values())


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "festa"])
def test_clicks_teach_what_all_labels_would(make_tiles, name) -> None:
    """Scored on tiles whose labels are all known, which were never annotated."""
    sparse = annotate_tiles(make_tiles(24), AnnotateSettings(clicks=20))
    unseen = radar_samples(make_tiles(8, "validation", seed=1))
    torch.manual_seed(0)
    model = build("unet", 2, 2, width=4, depth=2)
    plan = TrainingSettings(epochs=25, batch=4, precision="float32", learning_rate=5e-3, loss=name)
    result = fit(model, TrainingSet.of(radar_samples(sparse), 2), unseen, plan)
    assert result.scores["iou"] > 0.7
