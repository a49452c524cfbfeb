"""What training tiles hold is counted once, and tiles that can't be used are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from floodloom.errors import TrainingError
from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.training_set import class_statistics, describe_statistics
from floodloom.raster.store import recipe_of


@pytest.fixture
def tiles(make_tiles):
    return make_tiles(70)


def test_counts_and_statistics_are_those_of_all_labelled_pixels(tiles):
    samples = radar_samples(tiles)
    seen = class_statistics(samples, 3)
    known = (samples.label != 255).numpy()
    values = samples.image.numpy().astype(np.float64).transpose(1, 0, 2, 3)[:, known]
    np.testing.assert_allclose(seen.mean, values.mean(axis=1))
    np.testing.assert_allclose(seen.deviation, values.std(axis=1))
    assert seen.counts[:, 1].tolist() == (samples.label == 1).sum((1, 2)).tolist()
    fractions = seen.class_fractions
    assert fractions[2] == 0
    assert sum(fractions) == pytest.approx(1)


def test_statistics_are_told_in_decibel(tiles):
    """Dry ground lies at -10 and -16 dB, water 6 dB below on 35 % of it."""
    recipe = recipe_of(tiles)
    found = describe_statistics(class_statistics(radar_samples(tiles), 2), recipe, recipe.bands)
    assert found["class_fractions"][1] == pytest.approx(0.35, abs=0.03)
    assert found["bands"]["vv"]["unit"] == "dB"
    speckle = 10 / np.log(10) * (-0.118)  # mean of the logarithm of 4.4-look speckle
    assert found["bands"]["vv"]["mean"] == pytest.approx(-10 + speckle - 0.35 * 6, abs=0.2)
    assert found["bands"]["vh"]["mean"] == pytest.approx(-16 + speckle - 0.35 * 6, abs=0.2)
    display = recipe.model_copy(update={"normalisation": "scene"})
    plain = describe_statistics(class_statistics(radar_samples(tiles), 2), display, recipe.bands)[
        "bands"
    ]["vv"]
    assert plain["unit"] == "input"
    assert 17.5 * plain["deviation"] == pytest.approx(found["bands"]["vv"]["deviation"])


def test_a_label_that_is_no_class_is_refused(tiles):
    label = tiles.label.values.copy()
    label[66, 20, 20] = 7
    wrong = radar_samples(tiles.assign(label=(tiles.label.dims, label)))
    with pytest.raises(TrainingError, match=r"tile event_train_66: label 7 is no class; .*0 to 1"):
        class_statistics(wrong, 2)
    assert class_statistics(wrong, 8).counts[66, 7] == 1


def test_a_tile_without_a_valid_pixel_is_refused(tiles):
    image = tiles.image.values.copy()
    image[3] = np.nan
    empty = radar_samples(tiles.assign(image=(tiles.image.dims, image)))
    with pytest.raises(TrainingError, match=r"validation tile event_train_3: no labelled pixel"):
        class_statistics(empty, 2, "validation")
    assert class_statistics(empty, 2, labelled=False).counts[3].sum() == 0
    nothing = replace(empty, label=torch.full_like(empty.label, 255))
    with pytest.raises(TrainingError, match="no pixel of any is labelled"):
        class_statistics(nothing, 2, labelled=False)


def test_no_tile_at_all_is_refused(tiles):
    with pytest.raises(TrainingError, match=r"training tiles: there are none; .* at least one"):
        class_statistics(radar_samples(tiles).between(0, 0), 2)
