"""Kim et al.: the loss by hand, the normalisation, and what becomes of the labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from floodloom.learning.unsupervised.feature_clustering import (
    ClusteringNetwork,
    MaskedNorm,
    clustering_loss,
    learn_clusters,
)


def two_halves(side: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """An image (1, 2, y, x) of two kinds of ground in noise, where it is valid, and which is which.

    Right of the ground without data lie values that must count for nothing.
    """
    draw = np.random.default_rng(seed)
    first = np.mgrid[:side, :side][1] < side // 2
    image = np.where(first, -1.0, 1.0) + draw.normal(0, 0.4, (2, side, side))
    valid = np.ones((side, side), bool)
    valid[:, -3:] = False
    return torch.from_numpy(image.astype(np.float32))[None], torch.from_numpy(valid)[None], first


def test_the_loss_by_hand() -> None:
    """Three pixels in a row and two labels; the last one has no data."""
    response = torch.tensor([[[[2.0, 0.0, 9.0]], [[0.0, 1.0, -9.0]]]])
    valid = torch.tensor([[[True, True, False]]])
    similar = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 2
    continuous = (2.0 + 1.0) / 2  # of one pair of neighbours, in two channels
    found = clustering_loss(response, valid, 5.0)
    assert float(found) == pytest.approx(similar + 5 * continuous, rel=1e-6)


def test_the_normalisation_is_that_of_batches_where_all_have_data() -> None:
    value = torch.randn(2, 5, 8, 9, generator=torch.Generator().manual_seed(0)) * 3 + 1
    torch.testing.assert_close(
        MaskedNorm(5)(value, torch.ones(2, 1, 8, 9)),
        torch.nn.BatchNorm2d(5)(value),
        rtol=1e-4,
        atol=1e-5,
    )


def test_pixels_without_data_change_nothing() -> None:
    image, valid, _ = two_halves()
    other = torch.where(valid.unsqueeze(1), image, torch.tensor(77.0))
    network = ClusteringNetwork(2, 12)
    torch.testing.assert_close(network(image, valid), network(other, valid), rtol=0, atol=0)
    narrower = network(image[..., :-3].contiguous(), valid[..., :-3].contiguous())
    torch.testing.assert_close(network(image, valid)[..., :-3], narrower, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("least", [3, 6])
def test_labels_become_fewer_and_never_fewer_than_the_least(least: int) -> None:
    image, valid, _ = two_halves()
    found = learn_clusters(image, valid, least=least, weight=20.0, iterations=60)
    assert found.counts[0] > 40
    assert found.counts[-1] < found.counts[0] / 4
    assert min(found.counts) >= least
    assert len(found.labels) == found.counts[-1]


def test_one_step_never_joins_what_must_stay_apart() -> None:
    """Continuity so heavy that a step ends below the least number: the state before it is kept."""
    image, valid, _ = two_halves()
    found = learn_clusters(image, valid, least=30, weight=1000.0, iterations=40)
    assert len(found.counts) < 41
    assert len(found.labels) == found.counts[-1] > 30


def test_labels_are_those_of_the_two_kinds_of_ground() -> None:
    image, valid, first = two_halves()
    found = learn_clusters(image, valid, least=2, weight=5.0, iterations=60)
    labels = found.divide(image, valid)[0].numpy()
    known = valid[0].numpy()
    pure = [
        max(first[known & (labels == one)].mean(), 1 - first[known & (labels == one)].mean())
        for one in np.unique(labels[known])
    ]
    sizes = [(labels[known] == one).sum() for one in np.unique(labels[known])]
    assert np.average(pure, weights=sizes) > 0.95  # one label for all would be .57


def test_a_seed_gives_the_same_whatever_the_state_of_torch() -> None:
    image, valid, _ = two_halves()
    one = learn_clusters(image, valid, iterations=8, seed=3)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.rand(7)
    torch.set_num_threads(2)
    again = learn_clusters(image, valid, iterations=8, seed=3)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name
    assert one.counts == again.counts
    other = learn_clusters(image, valid, iterations=8, seed=4)
    assert not torch.equal(one.network.last.weight, other.network.last.weight)
    torch.random.set_rng_state(state)
