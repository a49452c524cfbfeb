"""k-means on intensity and texture: the clusters that are as dark as water are water.

After MacQueen (1967), Some methods for classification and analysis of multivariate observations,
5th Berkeley Symposium on Mathematical Statistics and Probability 1, 281-297, with the iterations of
Lloyd (1982, IEEE Transactions on Information Theory 28(2), 129-137). A pixel belongs to the nearest
centre alone, so the percent is 0 or 100.
"""

from __future__ import annotations

import numpy as np

from floodloom.arrays import Doubles, Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.clusters import ClusterArguments, Share, map_clusters
from floodloom.classical.scene import BackscatterScene

_STARTS = 3


def fit_k_means(pixels: Floats, arguments: ClusterArguments) -> tuple[Doubles, Share]:
    """Return the centres (cluster, feature) and what gives each pixel its nearest one."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    model = KMeans(arguments.clusters, n_init=_STARTS, random_state=arguments.seed)
    with threadpool_limits(1):  # sums of several threads are rounded by their number
        centres = model.fit(pixels.astype(np.float64)).cluster_centers_

    def share(features: Floats) -> Floats:
        squares = np.square(centres).sum(axis=1) - 2 * features @ centres.T
        return np.asarray(np.eye(len(centres))[squares.argmin(axis=1)], np.float32)

    return centres, share


def _map(scene: BackscatterScene, arguments: ClusterArguments) -> WaterMap:
    return map_clusters(scene, arguments, fit_k_means)


BASELINE = Baseline(
    _map,
    source="MacQueen 1967, 5th Berkeley Symposium 1, 281-297",
    arguments=ClusterArguments,
    needs=("sklearn",),
)
