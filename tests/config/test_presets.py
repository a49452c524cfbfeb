"""What a preset sets, and that what is set explicitly wins."""

from __future__ import annotations

import pytest

from floodloom.config.document import sections
from floodloom.config.load import load_config
from floodloom.config.project import Config
from floodloom.errors import ConfigError
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.learning.relabelling.settings import RelabelSettings

_REQUIRED = {"run": {"name": "x"}}


def config(**sections: object) -> Config:
    run = {"name": "x", **dict(sections.pop("run", {}))}  # type: ignore[call-overload]
    return load_config({"run": run, "scenes": "scenes.tsv", **sections})


@pytest.mark.parametrize("name", PRESETS.names)
def test_a_preset_sets_what_it_says(name: str) -> None:
    found = config(relabel={"preset": name}).model_dump(mode="json")
    for section, values in PRESETS.load(name).items():
        for key, value in values.items():
            assert found[section][key] == value, f"{section}.{key}"
    assert found["relabel"]["preset"] == name


@pytest.mark.parametrize("name", PRESETS.names)
def test_a_preset_sets_keys_that_there_are(name: str) -> None:
    models = sections()
    for section, values in PRESETS.load(name).items():
        settings = models[section].model_validate({**_REQUIRED.get(section, {}), **values})
        assert set(values) <= settings.model_fields_set


def test_the_default_is_a_preset_whose_values_are_those_of_the_keys() -> None:
    assert PRESETS.load(RelabelSettings().preset) == {}
    assert config() == config(relabel={"preset": RelabelSettings().preset})


def test_explicit_keys_win() -> None:
    chosen = config(
        run={"models": ["linknet"]},
        train={"loss": "focal"},
        relabel={"preset": "paul-ganju", "gate": "pixel"},
    )
    assert chosen.run.models == ("linknet",)
    assert chosen.train.loss == "focal"
    assert chosen.relabel.gate == "pixel"
    assert chosen.run.rounds == 2
    assert chosen.delineate.refine == "paul-ganju"


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"relabel\.preset: input should be"):
        config(relabel={"preset": "noisy-student"})


def test_wrong_shapes_are_left_to_validation() -> None:
    with pytest.raises(ConfigError, match="train: "):
        config(train=3, relabel={"preset": "unimatch"})
