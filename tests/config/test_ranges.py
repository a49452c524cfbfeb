import pytest

from floodloom.config.ranges import require_ranges
from floodloom.errors import InputError


@pytest.mark.parametrize(
    ("stage", "name", "value"),
    [
        ("calibrate", "chunk", 0),
        ("geocode", "resolution", 0.0),
        ("geocode", "resolution", float("nan")),
        ("geocode", "constant_height", float("inf")),
        ("predict", "tile", 100),
        ("predict", "rim", -1),
        ("predict", "batch", 0),
        ("tile", "stride", 0),
        ("delineate", "threshold", 101),
    ],
)
def test_what_is_out_of_its_range_is_named(stage: str, name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"{stage}: {name} is {value!r}, but it should be"):
        require_ranges(stage, {name: value})


@pytest.mark.parametrize(
    ("stage", "values"),
    [
        ("calibrate", {"chunk": 64, "orbit": "x", "safe": 3, "remove_noise": True}),
        ("predict", {"tile": None, "rim": 0, "tile_": -1}),
        ("inspect", {"file": -1}),
        ("geocode", {"epsg": 32633, "speckle_window": 3}),
    ],
)
def test_all_else_is_left_to_the_stage(stage: str, values: dict[str, object]) -> None:
    require_ranges(stage, values)
