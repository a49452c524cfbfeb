"""Sums over the neighbourhood of each pixel."""

import numpy as np
import pytest

from floodloom.raster.windows import box_sum, weighted_sum


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
def test_a_box_counts_what_lies_in_it(dtype: str) -> None:
    found = box_sum(np.ones((4, 6), dtype), 3)
    assert found.dtype == dtype
    inner = np.full((4, 6), 9)
    inner[[0, -1]] = inner[:, [0, -1]] = 6
    inner[0, 0] = inner[0, -1] = inner[-1, 0] = inner[-1, -1] = 4
    np.testing.assert_array_equal(found, inner)


def test_weights_are_those_of_rows_and_columns() -> None:
    point = np.zeros((5, 5))
    point[2, 2] = 1
    weights = np.array([0.5, 1, 0.25])
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = np.outer(weights[::-1], weights[::-1])
    np.testing.assert_array_equal(weighted_sum(point, weights), expected)
