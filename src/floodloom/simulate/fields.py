"""Smooth random fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.spatial import cKDTree

from floodloom.arrays import Doubles


def smooth_field(draw: np.random.Generator, shape: tuple[int, int], scale: float) -> Doubles:
    """Draw a Gaussian random field of mean 0, variance 1 and a correlation length in px."""
    rows, cols = fftfreq(shape[0])[:, np.newaxis], rfftfreq(shape[1])[np.newaxis]
    transfer = np.exp(-2 * (np.pi * scale) ** 2 * (rows**2 + cols**2))
    field = irfft2(rfft2(draw.standard_normal(shape)) * transfer, s=shape)
    return np.asarray((field - field.mean()) / field.std())


def rough_field(draw: np.random.Generator, shape: tuple[int, int], scale: float) -> Doubles:
    """Draw a field with detail at all scales below `scale`, each half as strong as the last."""
    total = np.zeros(shape)
    weight = 1.0
    while scale >= 2:
        total += weight * smooth_field(draw, shape, scale)
        scale, weight = scale / 2, weight / 2
    return np.asarray(total / total.std())


def patches(draw: np.random.Generator, shape: tuple[int, int], count: int) -> NDArray[np.int_]:
    """Divide a plane into fields: the index of the nearest of `count` random points (y, x)."""
    points = draw.uniform((0, 0), shape, (count, 2))
    grid = np.indices(shape).reshape(2, -1).T
    elongation = np.array([1.0, 1.6])
    _, nearest = cKDTree(points * elongation).query(grid * elongation)
    return np.asarray(nearest).reshape(shape)
