"""Settings of stages, and the records that they write: frozen models that are checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from floodloom.errors import InputError
from floodloom.files import read_json
from floodloom.registry import Registry

_OF_JOB = "of_job"


class Settings(BaseModel):
    """Settings of a stage, or a part of them that several stages share."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    shared: ClassVar[Mapping[str, str]] = {}
    """Fields that a configuration sets in another section, and the name of that."""

    def modules(self, *keys: str) -> tuple[str, ...]:
        """Return the modules of what is chosen by name, such as that of the loss.

        Parameters
        ----------
        *keys
            Keys to look at; all by default.
        """
        found = [
            module
            for key, registries in _choices(type(self)).items()
            if not keys or key in keys
            for module in _chosen(getattr(self, key), registries)
        ]
        return tuple(dict.fromkeys(found))


def of_job(*, default: Any, description: str) -> Any:
    """Return a field that the workflow sets for each job: an option, but no key of a config."""
    return Field(default=default, description=description, json_schema_extra={_OF_JOB: True})


def of_jobs(model: type[BaseModel]) -> set[str]:
    """Return the names of the fields that the workflow sets for each job: no keys of a section."""
    shared = set(model.shared) if issubclass(model, Settings) else set()
    return {name for name, field in model.model_fields.items() if _is_of_job(field)} | shared


def groups(function: Callable[..., Any]) -> dict[str, type[BaseModel]]:
    """Return the arguments of a function that are models, whose fields are options of their own."""
    hints = get_type_hints(function)
    found = {name: _model_of(hints.get(name)) for name in inspect.signature(function).parameters}
    return {name: model for name, model in found.items() if model is not None}


def arguments_of(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a function from values by name, such as those of a job.

    Parameters
    ----------
    function
        A stage.
    values
        Its arguments by name, and instead of each that is a model the fields of that, or these by
        the name of the argument.
    """
    left, made = dict(values), {}
    for argument, model in groups(function).items():
        own = dict(left.pop(argument, {}))
        own |= {name: left.pop(name) for name in list(left) if name in model.model_fields}
        if own:
            made[argument] = model(**own)
    return {**made, **left}


def _model_of(hint: Any) -> type[BaseModel] | None:
    candidates = [hint, *get_args(hint)]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


@cache
def _choices(model: type[BaseModel]) -> dict[str, tuple[Registry[Any], ...]]:
    """Return the registries of each field: none where nothing is chosen by name."""
    return {
        key: tuple(_registries(field.annotation, *field.metadata))
        for key, field in model.model_fields.items()
    }


def _chosen(value: Any, registries: tuple[Registry[Any], ...]) -> Iterator[str]:
    """Yield the modules of what a value names: itself, each of a tuple, or the keys of a part."""
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, Settings):
            yield from part.modules()
        elif isinstance(part, str):  # else a file that stands in place of a name, or nothing
            for registry in registries:
                yield registry.module(part)


def _registries(*parts: Any) -> Iterator[Registry[Any]]:
    """Yield the registries in an annotation, however deep."""
    for part in parts:
        if isinstance(part, Registry):
            yield part
        yield from _registries(*get_args(part))


def _is_of_job(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, Mapping) and bool(extra.get(_OF_JOB))


Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """What is read of a record; there may be more in it."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class ReliabilityCurve(Record):
    """Confidence and accuracy by equal-width bins of the confidence, null in empty bins."""

    expected_calibration_error: Number
    count: list[Count] = Field(default_factory=list)
    confidence: list[Number | None]
    accuracy: list[Number | None]

    @model_validator(mode="after")
    def _paired(self) -> ReliabilityCurve:
        if len(self.confidence) != len(self.accuracy):
            raise ValueError("confidence and accuracy aren't pairs")
        return self


Kind = TypeVar("Kind", bound=Record)


def read_record(path: str | Path, kind: type[Kind]) -> Kind:
    """Read a record of a stage.

    Parameters
    ----------
    path
        The file (.json).
    kind
        Model of the record.

    Raises
    ------
    InputError
        If it isn't JSON, or lacks what is read of it; the message names the first such field.
    """
    content = read_json(path)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(
            f"{path}: not what the stage before writes ({where}: {first['msg']}); run it again"
        ) from error
