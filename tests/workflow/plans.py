"""Plans that tests of the workflow ask."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from floodloom.config.load import Scene, load_config
from floodloom.workflow.plan import Plan

SCENES = [
    Scene("one", "flood", "after", "one.SAFE"),
    Scene("two", "flood", "after", "two.SAFE"),
    Scene("past", "flood", "before", "https://example.org/past.zip"),
    Scene("seen", "train", "after", "dataset"),
]
SIMULATED = [Scene("s", "flood", "after", "simulated")]


def plan(scenes: list[Scene] | None = None, **changes: Any) -> Plan:
    """A run of products, a published scene and chips; or of other scenes, with other keys."""
    content = {
        "run": {"name": "r"},
        "scenes": "s.tsv",
        "dataset": "folder",
        "data_root": "data",
        "events": {
            "flood": {"split": "target", "dem": "dem.tif"},
            "train": {"split": "train"},
            "chips": {"split": "train"},
        },
        **changes,
    }
    return Plan(load_config(content), {scene.name: scene for scene in scenes or SCENES})


class Wildcards(SimpleNamespace):
    """Wildcards as Snakemake gives them."""

    def items(self) -> list[tuple[str, str]]:
        return list(self.__dict__.items())
