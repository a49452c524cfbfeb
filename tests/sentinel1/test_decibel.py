"""Decibel from linear power, and back."""

import numpy as np
import pytest

from floodloom.sentinel1.decibel import decibel_to_power, power_to_decibel


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_there_and_back(dtype: str) -> None:
    power = np.array([1e-6, 0.1, 1, 20, np.nan], dtype=dtype)
    decibel = power_to_decibel(power)
    assert decibel.dtype == dtype
    np.testing.assert_allclose(decibel[1:3], [-10, 0], atol=1e-6)
    back = decibel_to_power(decibel)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, power, rtol=1e-5)


def test_power_may_be_overwritten() -> None:
    power = np.array([0.01, 10])
    assert power_to_decibel(power, out=power) is power
    np.testing.assert_allclose(power, [-20, 10])
