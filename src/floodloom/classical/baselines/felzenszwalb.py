"""Superpixels of Felzenszwalb and Huttenlocher, each of which is water or land by its mean levels.

After Felzenszwalb and Huttenlocher (2004), Efficient graph-based image segmentation, International
Journal of Computer Vision 59(2), 167-181: parts are joined where the difference between them is no
greater than that within them. What differs: levels of backscatter stand for colours.
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


class FelzenszwalbArguments(ClassArguments):
    """What superpixels are like."""

    scale: float = Field(
        default=50.0, gt=0, description="Preference for large superpixels, k of the paper times 255"
    )
    sigma: float = Field(
        default=0.8, ge=0, le=10, description="Deviation of the Gaussian that smoothes first, px"
    )
    minimum: int = Field(default=16, ge=1, description="Smallest superpixel, pixels")


def segment_felzenszwalb(image: Floats, scale: float, sigma: float, minimum: int) -> Labels:
    """Return superpixels (y, x) of an image (y, x, band), 0-1."""
    from skimage.segmentation import felzenszwalb

    found: Labels = felzenszwalb(image, scale=scale, sigma=sigma, min_size=minimum, channel_axis=-1)
    return found


def _map(scene: BackscatterScene, arguments: FelzenszwalbArguments) -> WaterMap:
    segment = partial(
        segment_felzenszwalb,
        scale=arguments.scale,
        sigma=arguments.sigma,
        minimum=arguments.minimum,
    )
    return map_superpixels(scene, arguments, segment)


BASELINE = Baseline(
    _map,
    source="Felzenszwalb and Huttenlocher 2004, IJCV 59(2), 167-181",
    arguments=FelzenszwalbArguments,
    needs=("skimage",),
)
