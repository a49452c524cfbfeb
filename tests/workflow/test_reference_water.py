"""Reference water goes to the baselines that learn from it, and to no other prediction."""

from __future__ import annotations

import pytest

from floodloom.workflow.inputs import inputs
from tests.workflow.plans import plan

JOB = {"event": "flood", "role": "after"}


@pytest.mark.parametrize(
    ("baseline", "seen"), [("kim", True), ("mask-contrast", True), ("hsba", False), (None, False)]
)
def test_who_sees_reference_water(baseline: str | None, seen: bool) -> None:
    events = {"flood": {"split": "target", "reference_water": "water.tif"}}
    events["train"] = {"split": "train"}
    asked = plan(events=events, predict={"baseline": baseline}, delineate={"reference_minimum": 40})
    found = inputs(asked, "predict", JOB)
    assert found.get("reference_water") == ("water.tif" if seen else None)
    assert asked.settings("predict").get("reference_minimum") == (40 if seen else None)
