"""The baseline `kim` on scenes whose water is known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from floodloom.classical.baselines import kim
from floodloom.classical.clusters import darker_clusters
from floodloom.classical.sample_windows import draw_windows
from floodloom.classical.scene import BackscatterScene
from tests.classical.conftest import band, disc, iou, mapped, power, simulated_chip

LAKE = disc(40, 40, 26, 96)
QUICK = {"window": 48, "windows": 2, "iterations": 40}


def scene(water: np.ndarray = LAKE, chunks: tuple[int, int] | None = None) -> BackscatterScene:
    vv, vh = power(water), power(water, 1, wet=-27.0, dry=-15.0)
    vv[-6:, :20] = np.nan
    return BackscatterScene({"vv": band(vv, chunks), "vh": band(vh, chunks)})


@pytest.fixture(scope="module")
def found():
    return mapped("kim", scene(), **QUICK)


def test_a_lake_is_found(found) -> None:
    """A fifth of the ground is water: all of it would score that, and none 0."""
    assert LAKE.mean() < 0.25
    assert iou(found.percent, LAKE) > 0.8
    assert " of them water, up to vv -1" in found.found


@pytest.mark.parametrize("seed", [900_012, 900_013, 900_021])
def test_the_simulators_water_is_found(seed: int) -> None:
    """By .25 of IoU more than by calling all water, which is the better of the trivial maps."""
    one, water = simulated_chip(seed)
    percent = mapped("kim", one, **QUICK).percent
    assert iou(percent, water) > water.mean() + 0.25


def test_no_data_stay_no_data(found) -> None:
    unknown = np.zeros_like(LAKE)
    unknown[-6:, :20] = True
    np.testing.assert_array_equal(found.percent == 255, unknown)


def test_a_dry_scene_has_no_water() -> None:
    dry = mapped("kim", scene(np.zeros_like(LAKE)), **QUICK | {"iterations": 10})
    assert (dry.percent[dry.percent != 255] == 0).all()
    assert dry.found.startswith("no water found")


def test_neither_blocks_nor_chunks_nor_runs_matter(found, monkeypatch) -> None:
    monkeypatch.setattr(kim, "SIDE", 40)
    again = mapped("kim", scene(chunks=(17, 96)), **QUICK)
    np.testing.assert_array_equal(again.percent, found.percent)


def test_display_values_are_split_where_labels_differ_most() -> None:
    means = np.array([[-1.4], [-1.2], [0.3], [0.6]])
    nothing = np.array([np.inf])
    counts = np.array([10.0, 10.0, 40.0, 40.0])
    np.testing.assert_array_equal(darker_clusters(means, counts, nothing), [1, 1, 0, 0])
    np.testing.assert_array_equal(darker_clusters(means[:1], counts[:1], nothing), [0])
    limit = np.array([-1.3])
    np.testing.assert_array_equal(darker_clusters(means, counts, limit), [1, 0, 0, 0])


def test_windows_reach_from_the_darkest_to_the_brightest() -> None:
    wet = np.zeros((96, 128), bool)
    wet[:32, 32:64] = True
    windows = draw_windows(BackscatterScene({"vv": band(power(wet))}), 32, 3)
    assert windows is not None
    assert windows.image.shape == (3, 1, 32, 32)
    of_window = np.broadcast_to(np.arange(3)[:, None, None], (3, 32, 32))
    levels = [windows.levels(of_window == one)[0] for one in range(3)]
    assert min(levels) < -19
    assert max(levels) > -9


def rough(reference: np.ndarray | None) -> BackscatterScene:
    """Water under wind, brighter than water usually is, among brighter land."""
    vv, vh = power(LAKE, wet=-13.5, dry=-6.0), power(LAKE, 1, wet=-20.5, dry=-12.0)
    return BackscatterScene({"vv": band(vv), "vh": band(vh)}, reference=reference)


def test_reference_water_tells_how_dark_water_is() -> None:
    """Half of the lake is known; it is the lake's level that counts, not where the half lies."""
    half = LAKE.copy()
    half[:, 40:] = False
    assert (mapped("kim", rough(None), **QUICK).percent == 0).all()
    assert iou(mapped("kim", rough(half), **QUICK).percent, LAKE) > 0.8


def test_a_reservoir_that_has_fallen_dry_makes_no_land_water() -> None:
    dry = ~LAKE & disc(80, 20, 15, 96)
    windows = draw_windows(rough(dry), 48, 4)
    assert windows is not None
    assert windows.reference.sum() > 100
    np.testing.assert_allclose(windows.water_limits(rough(dry)), [-12.0, -19.0])
    display = BackscatterScene(rough(None).bands, has_power=False, reference=dry)
    found = draw_windows(display, 48, 4)
    assert found is not None
    np.testing.assert_array_equal(found.water_limits(display), found.middle)


def test_a_scene_without_data_is_no_data() -> None:
    empty = BackscatterScene({"vv": band(np.full((60, 70), np.nan, np.float32))})
    assert draw_windows(empty, 32, 2) is None
    assert (mapped("kim", empty).percent == 255).all()


def test_the_name_and_its_arguments_need_no_torch() -> None:
    code = (
        "import sys; from floodloom.classical.choices import BASELINES; "
        "BASELINES.load('kim').read_arguments('kim', {'labels': 4}); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
