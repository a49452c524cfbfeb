"""MaskContrast on the scene itself: dark regions, embedded, clustered, and named.

After Van Gansbeke et al. (2021), Unsupervised Semantic Segmentation by Contrasting Object Mask
Proposals, arXiv 2102.06191, see `floodloom.learning.unsupervised.tasks.mask_contrast`: a small
U-Net learns from windows of the scene which pixels are salient and which regions are alike, and
k-means divides the salient pixels by their embeddings. The clusters are named by their backscatter
in the windows and, where it is known, by that of water that is always there. What differs from the
paper: k-means is on pixels, not on one prototype for each image, as a window has many regions; and
the network learns from one scene, not from a data set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from floodloom.arrays import Floats, Mask
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.baselines.k_means import fit_k_means
from floodloom.classical.blocks import BlockArguments, map_blocks, no_water
from floodloom.classical.clusters import (
    ClusterArguments,
    Share,
    darker_clusters,
    levels_text,
)
from floodloom.classical.sample_windows import SampleWindows, draw_windows
from floodloom.classical.scene import BackscatterScene

if TYPE_CHECKING:
    from floodloom.learning.unsupervised.scene_embedding import SceneEmbedding

_LEAST = 32  # px, smallest side that networks take
_PIXELS = 50_000


class MaskContrastArguments(BlockArguments):
    """What is learnt, from what, for how long, and into how many clusters it is divided."""

    clusters: int = Field(default=4, ge=1, le=32, description="Clusters of salient pixels")
    window: int = Field(default=64, ge=_LEAST, le=1024, description="Side of a window, px")
    windows: int = Field(default=64, ge=1, le=4096, description="Most windows to learn from")
    epochs: int = Field(default=30, ge=1, le=1000, description="Passes over the windows")
    seed: int = Field(default=0, ge=0, description="Seed of weights, views and clusters")


def _map(scene: BackscatterScene, arguments: MaskContrastArguments) -> WaterMap:
    sample = draw_windows(scene, arguments.window, arguments.windows)
    if sample is None:
        return WaterMap(no_water(scene), found="no data")
    from floodloom.learning.unsupervised.scene_embedding import learn_embedding

    embedding = learn_embedding(
        sample.image,
        sample.valid,
        decibel=1 / sample.spread if scene.has_power else None,
        epochs=arguments.epochs,
        seed=arguments.seed,
    )
    salient, features = _salient_pixels(embedding, sample)
    if len(features) < arguments.clusters:
        return WaterMap(no_water(scene), found="no water found, no region stands out as dark")
    thin = features[:: -(-len(features) // _PIXELS)]
    _, share = fit_k_means(
        thin, ClusterArguments.model_construct(clusters=arguments.clusters, seed=arguments.seed)
    )
    water, named = _named(scene, sample, salient, share(features).argmax(axis=1), arguments)
    if not water.any():
        return WaterMap(no_water(scene), found=f"no water found, {named}")
    work = _mapper(embedding, sample, share, water)
    percent = map_blocks(scene, arguments.block, arguments.overlap, work)
    return WaterMap(percent, found=f"{water.sum()} of {len(water)} clusters are water, {named}")


def _salient_pixels(embedding: SceneEmbedding, sample: SampleWindows) -> tuple[Mask, Floats]:
    """Return which (window, y, x) pixels are salient, and the embeddings (pixel, 32) of these."""
    salient = np.zeros_like(sample.valid)
    found = []
    for window, (image, valid) in enumerate(zip(sample.image, sample.valid, strict=True)):
        features, probability = embedding.embed(image)
        salient[window] = valid & (probability >= 0.5)
        found.append(features[:, salient[window]].T)
    return salient, np.concatenate(found)


def _named(
    scene: BackscatterScene,
    sample: SampleWindows,
    salient: Mask,
    cluster: NDArray[Any],
    arguments: MaskContrastArguments,
) -> tuple[Mask, str]:
    """Return which clusters are water, and by what; the rest of the ground is beside them."""
    groups = np.full(salient.shape, arguments.clusters)
    groups[salient] = cluster
    groups[~sample.valid] = -1
    there = np.unique(groups[sample.valid])
    means = np.stack([sample.levels(groups == one) for one in there])
    counts = np.array([(groups == one).sum() for one in there], np.float64)
    dark = darker_clusters(means, counts, sample.water_limits(scene))
    water = np.zeros(arguments.clusters, bool)
    of_salient = there < arguments.clusters
    water[there[of_salient]] = dark[of_salient]
    if water.any():
        return water, f"up to {levels_text(scene, means[dark & of_salient].max(axis=0))}"
    darkest = means[of_salient][means[of_salient].mean(axis=1).argmin()]
    return water, f"no cluster below {levels_text(scene, darkest)}"


def _mapper(embedding: SceneEmbedding, sample: SampleWindows, share: Share, water: Mask) -> Any:
    def work(levels: Floats) -> Floats:
        image, valid = sample.standardise(levels)
        features, probability = embedding.embed(image)
        cluster = share(features.reshape(len(features), -1).T).argmax(axis=1)
        wet = water[cluster].reshape(valid.shape)
        return np.asarray(np.where(wet & valid, 100 * probability, 0), np.float32)

    return work


BASELINE = Baseline(
    _map,
    source="Van Gansbeke et al. 2021, ICCV, arXiv 2102.06191",
    arguments=MaskContrastArguments,
    sees_reference=True,
    needs=("sklearn",),
)
