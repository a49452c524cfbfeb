"""Settings on the command line, held to the ranges that the configuration holds them to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from floodloom.config.document import sections
from floodloom.errors import InputError

_OF_RANGES = (
    "finite_number", "greater_than", "greater_than_equal", "less_than", "less_than_equal",
    "multiple_of",
)  # fmt: skip


def require_ranges(stage: str, arguments: Mapping[str, Any]) -> None:
    """Check the numbers among the arguments of a stage.

    Parameters
    ----------
    stage
        Name of the stage; others have no settings.
    arguments
        Values by name. What isn't a setting, or has a range that its kind alone decides, is left to
        the stage.

    Raises
    ------
    InputError
        Naming the first that is out of its range.
    """
    model = sections().get(stage)
    for name, value in arguments.items():
        field = model.model_fields.get(name) if model is not None else None
        if field is None or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        kind: Any = Annotated[field.annotation, *field.metadata, stage]
        try:
            TypeAdapter(kind, config={"allow_inf_nan": False}).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] in _OF_RANGES:
                raise InputError(
                    f"{stage}: {name} is {value!r}, but it {_expected(first['msg'])}"
                ) from None


def _expected(message: str) -> str:
    return message.replace("Input should be", "should be")
