"""What a job chooses by name is found wherever it stands among its settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import Field

from floodloom.registry import Registry
from floodloom.settings import Settings
from floodloom.workflow.jobs import chosen_modules
from tests.workflow.plans import plan


@pytest.fixture
def registry(tmp_path: Path, monkeypatch) -> Registry[int]:
    """Things of one kind, each in a module that must not be imported."""
    package = tmp_path / "some_things"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("one", "two", "three"):
        (package / f"{name}.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_things", raising=False)
    return Registry("thing", "some_things", "thing")


def test_modules_of_values_tuples_and_parts_are_found(registry: Registry[int]) -> None:
    name = registry.choice()

    class Part(Settings):
        """A part that several stages share."""

        inner: name = "two"

    class Section(Settings):
        """Settings of a stage."""

        one: name | None = None
        several: tuple[name, ...] = ("three", "one")
        number: int = Field(default=1, description="No choice")
        part: Part = Part()

    assert Section().modules() == tuple(f"some_things.{n}" for n in ("three", "one", "two"))
    assert Section().modules("one", "number") == ()
    assert Section(one="two").modules("one") == ("some_things.two",)


@pytest.mark.parametrize(
    ("stage", "wildcards", "modules"),
    [
        ("relabel", {"round": "1"}, ["floodloom.learning.relabelling.gates.pixel"]),
        (
            "train",
            {"model": "linknet", "seed": "1", "round": "0"},
            ["floodloom.models.architectures.linknet", "floodloom.learning.losses.ce_dice"],
        ),
        ("ingest", {"scene": "seen"}, ["floodloom.datasets.folder"]),
        ("tile", {"event": "chips"}, ["floodloom.datasets.folder"]),
        ("tile", {"event": "flood"}, []),
        ("predict", {"event": "flood", "role": "after"}, []),
    ],
)
def test_a_job_chooses_what_its_settings_name(
    stage: str, wildcards: dict[str, str], modules: list[str]
) -> None:
    assert list(chosen_modules(plan(), stage, wildcards)) == modules


def test_a_prediction_depends_on_the_code_of_its_baseline() -> None:
    asked = plan(predict={"baseline": "kittler-illingworth"}, report={"baseline": "hsba"})
    own = "floodloom.classical.baselines"
    wildcards = {"event": "flood", "role": "after"}
    assert chosen_modules(asked, "predict", wildcards) == (f"{own}.kittler_illingworth",)
    assert chosen_modules(asked, "report", {}) == (f"{own}.hsba",)
