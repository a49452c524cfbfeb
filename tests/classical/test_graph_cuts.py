"""The least energy, against all labellings of small graphs."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from floodloom.classical.baselines.graph_cut import pairs_of_pixels, put_on_its_side
from floodloom.classical.baselines.superpixel_crf import bonds_of
from floodloom.classical.graph_cuts import energy, least_energy
from floodloom.classical.scene import BackscatterScene
from tests.classical.conftest import band, disc, iou, mapped, power


def least_of_all(unary: np.ndarray, edges: np.ndarray, weights: np.ndarray) -> float:
    every = np.array(list(product([False, True], repeat=len(unary))))
    differ = every[:, edges[:, 0]] != every[:, edges[:, 1]]
    return float((every @ unary + differ @ weights).min())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("smoothness", [0.0, 0.7, 5.0])
def test_a_grid_reaches_the_energy_of_an_exhaustive_search(seed: int, smoothness: float) -> None:
    draw = np.random.default_rng(seed)
    levels = draw.normal(-14, 4, (2, 3, 4)).astype(np.float32)
    edges, bonds = pairs_of_pixels(levels, 3.0)
    unary, weights = np.round(draw.normal(0, 2, 12), 3), np.round(smoothness * bonds, 3)
    found = energy(least_energy(unary, edges, weights), unary, edges, weights)
    assert found == pytest.approx(least_of_all(unary, edges, weights), abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_reaches_the_energy_of_an_exhaustive_search(seed: int) -> None:
    draw = np.random.default_rng(seed)
    nodes = int(draw.integers(1, 11))
    pairs = np.array([(i, j) for i in range(nodes) for j in range(i)], np.int64).reshape(-1, 2)
    edges = pairs[draw.random(len(pairs)) < 0.6]
    unary, weights = np.round(draw.normal(0, 2, nodes), 3), np.round(draw.random(len(edges)), 3)
    found = energy(least_energy(unary, edges, weights), unary, edges, weights)
    assert found == pytest.approx(least_of_all(unary, edges, weights), abs=1e-9)


def test_bonds_are_those_of_boykov_and_jolly_by_hand() -> None:
    levels = np.array([[[-20.0, -18.0], [-8.0, np.nan]]], np.float32)
    edges, bonds = pairs_of_pixels(levels, 2.0)
    found = {tuple(sorted(pair)): bond for pair, bond in zip(edges.tolist(), bonds, strict=True)}
    expected = {
        (0, 1): np.exp(-4 / 8),
        (0, 2): np.exp(-144 / 8),
        (1, 2): np.exp(-100 / 8) / np.sqrt(2),
    }
    assert found == pytest.approx(expected)


def test_bonds_of_superpixels_by_hand() -> None:
    labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, -1]], np.int32)
    levels = np.where(labels == 0, -20.0, np.where(labels == 1, -16.0, -20.0))[np.newaxis]
    edges, bonds = bonds_of(labels, levels.astype(np.float32), size=2)
    assert edges.tolist() == [[0, 1], [0, 2]]
    np.testing.assert_allclose(bonds, [2 / 2 / 5, 2 / 2 / 1])


def test_percent_agrees_with_the_cut() -> None:
    found = put_on_its_side(np.array([20, 20, 90, 90], np.float32), np.array([1, 0, 1, 0], bool))
    np.testing.assert_array_equal(found, [50, 20, 90, 49])


@pytest.mark.parametrize("name", ["graph-cut", "superpixel-crf"])
def test_smoothness_takes_specks_away(name: str) -> None:
    """Speckle so strong that levels alone are wrong for many pixels."""
    lake = disc(100, 100, 50, 200)
    one = BackscatterScene({"vv": band(power(lake, wet=-18.0, dry=-11.0))}, is_filtered=True)
    maps = [mapped(name, one, smoothness=cost).percent >= 50 for cost in (0, 0.5, 2, 8)]
    outlines = [(m[1:] != m[:-1]).sum() + (m[:, 1:] != m[:, :-1]).sum() for m in maps]
    assert all(after < before for before, after in pairwise(outlines))
    assert iou(mapped(name, one).percent, lake) > 0.8


def test_a_cut_maps_better_than_levels_alone() -> None:
    lake = disc(100, 100, 50, 200)
    one = BackscatterScene({"vv": band(power(lake, wet=-18.0, dry=-11.0))}, is_filtered=True)
    alone = iou(mapped("graph-cut", one, smoothness=0).percent, lake)
    assert iou(mapped("graph-cut", one).percent, lake) > alone + 0.1
