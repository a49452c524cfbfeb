"""What a gate is: a rule by which predictions become pseudo labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Predictions:
    """What an ensemble predicts for unlabelled tiles, and what else is known of them.

    Attributes
    ----------
    confidence
        (tile, y, x) float32 probability of the predicted class, NaN = no data.
    label
        (tile, y, x) uint8 predicted class.
    classes
        Number of classes.
    tile_label
        (tile,) uint8: 0 = no pixel of the tile is of another class, 1 = some are of class 1, 255 =
        unknown; None where nothing is known of whole tiles.
    first
        Whether it is the first round.
    shares
        Estimated share of each class, (class,), which no more labels have; None where unknown.
    """

    confidence: NDArray[np.float32]
    label: Labels
    classes: int
    tile_label: Labels | None = None
    first: bool = True
    shares: tuple[float, ...] | None = None

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there are data, (tile, y, x) bool."""
        return np.isfinite(self.confidence)


@dataclass(frozen=True)
class Gate:
    """A rule by which predictions become pseudo labels.

    Attributes
    ----------
    select
        From predictions and `floodloom.learning.relabelling.settings.GateSettings` to labels
        (tile, y, x) uint8, 255 where there is none.
    by_consistency
        Whether tiles are learnt from without labels, by consistency alone: all of them are kept.
    """

    select: Callable[[Predictions, Any], Labels]
    by_consistency: bool = False
