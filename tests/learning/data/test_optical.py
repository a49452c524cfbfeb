"""What networks see of optical images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.errors import ConfigError, InputError, RecipeMismatchError
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.optical import (
    choose_labels,
    fused_samples,
    has_optical,
    optical_channels,
    optical_samples,
    paired_samples,
    standardise_optical,
    unlabelled_pairs,
)
from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.network import untrained
from floodloom.learning.training.settings import NetworkSettings, TrainingSettings
from floodloom.learning.training.train import train_checkpoint
from floodloom.tiles.store import concatenate_tiles


def test_inputs_are_standardised_and_clouds_ignored(make_tiles):
    tiles = make_tiles(6, optical=True)
    samples = optical_samples(tiles, standardise_optical(tiles))
    clear = samples.image[..., :-4]
    torch.testing.assert_close(clear.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(clear.std((0, 2, 3)), torch.ones(4), atol=1e-2, rtol=0)
    assert (samples.label[..., -4:] == 255).all()
    assert not samples.image[..., -4:].any()


def test_the_companion_is_clear_where_both_see(make_tiles):
    tiles = make_tiles(2, optical=True)
    clear = paired_samples(tiles, standardise_optical(tiles)).clear
    assert clear[:, 2:, :-4].all()
    assert not clear[:, :2].any()
    assert not clear[..., -4:].any()


def test_fused_inputs_keep_the_labels_under_clouds(make_tiles):
    tiles = make_tiles(2, optical=True)
    standardisation = standardise_optical(tiles, ("nir",))
    both, alone = fused_samples(tiles, standardisation), radar_samples(tiles)
    assert torch.equal(both.image[:, :2], alone.image)
    assert not both.image[:, 2, :, -4:].any()
    assert torch.equal(both.label, alone.label)


def test_it_is_asked_for_where_it_is_missing(make_tiles):
    tiles = make_tiles(2)
    assert not has_optical(tiles).any()
    with pytest.raises(InputError, match="none has an optical image"):
        standardise_optical(tiles)
    taught = standardise_optical(make_tiles(2, optical=True))
    with pytest.raises(RecipeMismatchError, match=r"channels are \[\]"):
        paired_samples(tiles, taught)


def test_tiles_without_one_may_stand_beside_tiles_with_one(make_tiles):
    tiles = concatenate_tiles([make_tiles(2, optical=True), make_tiles(3, seed=1)])
    assert has_optical(tiles).tolist() == [True, True, False, False, False]
    assert optical_channels(tiles) == ("green", "red", "nir", "ndwi")
    samples = paired_samples(tiles, standardise_optical(tiles))
    assert samples.clear.flatten(1).any(1).tolist() == [True, True, False, False, False]


def two_dates(tiles):
    """The same tiles with an earlier image, and short-wave infrared."""
    late = tiles.optical.assign_coords(channel=["green", "swir", "nir"])
    early = (0.9 * late).assign_coords(channel=["before_green", "before_red", "before_nir"])
    return tiles.drop_vars(["optical", "channel"]).assign(
        optical=xr.concat([early, late], dim="channel").transpose("tile", "channel", "y", "x")
    )


def test_indices_are_made_of_the_channels_of_their_date(make_tiles):
    tiles = two_dates(make_tiles(2, optical=True))
    assert optical_channels(tiles)[6:] == ("before_ndwi", "ndwi", "mndwi")
    chosen = ("mndwi", "before_ndwi")
    standardisation = standardise_optical(tiles, chosen)
    seen = optical_samples(tiles, standardisation).image[..., :-4]
    optical = tiles.optical.sel(channel=["green", "swir", "nir"]).values[..., :-4]
    green, swir, nir = np.moveaxis(optical, 1, 0)
    for at, expected in enumerate(((green - swir) / (green + swir), (green - nir) / (green + nir))):
        found = seen[:, at] * standardisation.deviation[at] + standardisation.mean[at]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    with pytest.raises(InputError, match="channels: thermal isn't in the optical images"):
        optical_channels(tiles, ("thermal",))


def test_a_water_index_labels_where_nobody_did(make_tiles):
    tiles = make_tiles(4, "target", optical=True, labelled=False)
    truth = make_tiles(4, "target", optical=True).label.values == 1
    optical = tiles.optical.values.copy()
    optical[:, 0], optical[:, 2] = 0.1, np.where(truth, 0.02, 0.4)
    optical[..., -4:] = np.nan
    labelled = choose_labels(tiles.assign(optical=(tiles.optical.dims, optical)), "water_index")
    assert set(labelled.split.values) == {"train"}
    np.testing.assert_array_equal(labelled.label.values[..., :-4], truth[..., :-4])
    assert (labelled.label.values[..., -4:] == 255).all()
    assert choose_labels(tiles, "given") is tiles
    with pytest.raises(ConfigError, match="labels 'guess': choose"):
        choose_labels(tiles, "guess")
    with pytest.raises(InputError, match="a water index needs green"):
        choose_labels(make_tiles(1), "water_index")


def test_labels_of_unlabelled_pairs_are_hidden(make_tiles):
    pairs = make_tiles(4, "target", optical=True, event="target")
    tiles = concatenate_tiles([make_tiles(3, optical=True), pairs, make_tiles(2, "target")])
    found = unlabelled_pairs(tiles, 9)
    assert found.tile_id.values.tolist() == pairs.tile_id.values.tolist()
    assert (found.label == 255).all()
    assert unlabelled_pairs(tiles, 2).tile_id.values.tolist() == pairs.tile_id.values[::2].tolist()
    assert not unlabelled_pairs(make_tiles(3, optical=True), 9).sizes["tile"]


def test_a_network_that_learnt_to_do_without_the_optical_image_can(make_tiles):
    """Blank optical channels cost little after modality dropout, and much without it.

    In late fusion radar has a word of its own, so it needs no dropout.
    """
    tiles = make_tiles(32, seed=3, optical=True)
    standardisation = standardise_optical(tiles)
    held = make_tiles(8, "validation", seed=4, optical=True)
    whole = fused_samples(held, standardisation)
    image = whole.image.clone()
    image[:, 2:] = 0
    blank = replace(whole, image=image)

    def scores(start, training, validation, **change):
        torch.set_num_threads(1)
        learnt = train_checkpoint(
            start,
            TrainingSet.of(training, 2),
            validation,
            TrainingSettings(
                epochs=10, batch=4, precision="float32", learning_rate=3e-3, patience=99
            ),
            augmentation=Augmentation(second_sensor=2, **change),
        )
        seen = blank if learnt.inputs == "fused" else validation
        network = learnt.model()
        with torch.inference_mode():
            matrix = confusion_matrix(network(seen.image).argmax(1).numpy(), seen.label.numpy(), 2)
        return foreground_scores(matrix)["iou"]

    def fresh(architecture):
        return untrained(
            tiles, NetworkSettings(model=architecture, width=4), 0, standardisation, fused=True
        )

    training = fused_samples(tiles, standardisation)
    alone = untrained(tiles, NetworkSettings(model="fcn8", width=4), 0)
    radar = scores(alone, radar_samples(tiles), radar_samples(held))
    graceful = scores(fresh("fcn8"), training, whole, sensor_drop=0.5)
    careless = scores(fresh("fcn8"), training, whole)
    fusion = scores(fresh("late_fusion"), training, whole)
    assert graceful > radar - 0.05
    assert careless < graceful - 0.05
    assert fusion > radar - 0.05
