import importlib
import inspect
from pathlib import Path

import pytest

from floodloom.config.document import REFERENCE, SCHEMA, reference, schema, sections
from floodloom.settings import groups

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = [n for n in sections() if n not in ("run", "dask") and not n.startswith("events.")]


def test_generated_pages_are_in_step() -> None:
    assert (REPOSITORY / REFERENCE).read_text() == reference(), "run `make docs`"
    assert (REPOSITORY / SCHEMA).read_text() == schema(), "run `make docs`"


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
