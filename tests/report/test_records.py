"""What pages are made of is checked by what they show of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.learning.metrics.foreground import ForegroundScores
from floodloom.learning.relabelling.audit import Audit
from floodloom.report.run import Evaluation
from floodloom.settings import read_record

from .test_pages import _audit

SCORES = {"iou": 0.5, "f1": None, "precision": 1, "recall": 0.0, "tp": 1, "fp": 0, "fn": 1, "tn": 2}
CURVE = {"expected_calibration_error": 0.1, "count": [3], "confidence": [0.9], "accuracy": [None]}


def evaluation() -> dict[str, Any]:
    pair = {"flood": SCORES, "water": dict(SCORES)}
    tiles = {"count": 3, "pooled": SCORES, "mean_of_chip_iou": 0.1, "calibration": CURVE}
    event = {**pair, "scored": "inductive", "undecided": {"excluded": 0.1, "nodata": 0.2}}
    content = {**pair, "inductive": pair, "transductive": None, "by_event": {"e": event}}
    further = {"beta": 2.0, "object_iou": 0.5, **ForegroundScores().as_dict(2.0)}
    content["further"], event["further"] = further, copy.deepcopy(further)
    return copy.deepcopy({**content, "tiles": tiles})


def changed(content: Any, path: str, value: Any) -> Any:
    *parents, last = path.split(".")
    inner = content
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return content


@pytest.mark.parametrize(("kind", "content"), [(Evaluation, evaluation()), (Audit, _audit())])
def test_records_are_read_as_they_were_written(kind, content, tmp_path) -> None:
    read = read_record(write_json(tmp_path / "r.json", content), kind)
    assert read.model_dump(mode="json", exclude_unset=True) == content


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        (Evaluation, "flood", "good"),
        (Evaluation, "flood.iou", "good"),
        (Evaluation, "water.tp", -1),
        (Evaluation, "further.pooled.accuracy", "good"),
        (Evaluation, "by_event.e.further.beta", None),
        (Evaluation, "by_event", []),
        (Evaluation, "by_event.e.water", None),
        (Evaluation, "by_event.e.undecided", None),
        (Evaluation, "tiles.pooled", {}),
        (Evaluation, "tiles.calibration.accuracy", []),
        (Audit, "round", "first"),
        (Audit, "tiles", {"kept": 1}),
        (Audit, "passed_gate.dry.share", "all"),
        (Audit, "calibration.before", None),
        (Audit, "confidence.edges", [0.0]),
        (Audit, "confidence.dry", [1]),
        (Audit, "gate.portions", None),
        (Audit, "estimated", {"share": 0.1}),
    ],
)
def test_what_a_page_can_not_show_is_named(kind, path: str, value: Any, tmp_path) -> None:
    content = changed(evaluation() if kind is Evaluation else copy.deepcopy(_audit()), path, value)
    name = path.partition(".")[0]
    with pytest.raises(InputError, match=rf"r\.json: not what .* writes \(({name}|the whole)"):
        read_record(write_json(tmp_path / "r.json", content), kind)


@pytest.mark.parametrize("text", ["[1]", "7", "null", "{}", '"a"', '{"flood": NaN}'])
def test_what_is_no_record_is_refused(text: str, tmp_path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=r"r\.json: not what"):
        read_record(tmp_path / "r.json", Evaluation)
