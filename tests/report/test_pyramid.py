"""Pyramids of tiles: what their pixels are, and that rows are read in whatever strips."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from floodloom.report.images import webp
from floodloom.report.layers import (
    backdrop_pyramid,
    centres,
    contrast,
    means,
    percent_pyramid,
    values_pyramid,
)
from floodloom.report.pyramid import Kind, Level, Pyramid, every, finest_factor, fit, mean, pyramid


def image(level: Level, side: int, overlap: int = 0) -> np.ndarray:
    """The tiles of a level, put together."""
    tiles = [np.asarray(Image.open(io.BytesIO(base64.b64decode(tile)))) for tile in level.tiles]
    inner = [tile[: len(tile) - overlap, : tile.shape[1] - overlap] for tile in tiles]
    rows = [
        np.concatenate(inner[at : at + level.columns], axis=1)
        for at in range(0, len(inner), level.columns)
    ]
    return np.concatenate(rows)[:, :side]


def shown(values: np.ndarray, factor: int = 1, threads: int = 1) -> Pyramid:
    return percent_pyramid(values, factor, threads)


@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (513, 1300), (1025, 700), (37, 2049)])
def test_finest_level_is_the_raster_and_a_pixel_of_the_next_one_of_its_block(shape: Any) -> None:
    values = np.random.default_rng(0).integers(0, 101, shape).astype("uint8")
    found = shown(values, threads=3)
    for finer, level in zip([None, *found.levels], found.levels, strict=False):
        size = tuple(-(-side // level.factor) for side in shape)
        pixels = image(level, size[1])[..., 0]
        assert pixels.shape == size
        if finer is None:
            np.testing.assert_array_equal(pixels, values)
            continue
        rows, cols = np.indices(size)
        block = [
            values[
                np.minimum(rows * level.factor + y, shape[0] - 1),
                np.minimum(cols * level.factor + x, shape[1] - 1),
            ]
            for y in range(level.factor)
            for x in range(level.factor)
        ]
        assert (np.stack(block) == pixels).any(axis=0).all()
    assert len(found.levels[-1].tiles) == 1
    assert max(-(-side // found.levels[-1].factor) for side in shape) <= 512


def test_tiles_of_values_hold_a_pixel_of_their_neighbours() -> None:
    draw = np.random.default_rng(1)
    classes, reasons, truth = (draw.integers(0, 4, (600, 1100)).astype("uint8") for _ in range(3))
    seen: list[tuple[int, int]] = []
    found = values_pyramid(
        classes, reasons, truth, 1, 2, lambda one, other, start: seen.append((start, len(one)))
    )
    assert sorted(seen) == [(0, 512), (512, 88)]
    finest = found.levels[0]
    assert finest.columns == 3
    whole = image(finest, 1100, overlap=1)
    np.testing.assert_array_equal(whole, np.stack([classes, reasons, truth], axis=-1))
    first = np.asarray(Image.open(io.BytesIO(base64.b64decode(finest.tiles[0]))))
    np.testing.assert_array_equal(first[..., 0], classes[:513, :513])


def test_backdrop_is_the_mean_power_whatever_the_level() -> None:
    power = np.full((1200, 1200), 0.1, dtype="float32")
    power[::2] = 0.3
    power[:600] = np.nan
    made = backdrop_pyramid(power, (-20.0, 0.0), 2, 1, display=False)
    expected = 10 * np.log10(0.2)
    greys = 1 + np.rint(((expected + 20) / 20) ** 1.25 * 62)
    assert (made.overview[300:] == greys).all()
    assert (made.overview[:300] == 0).all()
    assert made.levels[0].tiles[0]  # partly seen
    assert made.levels[0].factor == 2


def test_tile_without_data_is_an_empty_text() -> None:
    power = np.full((600, 600), np.nan, dtype="float32")
    power[512:] = 0.1
    made = backdrop_pyramid(power, (-20.0, 0.0), 1, 1, display=False)
    assert [bool(tile) for tile in made.levels[0].tiles] == [False, False, True, True]


def test_contrast_is_told_by_rows_from_all_over() -> None:
    power = np.geomspace(0.001, 1.0, 4000, dtype="float32")[:, np.newaxis].repeat(20, axis=1)
    low, high = contrast(power, 4, display=False)
    assert low == pytest.approx(-30, abs=0.6)
    assert high == pytest.approx(0, abs=0.6)
    values = np.arange(2000, dtype="float32").reshape(100, 20)
    assert contrast(values, 1, display=True) == tuple(np.percentile(values, (1, 99)))


def test_blocks_at_the_end_are_of_what_is_there() -> None:
    values = np.arange(35, dtype="float32").reshape(5, 7)
    np.testing.assert_allclose(means(values, 2)[:2, :3], [[4, 6, 8], [18, 20, 22]])
    assert means(values, 2)[2, 3] == 34
    assert means(values, 4).shape == (2, 2)
    np.testing.assert_array_equal(centres(values.astype("uint8"), 4), [[16, 20], [30, 34]])


def test_mean_leaves_out_what_is_not_known() -> None:
    values = np.array([[1, np.nan, np.nan, np.nan], [3, 5, np.nan, np.nan]], dtype="float32")
    found = mean(values, 0)
    assert found[0, 0] == 3
    assert np.isnan(found[0, 1])


@pytest.mark.parametrize(
    ("shape", "factor"), [((100, 100), 1), ((200, 100), 2), ((25_000, 25_000), 256)]
)
def test_factor_is_the_smallest_power_of_two_that_does(shape: Any, factor: int) -> None:
    assert finest_factor(*shape, 10_000) == factor


def _levels(*sizes: int) -> Pyramid:
    made = [Level(2**at, 1, ["x" * size]) for at, size in enumerate(sizes)]
    return Pyramid(made, np.zeros((1, 1)), 1)


@pytest.mark.parametrize(
    ("most", "left"),
    [
        (200, {"map": [10, 5], "radar": [80, 20, 5], "percent": [40, 10]}),
        (140, {"map": [10, 5], "radar": [80, 20, 5], "percent": [10]}),
        (70, {"map": [10, 5], "radar": [20, 5], "percent": [10]}),
        (0, {"map": [5], "radar": [5], "percent": [10]}),
    ],
)
def test_what_matters_least_is_coarsened_first(most: int, left: dict[str, list[int]]) -> None:
    layers = {"map": _levels(10, 5), "radar": _levels(80, 20, 5), "percent": _levels(40, 10)}
    found = fit(layers, {"map": 0.25, "radar": 0.5, "percent": 4.0}, most)
    assert {name: [level.size for level in levels] for name, levels in found.items()} == left


def test_room_that_a_large_level_leaves_is_used() -> None:
    layers = {"radar": _levels(80, 20, 5), "percent": _levels(40, 10)}
    found = fit(layers, {"radar": 0.9, "percent": 1.0}, 100)
    assert [level.size for level in found["radar"]] == [20, 5]
    assert [level.size for level in found["percent"]] == [40, 10]


def test_memory_is_that_of_strips() -> None:
    """A level holds the rows of a row of tiles, and no more is asked for than a strip."""
    asked: list[int] = []

    def read(start: int, stop: int) -> np.ndarray:
        asked.append(stop - start)
        return np.zeros((-(-(stop - start) // 4), 300), "uint8")

    pyramid((40_000, 1200), 4, read, Kind(every, webp), 1)
    assert max(asked) == 512
