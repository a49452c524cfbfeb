"""Arguments of baselines, from the configuration and from the stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from floodloom.config.load import load_config
from floodloom.errors import ConfigError, InputError
from floodloom.mapping.settings import PredictSettings
from floodloom.stages.predict import predict


def config(**section: Any) -> Any:
    return load_config({"scenes": "scenes.tsv", "run": {"name": "x"}, "predict": section})


def test_a_configuration_sets_the_arguments_of_its_baseline() -> None:
    found = config(baseline="slic", arguments={"size": 12, "classes": "otsu"})
    assert found.predict.arguments == {"size": 12, "classes": "otsu"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"baseline": "slic", "arguments": {"sise": 1}}, "baseline slic: argument sise: .*size"),
        ({"baseline": "slic", "arguments": {"size": 1}}, "baseline slic: argument size: "),
        ({"baseline": "hsba", "arguments": {"size": 9}}, "its arguments are: none"),
        ({"arguments": {"size": 9}}, "set predict.baseline"),
    ],
)
def test_arguments_that_a_baseline_lacks_are_refused(section, message: str) -> None:
    with pytest.raises(ConfigError, match=f"predict.arguments: .*{message}") as caught:
        config(**section)
    assert "\n" not in str(caught.value)


def test_networks_take_no_arguments_of_baselines(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"predict: arguments: .*baseline"):
        predict(
            scene=tmp_path / "scene.zarr",
            out=tmp_path / "p.tif",
            settings=PredictSettings(arguments={"size": 9}),
        )
