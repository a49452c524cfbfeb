import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.raster.windows import plan_windows


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (65, 130), (300, 7), (129, 1000)])
@pytest.mark.parametrize(("size", "overlap"), [(64, 0), (64, 16), (50, 49)])
def test_painted_plan_covers_every_pixel(shape: tuple[int, int], size: int, overlap: int) -> None:
    painted = np.zeros(shape, dtype=int)
    for window in plan_windows(*shape, size, overlap):
        rows, cols = window.slices
        assert 0 <= rows.start < rows.stop <= shape[0]
        assert 0 <= cols.start < cols.stop <= shape[1]
        assert (window.height, window.width) == (min(size, shape[0]), min(size, shape[1]))
        painted[window.slices] += 1
    assert painted.min() >= 1


def test_neighbours_share_the_overlap() -> None:
    columns = sorted({window.col for window in plan_windows(64, 500, 64, 16)})
    assert max(np.diff(columns)) == 48


@pytest.mark.parametrize(
    "arguments", [(0, 10, 5, 0), (10, 10, 0, 0), (10, 10, 5, 5), (9, 9, 4, -1)]
)
def test_senseless_plans_are_refused(arguments: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="window plan"):
        plan_windows(*arguments)
