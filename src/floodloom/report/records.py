"""What `evaluate` has written down, checked before a page is made of it."""

from __future__ import annotations

from pydantic import Field

from floodloom.records import Count, Number, Record, ReliabilityCurve


class _Scores(Record):
    iou: Number | None
    f1: Number | None
    precision: Number | None
    recall: Number | None
    tp: Count
    fp: Count
    fn: Count
    tn: Count


class _Pair(Record):
    flood: _Scores
    water: _Scores


class _Undecided(Record):
    excluded: Number
    nodata: Number


class _Permanent(Record):
    called_flood: Number | None


class _Event(_Pair):
    scored: str = ""
    undecided: _Undecided = Field(default=None)  # type: ignore[assignment]
    permanent_water: _Permanent = Field(default=None)  # type: ignore[assignment]


class _Tiles(Record):
    count: Count
    pooled: _Scores
    mean_of_chip_iou: Number | None
    mean_of_chip_macro_jaccard: Number | None = None
    calibration: ReliabilityCurve | None = None


class Evaluation(Record):
    """Scores, as `evaluate` writes them."""

    flood: _Scores
    water: _Scores
    inductive: _Pair | None = None
    transductive: _Pair | None = None
    by_event: dict[str, _Event] = Field(default_factory=dict)
    tiles: _Tiles = Field(default=None)  # type: ignore[assignment]
