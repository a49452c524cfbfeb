"""What stages write down as JSON for others to read, checked before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from floodloom.errors import InputError
from floodloom.files import read_json

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
