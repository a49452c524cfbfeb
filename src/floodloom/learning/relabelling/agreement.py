"""How right a network is where nobody labelled anything, told by whom it agrees with there.

Accuracy can't be measured on unlabelled ground; how often two networks say the same can. Both fall
alike from ground that they know to ground that they don't. So does how often a network says the
same of an image and of the image turned.
"""

from __future__ import annotations

from statistics import NormalDist

from torch import Tensor

_FEWEST = 0.01  # share of pixels on which two never agree, or never disagree: beyond it is chance
_NORMAL = NormalDist()


def agreement_shift(known: Tensor, elsewhere: Tensor) -> float:
    """Return how much less, or more, voters agree elsewhere than on ground that they know.

    Parameters
    ----------
    known, elsewhere
        (voter, pixel) int64 classes; the first is compared with each of the others.

    Returns
    -------
    float
        Difference of the shares of equal classes, as quantiles of the normal distribution; of the
        pair whose agreement falls the most, so as not to be too sure.
    """
    here, there = (
        [_quantile(float((votes[0] == other).float().mean())) for other in votes[1:]]
        for votes in (known, elsewhere)
    )
    return min(b - a for a, b in zip(here, there, strict=True))


def accuracy_elsewhere(accuracy: float, shift: float) -> float:
    """Return what an accuracy becomes where agreement is shifted.

    Parameters
    ----------
    accuracy
        Share of right pixels on known ground, 0-1.
    shift
        Of `agreement_shift`.

    References
    ----------
    Baek et al. (2022), Agreement-on-the-line, arXiv 2206.13089, section 3: over many networks,
    accuracy and agreement elsewhere are the same linear function of those on known ground, both as
    quantiles of the normal distribution. Here its slope is taken as 1, as there are too few
    networks to find it. Deng, Gould and Zheng (2022), On the strong correlation between model
    invariance and generalization, arXiv 2207.07065: the same of a network's agreement
    with itself on turned images.
    """
    return _NORMAL.cdf(_quantile(accuracy) + shift)


def _quantile(share: float) -> float:
    return _NORMAL.inv_cdf(min(max(share, _FEWEST), 1 - _FEWEST))
