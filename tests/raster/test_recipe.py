import pytest

from floodloom.errors import RecipeMismatchError
from floodloom.raster.recipe import Accepted, Recipe


def test_degrees_against_metres_are_called_so() -> None:
    for one, other in ((0.0002, 20.0), (10.0, 9e-05), (0.00027, 30.0)):
        with pytest.raises(RecipeMismatchError, match="one is in degrees, the other in metres"):
            Recipe(quantity="gamma0", spacing=one).require_scene(
                Recipe(quantity="gamma0", spacing=other), "scene.zarr"
            )
    with pytest.raises(
        RecipeMismatchError, match=r"spacing is 30\.0 but 10\.0 is expected; "
    ) as said:
        Recipe(quantity="gamma0", spacing=10.0).require_scene(
            Recipe(quantity="gamma0", spacing=30.0), "scene.zarr"
        )
    assert "degrees" not in str(said.value)


def test_fingerprints_of_known_recipes_stay() -> None:
    assert Recipe(quantity="gamma0", noise_removed=True, spacing=20.0).fingerprint == "ab417cfbf660"


OWN = Recipe(quantity="gamma0", noise_removed=True, spacing=10.0)
OTHERS = Accepted(quantities=("sigma0", "gamma0"), spacing=(10.0, 30.0))


@pytest.mark.parametrize(
    "scene",
    [
        OWN,
        Recipe(quantity="sigma0", spacing=20.0),
        Recipe(quantity="gamma0", flattened=True, speckle_filter="lee 5", spacing=30.0),
    ],
)
def test_scenes_that_a_network_takes_as_well(scene: Recipe) -> None:
    OWN.require_scene(scene, "s.zarr", OTHERS)
    bands = ("vv", "vh")
    OWN.for_inputs(bands).require_inputs(scene.for_inputs(bands), "t.zarr", OTHERS)


@pytest.mark.parametrize(
    ("scene", "line"),
    [
        (Recipe(quantity="beta0", spacing=10.0), "'beta0' but sigma0 or gamma0 is expected; "),
        (Recipe(quantity="display"), "quantity is 'display' but sigma0 or gamma0 is"),
        (Recipe(quantity="sigma0", spacing=40.0), "spacing is 40.0 but 10 to 30 m is expected; "),
        (Recipe(quantity="sigma0"), "spacing is None but 10 to 30 m is expected"),
    ],
)
def test_scenes_that_it_does_not_take_are_refused_with_what_it_takes(scene, line: str) -> None:
    with pytest.raises(RecipeMismatchError, match=line):
        OWN.require_scene(scene, "s.zarr", OTHERS)


def test_what_is_made_of_other_scenes_is_scaled_alike() -> None:
    mine, other = OWN.for_inputs(("vv",)), OWN.for_inputs(("vv",), normalisation="scene")
    with pytest.raises(RecipeMismatchError, match="normalisation is 'scene' but 'fixed' is"):
        mine.require_inputs(other, "t.zarr", OTHERS)


def test_scenes_of_one_grid_may_have_pixels_of_slightly_other_sizes() -> None:
    fine = Recipe(quantity="gamma0", spacing=10.0)
    fine.require_alike(fine.model_copy(update={"spacing": 14.7}), "degrees.tif")
    for other in ({"spacing": 30.0}, {"spacing": None}, {"quantity": "sigma0", "spacing": 14.7}):
        with pytest.raises(RecipeMismatchError, match=next(iter(other))):
            fine.require_alike(fine.model_copy(update=other), "other.tif")


def test_tiles_in_other_bands_are_refused_with_how_to_cut_them() -> None:
    with pytest.raises(RecipeMismatchError, match="`floodloom tile --checkpoint` cuts tiles in"):
        OWN.for_inputs(("vv", "vh")).require_inputs(OWN.for_inputs(("vv",)), "tiles", OTHERS)
