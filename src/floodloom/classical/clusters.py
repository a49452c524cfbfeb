"""Clusters of pixels by intensity and texture, of which those as dark as water are water."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field, field_validator

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.classical.baseline import WaterMap
from floodloom.classical.blocks import SIDE, map_blocks, no_water
from floodloom.classical.features import intensity_and_texture, sample
from floodloom.classical.scene import BackscatterScene
from floodloom.settings import Settings

Share = Callable[[Floats], Floats]
"""From features (pixel, feature), standardised, to the share of each cluster (pixel, cluster)."""
Fit = Callable[[Floats, "ClusterArguments"], tuple[Doubles, Share]]
"""From a sample of features to the clusters' means (cluster, feature), and what divides pixels."""


class ClusterArguments(Settings):
    """What is clustered."""

    clusters: int = Field(default=4, ge=2, le=32, description="How many clusters there are")
    window: int = Field(
        default=5,
        ge=0,
        le=63,
        description="Side of the square that texture is taken in, px, odd; 0: no texture",
    )
    sample: int = Field(
        default=50_000, ge=1000, le=5_000_000, description="Pixels that clusters are found from"
    )
    seed: int = Field(default=0, ge=0, description="Seed of the first clusters")

    @field_validator("window")
    @classmethod
    def _odd(cls, window: int) -> int:
        if window and window % 2 == 0:
            raise ValueError(f"{window} has no middle; give an odd number, or 0")
        return window


def water_clusters(means: Doubles, limits: Doubles) -> Mask:
    """Return which clusters are water, by their backscatter alone.

    Parameters
    ----------
    means
        (cluster, band) mean levels.
    limits
        (band,) greatest mean that water can have, as `BackscatterScene.scale` states it; infinite
        where levels have no physical scale.

    Returns
    -------
    ndarray
        (cluster,) bool: those whose means lie, in the mean of the bands, not above the limits.
        Without limits the darkest one.
    """
    if np.isfinite(limits).all():
        return np.asarray((means - limits).mean(axis=1) <= 0)
    level = means.mean(axis=1)
    return np.asarray(level == level.min())


def darker_clusters(means: Doubles, counts: Doubles, limits: Doubles) -> Mask:
    """Return which of many clusters are water, by their backscatter alone.

    Parameters
    ----------
    means
        (cluster, band) mean levels.
    counts
        (cluster,) pixels.
    limits
        As `water_clusters` takes them.

    Returns
    -------
    ndarray
        (cluster,) bool: where there are limits those of `water_clusters`, else all clusters up to
        the split of greatest variance between both sides (Otsu 1979); of one cluster none.
    """
    if np.isfinite(limits).all():
        return water_clusters(means, limits)
    level = means.mean(axis=1)
    order = np.argsort(level)
    share = np.cumsum(counts[order])[:-1] / counts.sum()
    moment = np.cumsum((counts * level)[order]) / counts.sum()
    between = (moment[-1] * share - moment[:-1]) ** 2 / np.maximum(share * (1 - share), 1e-12)
    water = np.zeros(len(level), bool)
    if len(between):
        water[order[: int(between.argmax()) + 1]] = True
    return water


def map_clusters(scene: BackscatterScene, arguments: ClusterArguments, fit: Fit) -> WaterMap:
    """Map the clusters of a scene that are water.

    The clusters are found on a lattice of pixels of the whole scene, each feature standardised;
    then every pixel is divided by its own features, so the map depends on nothing else.

    Parameters
    ----------
    scene
        The scene.
    arguments
        How many clusters, of what.
    fit
        Finds them.
    """
    windows = (arguments.window,) if arguments.window else ()
    drawn = sample(scene, windows, arguments.sample)
    if len(drawn) < arguments.clusters or (drawn == drawn[0]).all():
        return WaterMap(no_water(scene), found="fewer pixels than clusters; 0 percent")
    middle, spread = drawn.mean(axis=0, dtype=np.float64), drawn.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 0, spread, 1)
    means, share = fit(((drawn - middle) / spread).astype(np.float32), arguments)
    levels = (means * spread + middle)[:, : len(scene.bands)]
    limits = np.array([scene.scale(band, False).greatest_mean for band in scene.bands])
    water = water_clusters(levels, limits)

    def work(block: Floats) -> Floats:
        features = intensity_and_texture(block, windows)
        pixels = features.reshape(len(features), -1).T
        known = np.isfinite(pixels[:, 0])
        percent = np.zeros(len(pixels), np.float32)
        standard = ((pixels[known] - middle) / spread).astype(np.float32)
        percent[known] = 100 * share(standard)[:, water].sum(axis=1)
        return percent.reshape(block.shape[1:])

    if not water.any():
        darkest = levels_text(scene, levels[levels.mean(axis=1).argmin()])
        return WaterMap(no_water(scene), found=f"no water found, no cluster below {darkest}")
    percent = map_blocks(scene, SIDE, arguments.window // 2, work)
    named = levels_text(scene, levels[water].max(axis=0))
    return WaterMap(
        percent, found=f"{water.sum()} of {len(water)} clusters are water, up to {named}"
    )


def levels_text(scene: BackscatterScene, levels: Doubles) -> str:
    """Return the level of each band with its name and their unit, for the log."""
    parts = (f"{band} {level:.1f}" for band, level in zip(scene.bands, levels, strict=True))
    return f"{', '.join(parts)} {scene.unit}"
