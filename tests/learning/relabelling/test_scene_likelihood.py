"""The local likelihood of scenes whose classes are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.learning.data.samples import Samples
from floodloom.learning.inference import ensemble_of
from floodloom.learning.relabelling import scene_likelihood
from floodloom.learning.relabelling.local_likelihood import LikelihoodWeighting, local_likelihood
from floodloom.learning.relabelling.scene_likelihood import (
    HeldImage,
    add_local_likelihood,
    tile_predictor,
)
from floodloom.learning.relabelling.target_calibration import note_likelihood
from tests.mapping.conftest import as_inputs, fitted, flooded

WEIGHTING = LikelihoodWeighting(0.5, 2.0)


class Certain(torch.nn.Module):
    """A network that knows where water is, with logits of that size for and against."""

    def __init__(self, water: torch.Tensor, size: float) -> None:
        super().__init__()
        logit = torch.where(water, size, -size)
        self.logits = torch.stack([torch.zeros_like(logit), logit])[None]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(image), -1, -1, -1)


def scene(height: int, width: int) -> tuple[xr.DataArray, np.ndarray, np.ndarray]:
    """Inputs, percent of a network that misses the brighter half of the water, and the truth."""
    power, water = flooded(height, width, seed=4)
    power[1, 20:40, 30:70] = np.nan
    inputs = as_inputs(power)
    known = np.isfinite(inputs.values).all(axis=0)
    mean = np.where(known, inputs.mean("band", skipna=False), 0)
    percent = np.clip(np.rint(100 / (1 + np.exp(12 * (mean + 0.75)))), 0, 100).astype(np.uint8)
    percent[~known] = 255
    return inputs, percent[np.newaxis], water


def in_strips(percent: np.ndarray, tall: int):
    for row in range(0, percent.shape[1], tall):
        yield row, percent[:, row : row + tall]


def weighed(
    inputs, percent, weighting=WEIGHTING, *, tall: int = 100, threads: int = 1
) -> np.ndarray:
    image, shape = HeldImage(), percent.shape[1:]

    def predicted():
        for row, part in in_strips(percent, tall):
            image.keep(row, 0, inputs.values[:, row : row + tall])
            yield row, part

    found = list(add_local_likelihood(predicted(), image, shape, weighting, threads=threads))
    rows = [row for row, _ in found]
    assert rows == np.cumsum([0, *(part.shape[1] for _, part in found[:-1])]).tolist()
    return np.concatenate([part for _, part in found], axis=1)


@pytest.mark.parametrize("length", [1, 100, 511, 512, 513, 700, 960, 961, 1408, 1409])
def test_weights_of_the_windows_sum_to_one(length) -> None:
    painted = np.zeros(length)
    for (first, last), weights in scene_likelihood._spans(length).items():
        assert 0 <= first < last <= length
        assert last - first == min(length, scene_likelihood.SIDE)
        painted[first:last] += weights
    np.testing.assert_allclose(painted, 1, atol=1e-6)


@pytest.mark.parametrize(("length", "windows"), [(512, 1), (513, 2), (960, 2), (961, 3), (4096, 9)])
def test_there_are_no_more_windows_than_their_overlap_asks_for(length, windows) -> None:
    assert len(scene_likelihood._spans(length)) == windows


def test_water_that_a_network_misses_is_found_by_the_scene_itself() -> None:
    inputs, percent, water = scene(300, 600)
    known = percent[0] != 255
    found = weighed(inputs, percent)
    assert ((percent[0] >= 50) != water)[known].mean() > 0.02
    assert ((found[0] >= 50) != water)[known].mean() < 0.01
    np.testing.assert_array_equal(found[0] == 255, ~known)


def test_the_order_of_work_does_not_show() -> None:
    inputs, percent, _ = scene(700, 330)
    layers = np.concatenate([percent, percent // 2])  # the spread of an ensemble is left alone
    whole = weighed(inputs, layers, tall=700)
    np.testing.assert_array_equal(whole[1], layers[1])
    for tall, threads in ((1, 1), (97, 2), (256, 1)):
        np.testing.assert_array_equal(weighed(inputs, layers, tall=tall, threads=threads), whole)


def test_a_scene_of_one_window_is_weighed_as_a_tile() -> None:
    inputs, percent, _ = scene(200, 256)
    known = percent[0] != 255
    share = np.clip(np.where(known, percent[0], 50) / 100, 0.005, 0.995).astype(np.float32)
    softened = np.log(share / (1 - share))
    logit = softened * WEIGHTING.temperature
    logits = np.stack([np.zeros_like(logit), logit])[np.newaxis]
    likelihood = local_likelihood(
        np.nan_to_num(inputs.values)[np.newaxis], known[np.newaxis], logits
    )[0]
    logit += WEIGHTING.weight * (likelihood[1] - likelihood[0])
    expected = np.where(known, np.rint(100 / (1 + np.exp(-logit / WEIGHTING.temperature))), 255)
    np.testing.assert_allclose(weighed(inputs, percent)[0], expected, atol=1)


def test_windows_hand_over_gradually(monkeypatch) -> None:
    """Each window has another likelihood, everywhere the same; no step is larger than a pixel's."""
    draw = np.random.default_rng(0)

    def alike(image, known, logit):
        return np.broadcast_to(draw.uniform(-2, 2), logit.shape)

    monkeypatch.setattr(scene_likelihood, "local_likelihood_ratio", alike)
    flat = np.full((700, 900), 0.4999, dtype=np.float32)
    flat[:, ::2] = 0.5001  # each window holds both classes
    found = scene_likelihood._tile_probability(
        flat, np.zeros((2, 700, 900), np.float32), LikelihoodWeighting(1.0, 1.0)
    )
    logit = np.log(found / (1 - found))
    assert np.ptp(logit) > 1
    for axis in (0, 1):
        assert np.abs(np.diff(logit, axis=axis)).max() < 4.01 / scene_likelihood.OVERLAP + 0.001


