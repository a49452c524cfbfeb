import re

import numpy as np
import pytest

from floodloom.report.results import Axis, Series, line_chart, reliability_chart, ticks


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.982, 0.9853), (1, 10), (1, 2), (-30, 5), (0, 12345), (0.5, 1.0)]
)
def test_ticks_are_round_inside_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert low - 1e-9 <= found[0]
    assert found[-1] <= high * (1 + 1e-9)
    step = np.diff(found)
    np.testing.assert_allclose(step, step[0])
    mantissa = step[0] / 10 ** np.floor(np.log10(step[0]) + 1e-9)
    assert round(mantissa) in (1, 2, 5)


def test_epochs_are_whole_and_nought_has_no_sign() -> None:
    assert ticks(1, 3, finest=1) == [1, 2, 3]
    assert ticks(1, 2, finest=1) == [1, 2]
    assert ticks(1, 60, finest=1) == ticks(1, 60)
    chart = line_chart([Series("a", [0, 1, 3], [0, 2, 9])], Axis("x", 0), Axis("y", 0, finest=1))
    assert ">0</text>" in chart
    assert ">-0</text>" not in chart


def places(svg: str) -> list[list[tuple[float, float]]]:
    return [
        [tuple(map(float, pair.split(","))) for pair in points.split()]
        for points in re.findall(r'polyline points="([^"]*)"', svg)
    ]


def test_lines_keep_the_order_and_the_proportions_of_their_values() -> None:
    chart = line_chart([Series("a", [1, 2, 3], [0.0, 0.5, 1.0])], Axis("epoch"), Axis("IoU"))
    ((first, middle, last),) = places(chart)
    assert middle[0] - first[0] == pytest.approx(last[0] - middle[0], abs=0.11)
    assert first[1] > middle[1] > last[1]
    assert first[1] - middle[1] == pytest.approx(middle[1] - last[1], abs=0.11)
    assert "<ul" not in chart


def test_missing_values_are_gaps_and_names_are_escaped() -> None:
    series = [Series("<b>", [1, 2, 3], [0.1, None, 0.3]), Series("c", [1, 2], [1, 2])]
    chart = line_chart(series, Axis("x"), Axis("y"))
    assert [len(line) for line in places(chart)] == [2, 2]
    assert "<b>" not in chart
    assert "&lt;b&gt;" in chart
    assert "http" not in chart


def test_chart_of_nothing_and_of_one_value() -> None:
    assert places(line_chart([], Axis("x"), Axis("y"))) == []
    assert len(places(line_chart([Series("a", [1], [0.5])], Axis("x"), Axis("y")))[0]) == 1


def test_honest_model_lies_on_the_diagonal() -> None:
    confidence = [0.55, 0.75, 0.95]
    chart = reliability_chart([Series("model", confidence, confidence)])
    (line,) = places(chart)
    ends = re.search(r'x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" stroke="#8b', chart)
    x1, y1, x2, y2 = map(float, ends.groups())
    for x, y in line:
        assert y == pytest.approx(y1 + (x - x1) / (x2 - x1) * (y2 - y1), abs=0.3)
