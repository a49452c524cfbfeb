"""Which baselines there are; the names need none of their code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floodloom.registry import Registry

if TYPE_CHECKING:
    from floodloom.classical.baseline import Baseline

BASELINES: Registry[Baseline] = Registry(
    "baseline", "floodloom.classical.baselines", "BASELINE", hyphens=True
)

if TYPE_CHECKING:
    BaselineName = str
else:
    BaselineName = BASELINES.choice()
