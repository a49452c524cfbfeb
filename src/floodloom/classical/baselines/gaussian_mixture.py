"""A mixture of Gaussians on intensity and texture: those as dark as water are water.

The mixture is fitted by expectation and maximisation (Dempster, Laird and Rubin 1977, Maximum
likelihood from incomplete data via the EM algorithm, JRSS B 39(1), 1-38), with full covariances and
from the clusters of k-means. The percent of a pixel is its posterior of the Gaussians of water.
"""

from __future__ import annotations

import numpy as np

from floodloom.arrays import Doubles, Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.clusters import ClusterArguments, Share, map_clusters
from floodloom.classical.scene import BackscatterScene

_LEAST_VARIANCE = 1e-4  # of standardised features


def fit_mixture(pixels: Floats, arguments: ClusterArguments) -> tuple[Doubles, Share]:
    """Return the means (cluster, feature) and what gives the posteriors of pixels."""
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    model = GaussianMixture(
        arguments.clusters, random_state=arguments.seed, reg_covar=_LEAST_VARIANCE
    )
    with threadpool_limits(1):  # sums of several threads are rounded by their number
        model.fit(pixels.astype(np.float64))

    def share(features: Floats) -> Floats:
        return np.asarray(model.predict_proba(features.astype(np.float64)), np.float32)

    return model.means_, share


def _map(scene: BackscatterScene, arguments: ClusterArguments) -> WaterMap:
    return map_clusters(scene, arguments, fit_mixture)


BASELINE = Baseline(
    _map,
    source="Dempster, Laird and Rubin 1977, JRSS B 39(1), 1-38",
    arguments=ClusterArguments,
    needs=("sklearn",),
)
