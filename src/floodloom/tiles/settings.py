"""Settings of the stage `tile`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from floodloom.settings import Settings


class TileSettings(Settings):
    """How scenes are cut into tiles."""

    bands: tuple[str, ...] = Field(
        default=("vv", "vh"),
        description="Input bands in order: a variable of the scene, `ratio` (VH/VV in dB), "
        "`one_minus_ratio` (1 - VH/VV, linear), or one "
        "of them with `before_` from the pre-event scene",
        min_length=1,
    )
    db_range: tuple[float, float] = Field(
        default=(-30.0, 5.0), description="Decibel range that is mapped to -1..1"
    )
    normalisation: Literal["fixed", "scene"] = Field(
        default="fixed",
        description="How backscatter is scaled: by `db_range`, or by the statistics of its whole "
        "scene, which survive another offset or gain; display values always are",
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
    minimum_valid: float = Field(
        default=0.5, ge=0, le=1, description="Least share of pixels with data in a tile"
    )
    block_shares: tuple[float, float, float] = Field(
        default=(0.6, 0.2, 0.2),
        description="Shares of training, validation and test ground for events with split `blocks`",
    )
    optical_bands: tuple[str, ...] = Field(
        default=(),
        description="Bands of the optical image to keep, such as green, nir, swir; none: all",
    )
    optical_names: tuple[str, ...] = Field(
        default=(), description="Names of the bands of an optical image that doesn't describe them"
    )
    optical_gap_days: float | None = Field(
        default=10.0,
        ge=0,
        description="Greatest time between optical image and scene, days; null: any. An image "
        "that is further away in time is left out",
    )
    optical_shift: float = Field(
        default=10.0,
        ge=0,
        description="Shift up to which an optical image is moved onto the scene, px; one that is "
        "further off is left out; 0 doesn't look",
    )
    seed: int = Field(default=0, description="Seed of the random draw")