def test_what_is_read_is_held_once_and_let_go_of() -> None:
    values = np.random.default_rng(3).normal(0, 3, (3, 900, 70)).astype(np.float32)
    values[2, 100:300, 20:40] = np.nan
    image = HeldImage([0, 2])
    for row in (0, 250, 600):  # parts overlap, as those of a network's windows do
        for col in (0, 50):
            image.keep(row, col, values[:, row : row + 400, col : col + 50])
    np.testing.assert_allclose(
        image.read(130, 870, (30, 66)), values[::2, 130:870, 30:66], atol=5e-4
    )
    assert sum(one.steps.size for one in image._strips) == values[::2].size
    image.forget_before(600)
    np.testing.assert_allclose(image.read(600, 900, (0, 70)), values[::2, 600:], atol=5e-4)
    assert sum(one.steps.size for one in image._strips) < 0.6 * values[::2].size
    for rows, cols in (((100, 200), (0, 70)), ((880, 901), (0, 70)), ((700, 800), (60, 71))):
        with pytest.raises(RuntimeError, match="aren't held"):
            image.read(*rows, cols)


def test_windows_of_one_class_are_left_alone() -> None:
    inputs, percent, _ = scene(300, 1100)
    percent[0, :, 500:] = np.where(percent[0, :, 500:] == 255, 255, 3)
    found = weighed(inputs, percent)
    assert (found[0, :, :500] != percent[0, :, :500]).any()
    # The second of three windows ends at 806, and hands over to the last about 700.
    np.testing.assert_array_equal(found[0, :, 806:], percent[0, :, 806:])


def test_tiles_and_scenes_are_weighed_alike(tmp_path) -> None:
    power, water = flooded(256, 256, seed=2)
    inputs = as_inputs(power)
    held_out = Samples(
        torch.from_numpy(inputs.values)[np.newaxis], torch.from_numpy(water.astype("uint8"))[None]
    )
    checkpoint = note_likelihood(fitted(12), held_out, 1.0)
    note = checkpoint.notes["likelihood"]
    assert note["weight"] > 0
    assert note["tried"][f"{note['weight']:g}"] >= note["tried"]["0"]
    ensemble = ensemble_of([checkpoint])
    assert ensemble.likelihood == LikelihoodWeighting(note["weight"], note["temperature"])
    alone = ensemble.with_joint_temperature().probabilities(inputs.values[np.newaxis])[0, 1]
    tile = tile_predictor(ensemble)(inputs.values[np.newaxis])[0]
    np.testing.assert_allclose(tile.sum(axis=0), 1, atol=1e-6)
    percent = np.rint(100 * alone).astype(np.uint8)[np.newaxis]
    whole = weighed(inputs, percent, ensemble.likelihood)[0]
    assert np.abs(whole - 100 * tile[1]).mean() < 1
    assert np.abs(tile[1] - alone).max() > 0.1


def test_what_networks_are_sure_of_beyond_a_percent_is_kept() -> None:
    """Logits of 12 at a temperature of 3: a percentage of the first would have made them 5.3."""
    power, water = flooded(128, 128, seed=2)
    inputs = as_inputs(power).values[np.newaxis]
    certain = Certain(torch.from_numpy(water), 12.0)
    note = {"likelihood": {"weight": 0.1, "temperature": 3.0}}
    noted = replace(fitted(1), notes=note)
    ensemble = replace(ensemble_of([noted]), models=(certain,))
    found = tile_predictor(ensemble)(inputs)[0, 1]
    sure = np.maximum(found, 1 - found)
    assert np.median(sure) == pytest.approx(1 / (1 + np.exp(-4)), abs=0.01)


def test_a_network_without_a_weight_is_left_as_it_is() -> None:
    inputs = as_inputs(flooded(64, 64)[0]).values[np.newaxis]
    ensemble = ensemble_of([fitted(12)])
    assert ensemble.likelihood == LikelihoodWeighting()
    np.testing.assert_array_equal(tile_predictor(ensemble)(inputs), ensemble.probabilities(inputs))


def test_the_weighting_of_an_ensemble_is_the_mean() -> None:
    notes = [{"likelihood": {"weight": 1.0, "temperature": 3.0}}, {"kept": "initial weights"}]
    assert LikelihoodWeighting.of(notes) == LikelihoodWeighting(0.5, 2.0)
    assert LikelihoodWeighting.of([]) == LikelihoodWeighting()
