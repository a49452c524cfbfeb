"""SLIC superpixels, each of which is water or land by its mean levels.

After Achanta et al. (2012), SLIC superpixels compared to state-of-the-art superpixel methods, IEEE
TPAMI 34(11), 2274-2282: k-means in levels and place, around each centre alone. What differs: levels
of backscatter stand for colours.
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


class SlicArguments(ClassArguments):
    """What superpixels are like."""

    size: int = Field(default=8, ge=3, le=64, description="Mean side of a superpixel, px")
    compactness: float = Field(
        default=0.1,
        gt=0,
        le=10,
        description="Share of the range of levels (35 dB, or 6 standard deviations) that weighs as "
        "much as the side of a superpixel",
    )


def segment_slic(image: Floats, size: int, compactness: float) -> Labels:
    """Return superpixels (y, x) of an image (y, x, band), 0-1."""
    from skimage.segmentation import slic

    number = max(image.shape[0] * image.shape[1] // size**2, 1)
    found: Labels = slic(
        image, n_segments=number, compactness=compactness, convert2lab=False, channel_axis=-1
    )
    return found


def _map(scene: BackscatterScene, arguments: SlicArguments) -> WaterMap:
    segment = partial(segment_slic, size=arguments.size, compactness=arguments.compactness)
    return map_superpixels(scene, arguments, segment)


BASELINE = Baseline(
    _map,
    source="Achanta et al. 2012, IEEE TPAMI 34(11), 2274-2282",
    arguments=SlicArguments,
    needs=("skimage",),
)
