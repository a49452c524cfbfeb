"""Chips for training: what holds for each, and what occurs among many."""

import numpy as np
import pytest

from floodloom.simulate.chips import make_chip


@pytest.mark.parametrize("seed", [3, 4])
def test_a_seed_gives_the_same_chip(seed) -> None:
    one, two, other = make_chip(seed, 96), make_chip(seed, 96), make_chip(seed + 10, 96)
    np.testing.assert_array_equal(one.after, two.after)
    np.testing.assert_array_equal(one.before, two.before)
    np.testing.assert_array_equal(one.label, two.label)
    assert one.after.shape != other.after.shape or (one.after != other.after).any()
