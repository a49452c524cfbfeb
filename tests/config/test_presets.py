"""What a preset sets, and that what is set explicitly wins."""

from __future__ import annotations

import pytest

from floodloom.config.document import sections
from floodloom.config.load import load_config
from floodloom.config.project import Config
from floodloom.errors import ConfigError
from floodloom.learning.distillation.presets import PRESETS as DISTILLATIONS
from floodloom.learning.distillation.settings import DistillSettings
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.learning.relabelling.settings import RelabelSettings

_REQUIRED = {"run": {"name": "x"}}


def config(**sections: object) -> Config:
    run = {"name": "x", **dict(sections.pop("run", {}))}  # type: ignore[call-overload]
    return load_config({"run": run, "scenes": "scenes.tsv", **sections})


BOTH = [("relabel", name) for name in PRESETS.names]
BOTH += [("distill", name) for name in DISTILLATIONS.names]
REGISTRIES = {"relabel": PRESETS, "distill": DISTILLATIONS}


@pytest.mark.parametrize(("naming", "name"), BOTH)
def test_a_preset_sets_what_it_says(naming: str, name: str) -> None:
    found = config(teach={}, **{naming: {"preset": name}}).model_dump(mode="json")
    for section, values in REGISTRIES[naming].load(name).items():
        for key, value in values.items():
            assert found[section][key] == value, f"{section}.{key}"
    assert found[naming]["preset"] == name


@pytest.mark.parametrize(("naming", "name"), BOTH)
def test_a_preset_sets_keys_that_there_are(naming: str, name: str) -> None:
    models = sections()
    for section, values in REGISTRIES[naming].load(name).items():
        settings = models[section].model_validate({**_REQUIRED.get(section, {}), **values})
        assert set(values) <= settings.model_fields_set


def test_the_default_is_a_preset_whose_values_are_those_of_the_keys() -> None:
    assert PRESETS.load(RelabelSettings().preset) == {}
    assert config() == config(relabel={"preset": RelabelSettings().preset})
    assert DISTILLATIONS.load(DistillSettings().preset) == {}
    assert config(teach={}, distill={}) == config(teach={}, distill={"preset": "logits"})


def test_a_preset_of_distillation_needs_a_distillation() -> None:
    assert config(teach={}).run.models == ("unet",)
    assert config(distill={"preset": "hfd-net"}).teach.model == "hfd_net"


def test_where_two_presets_set_a_key_that_of_distillation_counts() -> None:
    both = config(distill={"preset": "hfd-net"}, relabel={"preset": "paul-ganju"})
    assert both.run.models == ("hfd_net",)
    assert both.run.rounds == 2


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
