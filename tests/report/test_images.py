import base64
import io

import numpy as np
import pytest
from PIL import Image

from floodloom.errors import InputError
from floodloom.report.images import (
    GREYS,
    PAPER,
    Shrunk,
    backdrop_band,
    brightness,
    colour_uri,
    grey_uri,
    map_picture,
    stretch_limits,
    to_greys,
)
from tests.report.conftest import GRID, scene


def decoded(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/webp;base64")
    return Image.open(io.BytesIO(base64.b64decode(body)))


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


def test_map_is_drawn_in_its_colours_and_what_is_not_seen_is_paper() -> None:
    classes = np.array([[0, 1, 2, 255]], dtype="uint8").repeat(20, axis=0)
    image = map_picture(np.full(classes.shape, 32, "uint8"), classes)
    assert tuple(image[0, 0]) == (127, 127, 127)
    assert image[0, 1, 2] > image[0, 1, 0] + 50  # blue
    assert image[0, 2, 0] > image[0, 2, 2] + 50  # orange
    assert tuple(image[0, 3]) == PAPER
    hatched = map_picture(np.full((40, 40), 32, "uint8"), np.full((40, 40), 3, "uint8"))
    assert {tuple(pixel) for pixel in hatched.reshape(-1, 3)} == {(43,) * 3, (190,) * 3}
