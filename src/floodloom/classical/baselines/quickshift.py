"""Quickshift superpixels, each of which is water or land by its mean levels.

After Vedaldi and Soatto (2008), Quick shift and kernel methods for mode seeking, ECCV, 705-718:
every pixel is joined to the nearest one of a higher density of levels and place. What differs:
levels of backscatter stand for colours, and parts that aren't connected are superpixels of their
own.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field

from floodloom.arrays import Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.pixel_classes import ClassArguments
from floodloom.classical.region_sums import Labels
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.superpixels import map_superpixels

_SEED = 0  # of the noise that decides between equal densities


class QuickshiftArguments(ClassArguments):
    """What superpixels are like."""

    kernel: float = Field(
        default=2.0, ge=1, le=10, description="Deviation of the Gaussian of the density, px"
    )
    reach: float = Field(
        default=8.0, gt=0, le=50, description="Greatest distance that pixels are joined over"
    )
    ratio: float = Field(
        default=30.0,
        gt=0,
        description="Pixels that weigh as much as the range of levels, 35 dB or 6 standard "
        "deviations",
    )


def segment_quickshift(image: Floats, kernel: float, reach: float, ratio: float) -> Labels:
    """Return superpixels (y, x) of an image (y, x, band), 0-1."""
    from skimage.segmentation import quickshift

    found: Labels = quickshift(
        image,
        ratio=ratio,
        kernel_size=kernel,
        max_dist=reach,
        convert2lab=False,
        rng=_SEED,
        channel_axis=-1,
    )
    return found


def _map(scene: BackscatterScene, arguments: QuickshiftArguments) -> WaterMap:
    segment = partial(
        segment_quickshift,
        kernel=arguments.kernel,
        reach=arguments.reach,
        ratio=arguments.ratio,
    )
    return map_superpixels(scene, arguments, segment)


BASELINE = Baseline(
    _map,
    source="Vedaldi and Soatto 2008, ECCV, 705-718",
    arguments=QuickshiftArguments,
    needs=("skimage",),
)
