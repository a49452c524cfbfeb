import pytest

from floodloom.errors import RecipeMismatchError
from floodloom.raster.recipe import Recipe


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
