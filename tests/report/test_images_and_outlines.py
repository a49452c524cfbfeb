import base64
import io
import re

import numpy as np
import pytest
from affine import Affine
from PIL import Image
from rasterio.features import rasterize, shapes
from shapely.geometry import Polygon, shape

from floodloom.errors import InputError
from floodloom.report.images import (
    GREYS,
    Shrunk,
    backdrop_band,
    brightness,
    colour_uri,
    grey_uri,
    stretch_limits,
    to_greys,
)
from floodloom.report.scene import outline_of, outline_of_mask
from tests.report.conftest import GRID, scene


def decoded(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def polygon_of(path: str) -> list[Polygon]:
    rings = []
    for ring in re.findall(r"M(-?\d+) (-?\d+)([^Mz]*)z", path):
        places = [(int(ring[0]), int(ring[1]))]
        for letter, first, second in re.findall(r"([hvl])(-?\d+)(?: (-?\d+))?", ring[2]):
            dx, dy = {"h": (first, 0), "v": (0, first), "l": (first, second)}[letter]
            places.append((places[-1][0] + int(dx), places[-1][1] + int(dy)))
        rings.append(Polygon(places))
    return rings


def even_odd(path: str, size: tuple[int, int]) -> np.ndarray:
    painted = np.zeros(size, dtype=int)
    for ring in polygon_of(path):
        painted += rasterize([ring], size, dtype="uint8")
    return painted % 2 == 1


def test_greys_survive_the_png_and_nodata_is_transparent() -> None:
    values = np.linspace(-20, 0, 30, dtype="float32").reshape(5, 6)
    values[2, 3] = np.nan
    greys = to_greys(values, (-20.0, 0.0))
    assert greys[2, 3] == 0
    assert greys[0, 0] == 1
    assert greys[-1, -1] == GREYS
    alpha = np.asarray(decoded(grey_uri(greys)).convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha == 0, ~np.isfinite(values))


def test_values_survive_the_png_exactly() -> None:
    values = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype("uint8")
    np.testing.assert_array_equal(np.asarray(decoded(colour_uri(values))), values)


@pytest.mark.parametrize(("limit", "factor"), [(100, 1), (99, 2), (34, 3), (10, 10)])
def test_shrunk_to_fit(limit: int, factor: int) -> None:
    shrunk = Shrunk.to_fit(80, 100, limit)
    assert shrunk.factor == factor
    height, width = shrunk.extent
    classes = np.arange(8000).reshape(80, 100) % 4
    small = shrunk.every(classes.astype("uint8"))
    assert small.shape == (height // factor, width // factor) == tuple(shrunk.grid(GRID).shape.yx)
    assert shrunk.grid(GRID).affine.a == factor * 10
    assert max(small.shape) <= limit


def test_brightness_is_the_mean_power_in_decibel_without_nodata() -> None:
    store = scene(GRID, "2023-05-14")
    power = store.vv.values
    expected = 10 * np.log10(np.nanmean(power[4:8, :4]))
    small = brightness(store, Shrunk(80, 100, 4))
    assert small[1, 0] == pytest.approx(expected, abs=1e-4)
    assert np.isnan(small[0]).all()
    np.testing.assert_allclose(
        brightness(store.chunk(y=33, x=21), Shrunk(80, 100, 4)), small, rtol=1e-5
    )


def test_backdrop_is_the_co_polarised_band_if_there_is_one() -> None:
    store = scene(GRID, "2023-05-14")
    assert backdrop_band(store.rename(vv="hh")) == "hh"
    assert backdrop_band(store[["flags"]].rename(flags="backscatter")) == "backscatter"
    with pytest.raises(InputError, match="no \\(y, x\\) variable"):
        backdrop_band(store[[]])


def test_stretch_of_nothing_is_still_a_range() -> None:
    assert stretch_limits(np.full((3, 3), np.nan, "float32")) == (0.0, 1.0)
    low, high = stretch_limits(np.ones((3, 3), "float32"))
    assert high > low


def test_path_is_the_mask_to_the_pixel() -> None:
    draw = np.random.default_rng(3).random((40, 50)) > 0.4
    mask = draw.copy()
    mask[10:30, 10:30] = True
    mask[15:20, 15:20] = False
    outline = outline_of_mask(mask, Affine.identity())
    np.testing.assert_array_equal(even_odd(outline.path, mask.shape), mask)
    assert outline.left_out == 0


def test_path_undoes_the_grid_and_keeps_holes() -> None:
    mask = np.zeros(GRID.shape.yx, dtype=bool)
    mask[10:30, 20:60] = True
    mask[15:20, 30:40] = False
    found = shapes(mask.astype("uint8"), mask=mask, transform=GRID.affine)
    outline = outline_of([shape(part) for part, _ in found], GRID.affine, 1000)
    np.testing.assert_array_equal(even_odd(outline.path, mask.shape), mask)


def test_smallest_patches_are_left_out_and_counted() -> None:
    squares = [Polygon([(x, 0), (x + 1, 0), (x + 1, 1), (x, 1)]) for x in range(0, 20, 2)]
    outline = outline_of(squares, Affine.identity(), 5 * 3)
    assert outline.path.count("M") == 3
    assert outline.left_out == 7
