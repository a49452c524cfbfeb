"""The baseline `mask-contrast` on scenes whose water is known."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.classical.scene import BackscatterScene
from tests.classical.conftest import band, disc, iou, mapped, power, simulated_chip

SIDE = 160
LAKES = disc(45, 50, 30, SIDE) | disc(120, 110, 22, SIDE)
QUICK = {"window": 40, "windows": 16, "epochs": 12, "block": 128}


def scene(water: np.ndarray = LAKES, chunks: tuple[int, int] | None = None) -> BackscatterScene:
    vv, vh = power(water), power(water, 1, wet=-27.0, dry=-15.0)
    vv[-6:, :20] = np.nan
    return BackscatterScene({"vv": band(vv, chunks), "vh": band(vh, chunks)})


@pytest.fixture(scope="module")
def found():
    return mapped("mask-contrast", scene(), **QUICK)


def test_lakes_are_found(found) -> None:
    """A sixth of the ground is water: all of it would score that, and none 0."""
    assert LAKES.mean() < 0.18
    assert iou(found.percent, LAKES) > 0.7
    assert "clusters are water, up to vv -1" in found.found


@pytest.mark.parametrize("seed", [900_012, 900_013, 900_021])
def test_the_simulators_water_is_found(seed: int) -> None:
    """By .2 of IoU more than by calling all water, which is the better of the trivial maps."""
    one, water = simulated_chip(seed)
    percent = mapped("mask-contrast", one, **QUICK | {"window": 32}).percent
    assert iou(percent, water) > water.mean() + 0.2


def test_no_data_stay_no_data(found) -> None:
    unknown = np.zeros_like(LAKES)
    unknown[-6:, :20] = True
    np.testing.assert_array_equal(found.percent == 255, unknown)


def test_neither_chunks_nor_runs_matter(found) -> None:
    again = mapped("mask-contrast", scene(chunks=(33, SIDE)), **QUICK)
    np.testing.assert_array_equal(again.percent, found.percent)


def test_dark_fields_that_are_no_water_are_left_out() -> None:
    """As salient as the lakes, and too bright for water."""
    fields = LAKES
    vv, vh = power(fields, wet=-12.5, dry=-4.0), power(fields, 1, wet=-19.5, dry=-11.0)
    one = BackscatterScene({"vv": band(vv), "vh": band(vh)})
    percent = mapped("mask-contrast", one, **QUICK).percent
    assert (percent < 50).all()


def test_an_even_scene_has_no_water() -> None:
    dry = np.zeros_like(LAKES)
    vv = np.random.default_rng(0).gamma(4.4, 1 / 4.4, dry.shape).astype(np.float32) * 0.1
    one = BackscatterScene({"vv": band(vv)})
    assert (mapped("mask-contrast", one, **QUICK | {"epochs": 2}).percent < 50).all()


def test_a_scene_smaller_than_a_window_is_one() -> None:
    small = np.zeros((30, 28), bool)
    small[8:24, 6:20] = True
    one = BackscatterScene({"vv": band(power(small))})
    percent = mapped("mask-contrast", one, window=64, epochs=40).percent
    assert percent.shape == small.shape
    assert (percent != 255).all()


def test_a_scene_without_data_is_no_data() -> None:
    empty = BackscatterScene({"vv": band(np.full((60, 70), np.nan, np.float32))})
    assert (mapped("mask-contrast", empty).percent == 255).all()
