import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from floodloom.config.document import REFERENCE, SCHEMA, reference, schema, sections
from floodloom.config.load import load_config
from floodloom.errors import ConfigError
from floodloom.settings import groups

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = [n for n in sections() if n not in ("run", "dask") and not n.startswith("events.")]


def test_generated_pages_are_in_step() -> None:
    assert (REPOSITORY / REFERENCE).read_text() == reference(), "run `make docs`"
    assert (REPOSITORY / SCHEMA).read_text() == schema(), "run `make docs`"


@pytest.mark.parametrize("file", sorted((REPOSITORY / "config").glob("*.yaml")), ids=str)
def test_the_schema_takes_what_the_settings_take(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    jsonschema.validate(content, json.loads(schema()))
    load_config(content)


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ("run", {"rounds": 10}),
        ("run", {"models": ["unett"]}),
        ("tile", {"size": "many"}),
        ("train", {"loss": "no loss"}),
        ("relabel", {"gate": None}),
        ("predict", {"overlap": 64}),
        ("delineate", {"threshold": -1}),
        ("events", {"alder": {"split": "training"}}),
        ("floods", {}),
    ],
)
def test_the_schema_refuses_what_the_settings_refuse(section: str, wrong: dict[str, Any]) -> None:
    content = yaml.safe_load((REPOSITORY / "config/train.yaml").read_text())
    content[section] = {**content.get(section, {}), **wrong}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, json.loads(schema()))
    with pytest.raises(ConfigError):
        load_config(content)


@pytest.mark.parametrize("stage", STAGES)
def test_settings_are_the_stage_functions_arguments(stage: str) -> None:
    function = getattr(importlib.import_module(f"floodloom.stages.{stage}"), stage)
    parameters = inspect.signature(function).parameters
    if "settings" in parameters:
        assert sections()[stage] is groups(function)["settings"]
        return
    for name, field in sections()[stage].model_fields.items():
        assert name in parameters, f"{stage}() takes no {name}"
        default = field.get_default(call_default_factory=True)
        assert _plain(parameters[name].default) == _plain(default), f"{stage}.{name}"


@pytest.mark.parametrize("name", sections())
def test_every_field_is_described(name: str) -> None:
    for key, field in sections()[name].model_fields.items():
        assert field.description, f"{name}.{key}"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
