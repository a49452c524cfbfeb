"""What all models of settings share: one line for what is wrong, flat names on the way in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from floodloom.errors import explain, one_line
from floodloom.mapping.settings import DelineateSettings, PredictSettings
from floodloom.outputs import Files
from floodloom.sentinel1.settings import CalibrateSettings, GeocodeSettings
from floodloom.settings import Settings, arguments_of, groups
from floodloom.tiles.settings import TileSettings


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (GeocodeSettings, "resolution", 0.0),
        (GeocodeSettings, "resolution", float("nan")),
        (GeocodeSettings, "constant_height", float("inf")),
        (PredictSettings, "tile", 100),
        (TileSettings, "stride", 0),
        (DelineateSettings, "threshold", 101),
    ],
)
def test_what_is_out_of_its_range_is_one_line(
    model: type[Settings], name: str, value: float
) -> None:
    stage = model.__name__.removesuffix("Settings").lower()
    for given in (value, str(value)):  # from Python, and as the command line has it
        with pytest.raises(ValidationError) as refused:
            model(**{name: given})
        line = one_line(refused.value)
        assert line.startswith(f"{stage}: {name} is {value}, but it should be ")
        assert "\n" not in line


def test_other_mistakes_are_one_line() -> None:
    for given, line in (
        ({"quantity": "x"}, "calibrate: quantity is 'x', but it should be 'beta0', 'sigma0'"),
        ({"epsg": "x\ny"}, r"geocode: epsg is 'x\ny', but it should be a valid integer"),
        ({"chunks": 3}, "geocode: chunks: no such setting"),
    ):
        model = CalibrateSettings if "quantity" in given else GeocodeSettings
        with pytest.raises(ValidationError) as refused:
            model(**given)  # type: ignore[arg-type]
        assert (explain(refused.value) or "").startswith(line)


class Pair(Files):
    left: Path
    right: Path | None = None


CHOSEN = CalibrateSettings()


def stage(*, files: Pair, settings: CalibrateSettings = CHOSEN, seed: int = 0) -> Any:
    return files, settings, seed


def test_flat_names_find_their_models() -> None:
    assert groups(stage) == {"files": Pair, "settings": CalibrateSettings}
    arguments = arguments_of(stage, {"left": "a", "remove_noise": False, "seed": 3})
    assert arguments == {
        "files": Pair(left=Path("a")),
        "settings": CalibrateSettings(remove_noise=False),
        "seed": 3,
    }
    assert arguments_of(stage, {"seed": 3}) == {"seed": 3}
