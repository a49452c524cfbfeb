"""Settings of the stage `tile`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from floodloom.datasets import DataSetName
from floodloom.raster.recipe import Normalisation
from floodloom.sentinel2.settings import PairingSettings
from floodloom.settings import Settings, of_job

Split = Literal["train", "validation", "test", "target", "blocks"]


class TileSettings(PairingSettings):
    """How scenes are cut into tiles."""

    bands: tuple[str, ...] = Field(
        default=("vv", "vh"),
        description="Input bands in order: a variable of the scene, `ratio` (VH/VV in dB), "
        "`one_minus_ratio` (1 - VH/VV, linear), or one "
        "of them with `before_` from the pre-event scene; `incidence_angle`, "
        "`local_incidence_angle`, and by the event's `dem` `elevation`, `slope` and "
        "`height_above_drainage`",
        min_length=1,
    )
    normalisation: Normalisation = Field(
        default="fixed",
        description="How backscatter is scaled: by a range of decibels that is always the same, or "
        "by the statistics of its whole scene, which survive another offset or gain; display "
        "values always are",
    )
    size: int = Field(default=128, ge=32, description="Side of a tile, px")
    stride: int | None = Field(
        default=None, ge=1, description="Step of the regular plan, px; the tile size when not given"
    )
    samples: int | None = Field(
        default=None,
        ge=1,
        description="Class-balanced tiles drawn at random per labelled scene, instead of the "
        "regular plan",
    )
    seed: int = of_job(default=0, description="Seed of the random draw")
    event: str = of_job(default="", description="Name of the event, for the index")
    split: Split = of_job(
        default="train",
        description="Side of the split that all tiles are on; `blocks` splits each scene from "
        "west to east, or a data set as it is published",
    )
    dataset: DataSetName | None = of_job(
        default=None, description="Name of a published data set, instead of `scene`"
    )
    root: Path | None = of_job(default=None, description="Folder of that data set")


class AnnotateSettings(Settings):
    """What a simulated annotator sets in each tile; one of three."""

    clicks: int | None = Field(
        default=None, ge=1, description="Pixels in the inside of the regions of all classes"
    )
    scribbles: int | None = Field(
        default=None, ge=1, description="Lines along the middles of the largest regions"
    )
    share: float | None = Field(
        default=None, gt=0, le=1, description="Share of the labelled pixels, drawn at random"
    )
    seed: int = Field(default=0, ge=0, description="Seed of what is drawn")

    @model_validator(mode="after")
    def _one_thing(self) -> AnnotateSettings:
        given = [self.clicks, self.scribbles, self.share]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give one of clicks, scribbles and share")
        return self
