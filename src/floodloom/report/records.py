"""What `evaluate` and `relabel` have written down, checked before a page is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from floodloom.errors import InputError
from floodloom.files import read_json

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    """What pages show of a record; there may be more in it."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Scores(_Record):
    iou: Number | None
    f1: Number | None
    precision: Number | None
    recall: Number | None
    tp: Count
    fp: Count
    fn: Count
    tn: Count


class _Pair(_Record):
    flood: _Scores
    water: _Scores


class _Undecided(_Record):
    excluded: Number
    nodata: Number


class _Permanent(_Record):
    called_flood: Number | None


class _Event(_Pair):
    scored: str = ""
    undecided: _Undecided = Field(default=None)  # type: ignore[assignment]
    permanent_water: _Permanent = Field(default=None)  # type: ignore[assignment]


class _Curve(_Record):
    expected_calibration_error: Number
    confidence: list[Number | None]
    accuracy: list[Number | None]

    @model_validator(mode="after")
    def _paired(self) -> _Curve:
        if len(self.confidence) != len(self.accuracy):
            raise ValueError("confidence and accuracy aren't pairs")
        return self


class _Tiles(_Record):
    count: Count
    pooled: _Scores
    mean_of_chip_iou: Number | None
    mean_of_chip_macro_jaccard: Number | None = None
    calibration: _Curve | None = None


class Evaluation(_Record):
    """Scores, as `evaluate` writes them."""

    flood: _Scores
    water: _Scores
    inductive: _Pair | None = None
    transductive: _Pair | None = None
    by_event: dict[str, _Event] = Field(default_factory=dict)
    tiles: _Tiles = Field(default=None)  # type: ignore[assignment]


class _Kept(_Record):
    kept: Count
    offered: Count


class _Passed(_Record):
    share: Number
    km2: Number = 0.0


class _Gate(_Record):
    kind: str

    @model_validator(mode="after")
    def _pixels_have_limits(self) -> _Gate:
        others = self.model_extra or {}
        if self.kind == "pixel" and not all(
            isinstance(others.get(name), list) for name in ("thresholds", "quotas")
        ):
            raise ValueError("a gate of pixels without thresholds and quotas")
        return self


class _Calibration(_Record):
    temperature: Number
    before: _Curve
    after: _Curve


class _HeldOut(_Record):
    tiles: Count
    iou: Number | None
    f1: Number | None
    precision: Number | None
    recall: Number | None
    expected_calibration_error: Number | None


class _Validation(_Record):
    by_event: dict[str, _HeldOut] = Field(default_factory=dict)


class Audit(_Record):
    """What a round of relabelling found, as `relabel` writes it."""

    round: Count
    accepted: bool
    reason: str | None = None
    tiles: _Kept
    passed_gate: dict[str, _Passed]
    water_share: Number | None
    agreement_with_previous: Number | None
    preset: str
    gate: _Gate
    likelihood: Number
    calibration: _Calibration
    confidence: dict[str, list[Number]]
    validation: _Validation

    @model_validator(mode="after")
    def _histogram(self) -> Audit:
        bins = len(self.confidence.get("edges", ())) - 1
        if bins < 1 or any(len(v) != bins for k, v in self.confidence.items() if k != "edges"):
            raise ValueError("confidence isn't counts between edges")
        return self


def read_record(path: str | Path, kind: type[_Record]) -> dict[str, Any]:
    """Read a record of a stage.

    Parameters
    ----------
    path
        The file (.json).
    kind
        `Evaluation` or `Audit`.

    Returns
    -------
    dict
        All that it holds, as it is.

    Raises
    ------
    InputError
        If it isn't JSON, or lacks what a page shows; the message names the first such field.
    """
    content = read_json(path)
    try:
        kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(
            f"{path}: not what the stage before writes ({where}: {first['msg']}); run it again"
        ) from error
    found: dict[str, Any] = content
    return found
