"""What every settings model shares: the one place of a key's default, range and meaning.

The model of a stage's settings lies in a module `settings` beside the code that it configures. The
configuration file, its schema and manual, the options of the command line and the Python interface
all follow from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from floodloom.registry import Registry
from floodloom.shown import brief, shortened

_OF_JOB = "of_job"


class Settings(BaseModel):
    """Settings of a stage, or a part of them that several stages share."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def modules(self) -> tuple[str, ...]:
        """Return the modules of what is chosen by name, such as that of the loss."""
        found = [
            registry.module(name)
            for key, field in type(self).model_fields.items()
            for registry in [*_registries(field.annotation), *_registries(*field.metadata)]
            if (name := getattr(self, key)) is not None
        ]
        return tuple(dict.fromkeys(found))


def of_job(*, default: Any, description: str) -> Any:
    """Return a field that the workflow sets for each job: an option, but no key of a config."""
    return Field(default=default, description=description, json_schema_extra={_OF_JOB: True})


def of_jobs(model: type[BaseModel]) -> set[str]:
    """Return the names of the fields that the workflow sets for each job."""
    return {name for name, field in model.model_fields.items() if _is_of_job(field)}


def settings_model(stage: Callable[..., Any]) -> type[Settings] | None:
    """Return the model of a stage's argument `settings`, if it has one."""
    if "settings" not in inspect.signature(stage).parameters:
        return None
    hint = get_type_hints(stage)["settings"]
    candidates = [hint, *get_args(hint)]
    return next(c for c in candidates if isinstance(c, type) and issubclass(c, Settings))


def explain_invalid(error: ValidationError) -> str:
    """Return in one line which value is wrong, and what is expected."""
    first = error.errors()[0]
    key = ".".join(shortened(str(part)) for part in first["loc"])
    if first["type"] == "value_error":
        return f"{key}: {first['ctx']['error']}" if key else str(first["ctx"]["error"])
    if first["type"] == "extra_forbidden":
        return f"{key}: no such setting"
    message = shortened(first["msg"].replace("Input should", "it should", 1), 300)
    return f"{key} is {brief(first['input'])}, but {message}"


def _registries(*parts: Any) -> Iterator[Registry[Any]]:
    """Yield the registries in an annotation, however deep."""
    for part in parts:
        if isinstance(part, Registry):
            yield part
        yield from _registries(*get_args(part))


def _is_of_job(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, Mapping) and bool(extra.get(_OF_JOB))
