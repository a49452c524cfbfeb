"""What a preset sets, and that what is set explicitly wins."""

from __future__ import annotations

from typing import get_args

import pytest

from floodloom.config.load import load_config
from floodloom.config.presets import DEFAULT, PRESETS
from floodloom.config.project import Config
from floodloom.errors import ConfigError
from floodloom.learning.relabelling.settings import RelabelSettings


def config(**sections: object) -> Config:
    run = {"name": "x", **dict(sections.pop("run", {}))}  # type: ignore[call-overload]
    return load_config({"run": run, "scenes": "scenes.tsv", **sections})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_what_it_says(name: str) -> None:
    found = config(relabel={"preset": name}).model_dump(mode="json")
    for section, values in PRESETS[name].items():
        for key, value in values.items():
            assert found[section][key] == value, f"{section}.{key}"
    assert found["relabel"]["preset"] == name


def test_every_preset_can_be_chosen_and_the_default_is_one() -> None:
    field = RelabelSettings.model_fields["preset"]
    assert set(get_args(field.annotation)) == set(PRESETS)
    assert field.default == DEFAULT
    assert PRESETS[DEFAULT] == {}, "its values are the defaults of the keys"
    assert config() == config(relabel={"preset": DEFAULT})


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
