"""Settings of the stages `predict`, `delineate`, `evaluate` and `report`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from floodloom.config.base import Settings


class PredictSettings(Settings):
    """Mosaic-level prediction."""

    tile: int = Field(default=512, ge=32, description="Side of a window, px")
    overlap: int = Field(default=128, ge=0, description="Pixels that neighbouring windows share")
    rim: int = Field(default=16, ge=0, description="Pixels at a window's border that are not used")
    batch: int = Field(default=4, ge=1, description="Windows predicted at once")
    tta: bool = Field(default=False, description="Average over the eight symmetries of the square")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Number format; bfloat16 is faster where it is built in"
    )


class DelineateSettings(Settings):
    """From water to flood."""

    threshold: int = Field(
        default=50, ge=1, le=100, description="Percent from which a pixel is water"
    )
    minimum_mapping_unit: float = Field(default=0.3, ge=0, description="Smallest patch, ha")


class EvaluateSettings(Settings):
    """Scores."""

    batch: int = Field(default=16, ge=1, description="Tiles predicted at once")


class ReportSettings(Settings):
    """Report and map page."""

    title: str = Field(default="Flood mapping run", description="Title of the pages")
    examples: int = Field(default=6, ge=0, description="Example tiles in the report")
