"""Split and merge: homogeneous squares of a quadtree, merged to homogeneous regions.

After Horowitz and Pavlidis (1976), Picture segmentation by a tree traversal algorithm, Journal of
the ACM 23(2), 368-388. What differs: a region is homogeneous by its standard deviation and by the
range of the means of its squares, not by the range of its pixels, which speckle alone makes large;
each block is a picture of its own; regions are water or land by their mean levels.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field, field_validator

from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.pixel_classes import ClassArguments
from floodloom.classical.region_classes import map_regions
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.split_and_merge import split_and_merge

_DEVIATION = {True: 1.5, False: 0.4}


class SplitArguments(ClassArguments):
    """When a region is homogeneous."""

    deviation: float | None = Field(
        default=None,
        gt=0,
        description="Greatest standard deviation of the levels of a region; when not given, 1.5 dB "
        "or 0.4 standard deviations of display values",
    )
    largest: int = Field(
        default=64, ge=2, le=1024, description="Side of the squares that are split, px"
    )

    @field_validator("largest")
    @classmethod
    def _power_of_two(cls, largest: int) -> int:
        if largest & (largest - 1):
            raise ValueError(f"{largest} is no power of 2")
        return largest


def _map(scene: BackscatterScene, arguments: SplitArguments) -> WaterMap:
    deviation = arguments.deviation or _DEVIATION[scene.has_power]
    regions = partial(split_and_merge, deviation=deviation, largest=arguments.largest)
    return map_regions(scene, arguments, regions)


BASELINE = Baseline(
    _map,
    source="Horowitz and Pavlidis 1976, Journal of the ACM 23(2), 368-388",
    arguments=SplitArguments,
)
