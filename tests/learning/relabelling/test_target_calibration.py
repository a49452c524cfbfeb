"""Accuracy where nothing is labelled, and confidences that follow it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from floodloom.learning.calibration import seen_pixels, temperature_of_accuracy
from floodloom.learning.data.samples import Samples, radar_samples
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.network import untrained
from floodloom.learning.relabelling import target_calibration
from floodloom.learning.relabelling.adaptation import AdaptedNetwork
from floodloom.learning.relabelling.target_calibration import (
    TargetGround,
    agreement_shift,
    expected_accuracy,
    note_likelihood,
)
from floodloom.learning.training.settings import NetworkSettings, TrainingSettings
from floodloom.learning.training.train import train_checkpoint
from floodloom.learning.training.validation import scores_of


def predictions(*right, pixels=20_000, seed=0):
    """Classes of networks, each right as often as given, independently of the others."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, pixels)
    classes = [np.where(draw.random(pixels) < share, truth, 1 - truth) for share in right]
    return torch.from_numpy(np.stack(classes))


def test_networks_that_are_as_good_on_the_target_agree_as_often():
    shift = agreement_shift(predictions(0.9, 0.9), predictions(0.9, 0.9, seed=1))
    assert shift == pytest.approx(0, abs=0.05)
    assert expected_accuracy(0.9, shift) == pytest.approx(0.9, abs=0.01)


def test_accuracy_is_expected_to_fall_where_agreement_falls():
    shift = agreement_shift(predictions(0.95, 0.95), predictions(0.8, 0.8, seed=1))
    assert shift < -0.5
    assert 0.7 < expected_accuracy(0.95, shift) < 0.9
    assert agreement_shift(predictions(0.8, 0.8), predictions(0.95, 0.95, seed=1)) == pytest.approx(
        -shift, abs=0.05
    )


def test_the_pair_that_falls_most_counts():
    known = predictions(0.95, 0.95, 0.95)
    assert agreement_shift(known, predictions(0.95, 0.95, 0.6, seed=1)) < -0.5
    assert agreement_shift(known, predictions(0.95, 0.6, 0.95, seed=1)) < -0.5


def test_predictions_that_never_differ_show_no_shift():
    same = torch.ones(2, 100, dtype=torch.long)
    assert agreement_shift(same, same) == 0
    assert expected_accuracy(1.0, 0.0) == pytest.approx(0.99)


@pytest.mark.parametrize("accuracy", [0.6, 0.8, 0.95])
def test_confidences_are_made_as_great_as_an_accuracy(accuracy):
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 4, (5000, 2)).astype(np.float32))
    temperature = temperature_of_accuracy(logits, accuracy)
    sure = (logits / temperature).softmax(dim=1).amax(dim=1).mean()
    assert float(sure) == pytest.approx(accuracy, abs=1e-3)


def test_pixels_without_data_are_left_out():
    valid = torch.ones(2, 2, 4, 4, dtype=torch.bool)
    valid[0, 1, :2] = False
    nothing = torch.full((2, 4, 4), 255, dtype=torch.uint8)
    assert (
        len(seen_pixels(lambda part: part.image, Samples(valid.float(), nothing, valid=valid)))
        == 24
    )


def test_confidences_fall_where_networks_part(make_tiles):
    torch.set_num_threads(1)
    known, held_out = radar_samples(make_tiles(16)), radar_samples(make_tiles(8, seed=1))
    plan = TrainingSettings(epochs=6, batch=4, learning_rate=5e-3, precision="float32")
    begun = untrained(make_tiles(1), NetworkSettings(width=4), 0)
    before = train_checkpoint(
        begun,
        TrainingSet.of(known, 2),
        held_out,
        plan.model_copy(update={"epochs": 3}),
    )
    learned = train_checkpoint(
        before,
        TrainingSet.of(known, 2),
        held_out,
        plan,
    )
    assert scores_of(learned, held_out, cross_entropy)["iou"] > 0.8
    alike = radar_samples(make_tiles(8, seed=5, labelled=False))
    dim, bare = (
        radar_samples(make_tiles(8, seed=5, labelled=False, contrast=contrast))
        for contrast in (4.0, 1.0)
    )

    def note(tiles):
        target = TargetGround(tiles, AdaptedNetwork(before, before))
        return note_likelihood(learned, held_out, 1.0, target=target).notes["likelihood"]

    strange, known_ground = note(dim), note(alike)
    assert strange["held_out_accuracy"] == known_ground["held_out_accuracy"]
    assert strange["expected_accuracy"] < known_ground["expected_accuracy"] - 0.02
    assert strange["temperature"] > known_ground["temperature"]
    held_out_alone = note_likelihood(learned, held_out, 1.0).notes["likelihood"]
    assert note(bare)["temperature"] >= held_out_alone["temperature"]  # never lowered


class Slanted:
    """A network that reads the first band, and where the second is bright also the column."""

    def logits(self, image, tta=False):
        water, slant = image[:, 0], image[:, 1]
        column = torch.linspace(-1, 1, image.shape[-1])
        score = 4 * water + 6 * torch.where(slant > 0.5, column, 0.0)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_confidences_fall_where_a_turned_image_looks_otherwise(monkeypatch, make_tiles):
    draw = np.random.default_rng(0)
    water = draw.random((4, 1, 64, 64)) < 0.4
    first = np.where(water, 1, -1) + draw.normal(0, 0.6, water.shape)

    def tiles(slant):
        image = np.concatenate([first, np.full(water.shape, slant)], axis=1).astype(np.float32)
        return Samples(torch.from_numpy(image), torch.from_numpy(water[:, 0].astype(np.uint8)))

    monkeypatch.setattr(target_calibration, "ensemble_of", lambda checkpoints: Slanted())
    network = untrained(make_tiles(1), NetworkSettings(width=4), 0)

    def expected(slant):
        target = TargetGround(tiles(slant), AdaptedNetwork(network, network))
        return note_likelihood(network, tiles(0.1), 1.0, target=target).notes["likelihood"]

    alike = expected(0.1)
    assert alike["expected_accuracy"] == pytest.approx(alike["held_out_accuracy"])
    seen = expected(1.0)["expected_accuracy"]
    monkeypatch.setattr(target_calibration, "_QUARTER", 0)  # the image as it is
    assert seen < expected(1.0)["expected_accuracy"] - 0.05


def test_where_the_likelihood_has_nothing_to_say_it_agrees():
    logits = torch.tensor([[-1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    likelihood = torch.tensor([[0.0, 0.0], [0.0, -2.0], [-2.0, 0.0]])
    found = target_calibration._classes(logits, likelihood, logits)
    assert found.tolist() == [[1, 1, 0], [1, 0, 1], [1, 1, 0]]
