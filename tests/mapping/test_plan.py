import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.mapping.plan import ALIGNMENT, plan_scene


def paint(plan):
    total = np.zeros(plan.padded)
    for row, down in zip(plan.rows, plan.row_weights(), strict=True):
        for col, across in zip(plan.cols, plan.col_weights(), strict=True):
            window = np.outer(down, across)
            total[row : row + plan.size[0], col : col + plan.size[1]] += window
    return total


@pytest.mark.parametrize("overlap", [None, 128])
@pytest.mark.parametrize("rim", [None, 0, 21])
@pytest.mark.parametrize("shape", [(128, 128), (100, 130), (65, 900), (31, 40), (3001, 2003)])
def test_painted_weights_sum_to_one(shape, rim, overlap) -> None:
    plan = plan_scene(*shape, tile=256, field=60, overlap=overlap, rim=rim)
    np.testing.assert_allclose(paint(plan), 1.0, atol=1e-6)


@pytest.mark.parametrize("length", range(33, 2000, 61))
@pytest.mark.parametrize("tile", [96, 256, 512])
def test_windows_are_aligned_overlap_and_end_where_the_scene_ends(length, tile) -> None:
    plan = plan_scene(length, 64, tile=tile, field=50, overlap=None, rim=None)
    starts, size = np.array(plan.rows), plan.size[0]
    assert (starts % ALIGNMENT == 0).all()
    assert size <= tile
    assert starts[0] == 0
    assert starts[-1] + size == plan.padded[0]
    assert 0 <= plan.padded[0] - length < ALIGNMENT
    assert (np.diff(starts) <= size - 2 * plan.rim).all()
    assert plan.rim == (25 if tile > 64 else 0)


def test_rim_has_no_weight_except_at_the_scenes_border() -> None:
    plan = plan_scene(1000, 64, tile=256, field=60, overlap=None, rim=None)
    first, *inner, last = plan.row_weights()
    assert (first[:-30] > 0).all()
    assert (first[-30:] == 0).all()
    assert (last[30:] > 0).all()
    for weights in inner:
        assert (weights[:30] == 0).all()
        assert (weights[-30:] == 0).all()
        assert (weights[30:-30] > 0).all()


def test_field_that_does_not_fit_leaves_half_of_the_window(caplog) -> None:
    plan = plan_scene(1000, 1000, tile=256, field=300, overlap=None, rim=None)
    assert plan.rim == 48
    assert max(np.diff(plan.rows)) == 128
    assert "receptive field of 300 px" in caplog.text


def test_costly_windows_are_said_so(caplog) -> None:
    plan_scene(1000, 1000, tile=256, field=220, overlap=None, rim=None)
    assert "a larger tile is faster" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile": 100}, "tile 100 must be a multiple of 32"),
        ({"tile": 32}, "tile 32 must be a multiple of 32 from 64 on"),
        ({"rim": 40, "overlap": 64}, r"overlap 64 must be at least twice the rim \(40\)"),
        ({"overlap": 128}, r"below tile \(128\)"),
    ],
)
def test_windows_that_do_not_fit_are_refused(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        plan_scene(
            500, 500, **{"tile": 128, "field": 20, "overlap": None, "rim": None, **arguments}
        )


def test_windows_begin_on_the_multiples_of_a_coarser_stride() -> None:
    plan = plan_scene(1500, 1000, tile=352, field=60, stride=64)
    assert plan.size[0] % 64 == plan.size[1] % 64 == 0
    assert max(plan.size) <= 320
    assert all(start % 64 == 0 for start in (*plan.rows, *plan.cols))
    assert plan.padded == (1536, 1024)
    with pytest.raises(InputError, match="tile 96 must be a multiple of 64 from 128 on"):
        plan_scene(1500, 1000, tile=96, field=60, stride=64)
