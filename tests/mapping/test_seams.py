import numpy as np
import pytest

from floodloom.mapping.mosaic import SeamMeter, seam_ratio, window_borders
from floodloom.mapping.plan import plan_scene


def noise(shape=(600, 700)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 101, shape).astype("uint8")


def test_field_without_seams_has_the_ratio_one() -> None:
    assert seam_ratio(noise(), [128, 300], [256]) == pytest.approx(1, abs=0.03)
    ramp = np.broadcast_to(np.arange(100, dtype="uint8"), (50, 100))
    assert seam_ratio(ramp, [], [30, 60]) == pytest.approx(1)


def test_steps_at_borders_raise_the_ratio() -> None:
    percent = noise() // 10
    percent[300:] += 50
    assert seam_ratio(percent, [300], []) > 10
    assert seam_ratio(percent, [200], []) == pytest.approx(1, abs=0.1)


def test_missing_data_and_missing_borders_say_nothing() -> None:
    percent = noise()
    percent[295:305] = 255
    assert seam_ratio(percent, [300], []) is None
    assert seam_ratio(percent, [], []) is None
    percent[:] = 7
    assert seam_ratio(percent, [100], [100]) is None


def test_borders_are_where_windows_begin_to_count() -> None:
    plan = plan_scene(160, 64, tile=96, field=20, overlap=32, rim=10)
    assert plan.rows == (0, 64)
    rows, cols = window_borders(plan.as_dict())
    assert rows == {64, 74, 86, 96}
    assert cols == set()


@pytest.mark.parametrize("part", [1, 37, 300, 599])
def test_rows_in_parts_give_the_ratio_of_the_whole(part) -> None:
    percent = noise()
    percent[140:170, 30:400] = 255
    rows, cols = [0, 5, 128, 150, 300, 301, 590, 599, 600], [3, 256, 690]
    meter = SeamMeter(rows, cols)
    for start in range(0, len(percent), part):
        meter.add(percent[start : start + part])
    assert meter.ratio() == pytest.approx(seam_ratio(percent, rows, cols), rel=1e-12)
    assert SeamMeter([1], [1]).ratio() is None
