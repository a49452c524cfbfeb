"""What gives pseudo labels, and how it is weighed and calibrated on held-out labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from floodloom.learning.calibration import fit_temperature, held_out_pixels, reliability_at
from floodloom.learning.data.samples import Tiles
from floodloom.learning.inference import Ensemble
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.relabelling.audit import Calibration
from floodloom.learning.relabelling.local_likelihood import local_likelihood

_SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
BEARABLE = 0.05
"""By how much of itself what the foreground IoU lacks on held-out labels may grow."""


@dataclass(frozen=True)
class Labeller:
    """What gives pseudo labels: an ensemble, and each tile's local likelihood.

    Attributes
    ----------
    ensemble
        Calibrated networks.
    tta
        Average over the eight symmetries of the square.
    likelihood
        Weight of `local_likelihood` against the networks' mean logits; 0 leaves it out.
    temperature
        What the sum of both is divided by.
    averaged
        Whether the likelihood is averaged over neighbours: in maps it is, in pseudo labels not.
    """

    ensemble: Ensemble
    tta: bool = True
    likelihood: float = 0.0
    temperature: float = 1.0
    averaged: bool = False

    def evidence(self, image: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the networks' logits and the tiles' local likelihood of the classes.

        Parameters
        ----------
        image
            (tile, band, y, x) float32, 0 = no data in that band.
        valid
            (tile, y, x) bool, where all bands have data.

        Returns
        -------
        logits, likelihood
            (tile, class, y, x) float32 each; the latter is 0 where its weight is.
        """
        logits = self.ensemble.logits(image, tta=self.tta)
        if not self.likelihood:
            return logits, torch.zeros_like(logits)
        likelihood = local_likelihood(
            image.numpy(), valid.numpy(), logits.numpy(), averaged=self.averaged
        )
        return logits, torch.from_numpy(likelihood)

    def predict(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return confidence (tile, y, x), NaN = no data, and predicted class (tile, y, x)."""
        valid = np.isfinite(image).all(axis=1)
        filled = torch.from_numpy(np.where(np.isfinite(image), image, np.float32(0)))
        logits, likelihood = self.evidence(filled, torch.from_numpy(valid))
        weighed = (logits + self.likelihood * likelihood) / self.temperature
        confidence, prediction = weighed.softmax(dim=1).max(dim=1)
        sure = np.where(valid, confidence.numpy(), np.float32(np.nan))
        return sure, prediction.numpy().astype(np.uint8)


def calibrate_labeller(
    labeller: Labeller,
    held_out: Tiles,
    *,
    scale: bool = True,
    reference: Ensemble | None = None,
) -> tuple[Labeller, Calibration]:
    """Find the weight of the local likelihood and the temperature on held-out labelled tiles.

    Held-out labels are few and of other ground, so they can't choose the best weight; they can show
    where networks classify better than a tile's own distributions, which do harm then. What
    is taken is the greatest weight with which the error, 1 - foreground IoU, grows by a twentieth
    at most: half a point where the IoU is .9, three where it is .4 and unknown ground gains more.

    Parameters
    ----------
    labeller
        Its `likelihood` is the greatest weight that is tried, besides shares of it and none.
    held_out
        Labelled tiles that the networks weren't trained on.
    scale
        Without it the temperature stays 1.
    reference
        What predicts the held-out tiles instead of the labeller's own networks, where these were
        adapted to other ground than that: see
        `floodloom.learning.relabelling.adaptation.AdaptedNetwork`.

    Returns
    -------
    labeller, calibration
        With the weight and temperature, and what they come from.
    """
    on_known = labeller if reference is None else replace(labeller, ensemble=reference)
    evidence, label = held_out_pixels(
        lambda part: torch.cat(on_known.evidence(part.image, part.all_valid), dim=1), held_out
    )
    logits, likelihood = evidence.chunk(2, dim=1)
    tried = [share * labeller.likelihood for share in (_SHARES if labeller.likelihood else (0.0,))]
    scores = {w: _foreground_iou(logits + w * likelihood, label) for w in tried}
    least = 1 - (1 - scores[0.0]) * (1 + BEARABLE)
    weight = max(one for one in tried if scores[one] >= least)

    weighed = logits + weight * likelihood
    temperature = fit_temperature(weighed, label) if scale else 1.0
    calibration = Calibration.model_validate(
        {
            "temperature": temperature,
            "likelihood": {f"{one:g}": score for one, score in scores.items()},
            "pixels": len(label),
            "before": reliability_at(weighed, label, 1.0).as_dict(),
            "after": reliability_at(weighed, label, temperature).as_dict(),
        }
    )
    return replace(labeller, likelihood=weight, temperature=temperature), calibration


def _foreground_iou(logits: Tensor, label: Tensor) -> float:
    prediction = logits.argmax(dim=1).numpy()
    matrix = confusion_matrix(prediction, label.numpy(), logits.shape[1])
    return foreground_scores(matrix)["iou"]
