import json

import numpy as np
import pytest
import xarray as xr

from floodloom.errors import InputError
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.tiles.inputs import compose_inputs, inputs_recipe, lacking_bands, standardisation


def scaled(recipe: Recipe, db_range: tuple[float, float]) -> Recipe:
    """The recipe with another range of decibels."""
    return recipe.model_copy(update={"db_range": db_range})


def scene(**bands: list[list[float]]) -> xr.Dataset:
    variables = {name: (("y", "x"), np.asarray(v, "float32")) for name, v in bands.items()}
    return stamp(xr.Dataset(variables), Recipe(quantity="sigma0", spacing=10.0))


def test_fixed_normalisation_by_hand() -> None:
    power = scene(vv=[[0.1, 1e-3, np.nan, 0.0, 100.0]], vh=[[0.01, 1e-3, 0.1, 0.1, 0.1]])
    inputs = compose_inputs(power, scaled(inputs_recipe(power, ("vv", "ratio")), (-30.0, 10.0)))
    np.testing.assert_allclose(inputs[0, 0], [0.0, -1.0, np.nan, -1.0, 1.0], atol=1e-6)
    # VH/VV: -10 dB, 0 dB, unknown, far above, far below the range -15..0 dB
    np.testing.assert_allclose(inputs[1, 0], [-1 / 3, 1.0, np.nan, 1.0, -1.0], atol=1e-5)
    assert inputs.dtype == np.float32


