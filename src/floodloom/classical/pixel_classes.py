"""Which thresholds separate water from land for methods that join pixels to regions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from floodloom.classical.baselines.hsba import fit_hierarchical
from floodloom.classical.baselines.kittler_illingworth import fit_minimum_error
from floodloom.classical.baselines.otsu import fit_otsu
from floodloom.classical.blocks import BlockArguments
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.thresholds import Fit, WaterOdds

_FITS: dict[str, Fit] = {
    "hsba": fit_hierarchical,
    "kittler-illingworth": fit_minimum_error,
    "otsu": fit_otsu,
}


class ClassArguments(BlockArguments):
    """Blocks, and what separates water from land in them."""

    classes: Literal["hsba", "kittler-illingworth", "otsu"] = Field(
        default="hsba",
        description="Baseline whose thresholds and probabilities separate water from land",
    )

    def odds(self, scene: BackscatterScene) -> WaterOdds:
        """Return the log-odds of water by level, of the whole scene."""
        return WaterOdds.of(scene, _FITS[self.classes])
