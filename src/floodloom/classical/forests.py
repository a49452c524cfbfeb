"""Forests of decision trees: grown by scikit-learn, and followed by loops of this project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from floodloom.arrays import Doubles, Floats
from floodloom.kernels import jit
from floodloom.settings import Settings


class ForestArguments(Settings):
    """What a forest is, and what it is trained on."""

    trees: int = Field(default=30, ge=1, le=1000, description="How many trees there are")
    depth: int = Field(default=12, ge=1, le=30, description="Greatest depth of a tree")
    leaf: int = Field(default=5, ge=1, description="Fewest pixels of a leaf")
    chips: int = Field(
        default=96, ge=8, le=10_000, description="Simulated chips that it is trained on"
    )
    pixels: int = Field(default=400, ge=1, le=16_384, description="Pixels that are drawn of each")
    seed: int = Field(default=0, ge=0, description="Seed of chips, pixels and trees")

    def of_scikit_learn(self) -> dict[str, Any]:
        """Return what scikit-learn's forests are made with."""
        return {
            "n_estimators": self.trees,
            "max_depth": self.depth,
            "min_samples_leaf": self.leaf,
            "random_state": self.seed,
        }

    @property
    def described(self) -> str:
        """What maps, for the log."""
        return f"{self.trees} trees of {self.chips} simulated chips"


@dataclass(frozen=True)
class Forest:
    """Decision trees, one after the other.

    Attributes
    ----------
    roots
        (tree,) first node of each.
    feature
        (node,) what a node looks at; -1 in leaves.
    limit
        (node,) float64: up to which the left branch is taken.
    left, right
        (node,) nodes that follow.
    share
        (node,) float32, 0-1: of water among the training pixels of the node.
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    limit: Doubles
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    share: Floats

    @classmethod
    def of(cls, ensemble: Any) -> Forest:
        """Return the trees of a forest of scikit-learn whose classes are False and True."""
        trees = [one.tree_ for one in ensemble.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        water = list(ensemble.classes_).index(True)

        def joined(name: str) -> NDArray[np.int64]:
            parts = [
                np.where(tree.children_left >= 0, getattr(tree, name) + root, -1)
                for tree, root in zip(trees, roots, strict=True)
            ]
            return np.concatenate(parts).astype(np.int64)

        counts = np.concatenate([tree.value[:, 0] for tree in trees])
        feature = np.concatenate(
            [np.where(tree.children_left >= 0, tree.feature, -1) for tree in trees]
        )
        return cls(
            roots.astype(np.int64),
            feature.astype(np.int64),
            np.concatenate([tree.threshold for tree in trees]),
            joined("children_left"),
            joined("children_right"),
            (counts[:, water] / counts.sum(axis=1)).astype(np.float32),
        )

    def follow(self, features: Floats) -> Floats:
        """Return the mean share of water of the leaves of features.

        Parameters
        ----------
        features
            (pixel, feature) float32, finite.

        Returns
        -------
        ndarray
            (pixel,) float32, 0-1.
        """
        found = np.empty(len(features), np.float32)
        nodes = (self.roots, self.feature, self.limit, self.left, self.right, self.share)
        _follow(np.ascontiguousarray(features), *nodes, found)
        return found


@jit()
def _follow(features, roots, feature, limit, left, right, share, found):  # type: ignore[no-untyped-def]
    for pixel in range(features.shape[0]):
        total = 0.0
        for tree in range(roots.size):
            node = roots[tree]
            while feature[node] >= 0:
                low = features[pixel, feature[node]] <= limit[node]
                node = left[node] if low else right[node]
            total += share[node]
        found[pixel] = total / roots.size
