"""Clusters of features that a small network learns from the scene itself.

After Kim, Kanezaki and Tanaka (2020), Unsupervised Learning of Image Segmentation Based on
Differentiable Feature Clustering, IEEE TIP 29, 8055-8068, arXiv 2007.09990, see
`floodloom.learning.unsupervised.feature_clustering`. A scene no larger than a window is learnt from
as the paper does from an image. Of a larger one the network learns from some windows at once, as
the authors' demo_ref.py does from several images, and is then applied to the whole scene as it is,
with the statistics of the windows: so the map depends on no block. The labels are named by their
backscatter in the windows and, where it is known, by that of water that is always there; the
percent is 0 or 100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from floodloom.arrays import Doubles, Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.blocks import SIDE, map_blocks, no_water
from floodloom.classical.clusters import darker_clusters, levels_text
from floodloom.classical.sample_windows import SampleWindows, draw_windows
from floodloom.classical.scene import BackscatterScene
from floodloom.settings import Settings

if TYPE_CHECKING:
    from floodloom.learning.unsupervised.feature_clustering import Clustering

_REACH = 2  # px around a pixel that its label depends on, of two 3 x 3 convolutions


class KimArguments(Settings):
    """What is learnt, from what, and for how long."""

    labels: int = Field(
        default=3, ge=2, le=100, description="Labels at which learning ends; never fewer"
    )
    continuity: float = Field(
        default=5.0,
        ge=0,
        le=1000,
        description="What the continuity of neighbours weighs beside the similarity of pixels; "
        "more joins more",
    )
    iterations: int = Field(
        default=100, ge=1, le=1000, description="Most steps of learning; the paper has up to 1000"
    )
    window: int = Field(default=64, ge=32, le=1024, description="Side of a window, px")
    windows: int = Field(default=4, ge=1, le=64, description="Most windows that are learnt from")
    seed: int = Field(default=0, ge=0, description="Seed of the network's first weights")


def _map(scene: BackscatterScene, arguments: KimArguments) -> WaterMap:
    sample = draw_windows(scene, arguments.window, arguments.windows)
    if sample is None:
        return WaterMap(no_water(scene), found="no data")
    import torch

    from floodloom.learning.unsupervised.feature_clustering import learn_clusters

    learnt = learn_clusters(
        torch.from_numpy(sample.image),
        torch.from_numpy(sample.valid),
        least=arguments.labels,
        weight=arguments.continuity,
        iterations=arguments.iterations,
        seed=arguments.seed,
    )
    means, counts = _described(learnt, sample)
    water = darker_clusters(means, counts, sample.water_limits(scene))
    steps = f"{len(water)} labels after {len(learnt.counts) - 1} steps"
    if not water.any():
        darkest = levels_text(scene, means[means.mean(axis=1).argmin()])
        return WaterMap(no_water(scene), found=f"no water found, {steps}, none below {darkest}")

    def work(levels: Floats) -> Floats:
        image, valid = sample.standardise(levels)
        found = learnt.divide(torch.from_numpy(image)[None], torch.from_numpy(valid)[None])
        return np.asarray(np.where(water[found[0].numpy()], 100, 0), np.float32)

    percent = map_blocks(scene, SIDE, _REACH, work)
    named = levels_text(scene, means[water].max(axis=0))
    return WaterMap(percent, found=f"{steps}, {water.sum()} of them water, up to {named}")


def _described(learnt: Clustering, sample: SampleWindows) -> tuple[Doubles, Doubles]:
    """Return the mean levels (label, band) and pixels (label,) of the labels in the windows."""
    import torch

    valid = torch.from_numpy(sample.valid)
    found = learnt.divide(torch.from_numpy(sample.image), valid).numpy()
    own = [sample.valid & (found == label) for label in range(len(learnt.labels))]
    counts = np.array([pixels.sum() for pixels in own], np.float64)
    return np.stack([sample.levels(pixels) for pixels in own]), counts


BASELINE = Baseline(
    _map,
    source="Kim, Kanezaki and Tanaka 2020, IEEE TIP 29, 8055-8068, arXiv 2007.09990",
    arguments=KimArguments,
    sees_reference=True,
)