def test_display_products_are_standardised_by_their_scene() -> None:
    values = np.array([[10.0, 20.0], [30.0, np.nan]], "float32")
    display = xr.Dataset({"vv": (("y", "x"), values)}, attrs={})
    display.attrs["statistics"] = json.dumps({"vv": standardisation(values)})
    display = stamp(display, Recipe(quantity="display"))
    inputs = compose_inputs(display, inputs_recipe(display, ("vv",)))
    assert float(inputs.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(inputs.std()) == pytest.approx(1.0, abs=1e-6)
    usual = compose_inputs(display, Recipe(quantity="gamma0").for_inputs(("vv",)))
    decibel = (usual + 1) * 17.5 - 30
    assert float(decibel.mean()) == pytest.approx(-12.4, abs=1e-4)
    assert float(decibel.std()) == pytest.approx(4.2, abs=1e-4)
    part = compose_inputs(display.isel(y=[0]), inputs_recipe(display, ("vv",)))
    np.testing.assert_array_equal(part, inputs.isel(y=[0]))


@pytest.mark.parametrize("bands", [("vv",), ("ratio",), ("one_minus_ratio",), ("vh", "vv")])
@pytest.mark.parametrize("wrong", ["vv", "vh"])
def test_infinite_power_is_no_data(bands: tuple[str, ...], wrong: str) -> None:
    """Clipped to its range it would be bright land, and its ratio water."""
    power = scene(vv=[[0.1, 0.1]], vh=[[0.01, 0.01]])
    power[wrong][0, 0] = np.inf
    inputs = compose_inputs(power, inputs_recipe(power, bands))
    seen = np.isfinite(inputs.values).all(axis=0)
    assert seen.tolist() == [[bands == ("vv",) and wrong == "vh", True]]


@pytest.mark.parametrize(
    "statistics",
    ["{}", "[", '{"vv": 3}', '{"vv": [1.0]}', '{"vv": ["a", "b"]}', '{"vv": [NaN, 1.0]}',
     '{"vv": [0.0, 0.0]}', '{"vv": [0.0, -1.0]}', '{"vv": [0.0, Infinity]}'],
)  # fmt: skip
def test_statistics_that_cannot_be_are_refused(statistics: str) -> None:
    values = xr.Dataset({"vv": (("y", "x"), np.ones((2, 2), "f4"))})
    display = stamp(values.assign_attrs(statistics=statistics), Recipe(quantity="display"))
    recipe = inputs_recipe(display, ("vv",))
    with pytest.raises(InputError, match=r"band vv: the scene.*ingest it again"):
        compose_inputs(display, recipe)


def test_bands_before_the_event_come_from_the_other_scene() -> None:
    after, before = scene(vv=[[0.1, 0.1]]), scene(vv=[[0.01, 0.001]])
    recipe = scaled(inputs_recipe(after, ("before_vv", "vv")), (-30.0, -10.0))
    inputs = compose_inputs(after, recipe, before=before)
    assert list(inputs.band.values) == ["before_vv", "vv"]
    np.testing.assert_allclose(inputs[:, 0], [[0.0, -1.0], [1.0, 1.0]], atol=1e-5)
    with pytest.raises(InputError, match="no pre-event scene"):
        compose_inputs(after, recipe)


def test_missing_band_is_named() -> None:
    with pytest.raises(InputError, match="band vh: not in the scene, which has vv"):
        compose_inputs(scene(vv=[[1.0]]), Recipe(quantity="sigma0").for_inputs(("vh",)))


def test_scene_normalisation_survives_an_offset_and_a_gain() -> None:
    draw = np.random.default_rng(0)
    power = draw.gamma(4.4, 0.02, (2, 40, 30)).astype(np.float32)
    power[:, :3] = np.nan
    recipe = Recipe(quantity="gamma0").for_inputs(("vv", "ratio"), normalisation="scene")

    def composed(values: np.ndarray) -> np.ndarray:
        bands = {"vv": (("y", "x"), values[0]), "vh": (("y", "x"), values[1])}
        return compose_inputs(xr.Dataset(bands), recipe).values

    found = composed(power)
    np.testing.assert_allclose(composed(power * 1.7), found, atol=1e-4)  # 2.3 dB of offset
    np.testing.assert_allclose(composed(power**1.3)[0], found[0], atol=1e-4)  # stretched decibels
    assert np.nanmean(found[0]) == pytest.approx(0, abs=1e-4)
    assert np.isnan(found[:, :3]).all()


def test_one_minus_ratio_is_kept_to_its_range() -> None:
    vv = np.array([[2.0, 1.0, np.nan]], np.float32)
    vh = np.array([[0.5, 3.0, 1.0]], np.float32)
    scene = xr.Dataset({"vv": (("y", "x"), vv), "vh": (("y", "x"), vh)})
    recipe = Recipe(quantity="gamma0").for_inputs(("one_minus_ratio",))
    np.testing.assert_allclose(compose_inputs(scene, recipe).values[0], [[0.75, 0.0, np.nan]])


def test_a_band_that_a_scene_may_lack_is_neutral_where_the_others_have_data() -> None:
    power = scene(vv=[[0.1, np.nan]])
    inputs = compose_inputs(power, inputs_recipe(power, ("vv", "vh")), absent=("vv", "vh"))
    assert inputs.band.values.tolist() == ["vv", "vh"]
    np.testing.assert_array_equal(inputs[1], [[0.0, np.nan]])
    np.testing.assert_array_equal(
        inputs[0], compose_inputs(power, inputs_recipe(power, ("vv",)))[0]
    )
    with pytest.raises(InputError, match="band vh: not in the scene, which has vv"):
        compose_inputs(power, inputs_recipe(power, ("vv", "vh")))
    with pytest.raises(InputError, match="band hh: not in the scene, nor is any other"):
        compose_inputs(power, inputs_recipe(power, ("hh", "hv")), absent=("hh", "hv"))


def test_a_date_that_may_be_missing_is_neutral_and_seen_where_it_is_there() -> None:
    after, before = scene(vv=[[0.1, np.nan]], vh=[[0.02, np.nan]]), scene(vv=[[0.3, 0.3]])
    bands = ("vv", "vh", "before_vv", "before_vh")
    recipe = inputs_recipe(after, bands)
    alone = compose_inputs(after, recipe, absent=bands)
    assert lacking_bands(after, recipe, None, bands) == ["before_vv", "before_vh"]
    assert lacking_bands(after, recipe, before, bands) == ["before_vh"]
    assert lacking_bands(after, recipe, before, ()) == []
    np.testing.assert_array_equal(alone[2:], [[[0.0, np.nan]], [[0.0, np.nan]]])
    pair = compose_inputs(after, recipe, before=before, absent=bands)
    seen = compose_inputs(before, inputs_recipe(before, ("vv",)))
    np.testing.assert_array_equal(pair[2], seen[0])
    np.testing.assert_array_equal(pair[3], [[0.0, np.nan]])
    with pytest.raises(InputError, match="band vh: not in the scene, which has vv"):
        compose_inputs(after, recipe, before=before, absent=("before_vv",))
