import dataclasses

import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.mapping.refine import (
    PRESETS,
    CrfSettings,
    dense_crf,
    in_strips,
    majority,
)

SMALL = CrfSettings(1.0, 2.0, 3, radar_radius=2, radar_sigma=1.5, radar_decibel=2.0, radar_compat=2)


def scene(height=60, width=50, seed=0):
    draw = np.random.default_rng(seed)
    probability = draw.uniform(0, 1, (height, width)).astype("float32")
    probability[10:13, width // 2 :] = np.nan
    decibel = draw.normal(-12, 3, (height, width)).astype("float32")
    decibel[height // 2, 5] = np.nan
    return probability, decibel


def naive(probability, settings, decibel):
    """Mean field with every kernel written out as a matrix."""
    known = np.isfinite(probability)
    p = np.clip(np.where(known, probability, 0.5), 1e-3, 1 - 1e-3).ravel()
    unary = np.stack([-np.log(1 - p), -np.log(p)])
    rows, cols = (axis.ravel() for axis in np.indices(probability.shape))
    dy, dx = np.subtract.outer(rows, rows), np.subtract.outer(cols, cols)
    kernels = []
    for radius, sigma, weight, term in (
        (settings.smooth_radius, settings.smooth_sigma, settings.smooth_compat, 0.0),
        (settings.radar_radius, settings.radar_sigma, settings.radar_compat, 1.0),
    ):
        near = (abs(dy) <= radius) & (abs(dx) <= radius) & known.ravel() & known.ravel()[:, None]
        kernel = np.exp(-0.5 * (dy**2 + dx**2) / sigma**2) * near
        if term:
            step = np.subtract.outer(decibel.ravel(), decibel.ravel())
            kernel = np.nan_to_num(kernel * np.exp(-0.5 * step**2 / settings.radar_decibel**2))
        total = kernel.sum(axis=1)
        scale = np.where(total > 0, 1 / np.sqrt(np.maximum(total, 1e-20)), 0)
        kernels.append(weight * scale[:, None] * kernel * scale)
    q = np.exp(-unary) / np.exp(-unary).sum(axis=0)
    for _ in range(settings.steps):
        energy = unary - sum(np.stack([k @ q[0], k @ q[1]]) for k in kernels)
        q = np.exp(-energy) / np.exp(-energy).sum(axis=0)
    return np.where(known, q[1].reshape(probability.shape), np.nan)


def test_mean_field_is_that_of_the_written_out_kernels() -> None:
    probability, decibel = scene(18, 20)
    np.testing.assert_allclose(
        dense_crf(probability, SMALL, decibel), naive(probability, SMALL, decibel), atol=2e-5
    )


@pytest.mark.parametrize("side", [7, 20, 59])
@pytest.mark.parametrize("settings", [SMALL, dataclasses.replace(SMALL, radar_compat=0)])
def test_strips_change_nothing(side, settings) -> None:
    probability, decibel = scene()
    whole = dense_crf(probability, settings, decibel)
    parts = in_strips(
        lambda p, d: dense_crf(p, settings, d),
        probability, decibel, reach=settings.reach, side=side,
    )  # fmt: skip
    np.testing.assert_array_equal(parts, whole)


def test_lone_pixels_go_and_edges_in_the_backscatter_stay() -> None:
    probability = np.full((40, 40), 0.2, "float32")
    probability[:, 20:] = 0.8
    probability[10, 10], probability[30, 30] = 0.9, 0.1
    probability[:, 18:20] = 0.55  # the network's soft border lies 2 px off the radar's edge
    decibel = np.where(np.arange(40) < 20, -8.0, -20.0) * np.ones((40, 1))
    refined = dense_crf(probability, PRESETS["crf"], decibel.astype("float32"))
    assert (refined[:, :20] < 0.5).all()
    assert (refined[:, 20:] > 0.5).all()


def test_preset_of_paul_and_ganju() -> None:
    settings = PRESETS["paul-ganju"]
    assert (settings.smooth_sigma, settings.smooth_compat, settings.steps) == (12, 4, 20)
    assert settings.radar_compat == 0
    flat = np.full((50, 60), 0.7, "float32")
    flat[20:23, 20:23] = 0.1
    flat[:5] = np.nan
    refined = dense_crf(flat, settings)
    assert np.isnan(refined[:5]).all()
    assert (refined[5:] > 0.5).all()
    assert refined[40, 40] > 0.95


def test_radar_term_needs_backscatter() -> None:
    with pytest.raises(InputError, match="needs the scene's backscatter"):
        dense_crf(np.zeros((4, 4), "float32"), SMALL)


def test_majority_by_hand() -> None:
    water = np.zeros((5, 6), bool)
    water[1:4, 1:4] = True
    water[2, 2] = False
    seen = np.ones_like(water)
    result = majority(water, seen, 3)
    assert result[2, 2]
    assert not result[1, 1]
    assert result[1, 2]
    assert not majority(water, seen & (np.arange(6) != 2), 3)[:, 2].any()
    with pytest.raises(InputError, match="majority_window 4: must be odd"):
        majority(water, seen, 4)


def test_paul_and_ganju_refine_classes_however_sure_they_are() -> None:
    """Their CRF is given labels that are right with a probability of .7."""
    draw = np.random.default_rng(0)
    water = draw.random((60, 60)) < 0.5
    settings = PRESETS["paul-ganju"]
    unsure, sure = (
        dense_crf(np.where(water, p, 1 - p).astype("float32"), settings) for p in (0.51, 0.999)
    )
    np.testing.assert_array_equal(unsure, sure)
    alone = dataclasses.replace(settings, smooth_compat=0.0)
    unary = dense_crf(np.array([[0.6, 0.4, np.nan]], dtype="float32"), alone)
    np.testing.assert_allclose(unary, [[0.7, 0.3, np.nan]], rtol=1e-5)
