"""What a gate is: a rule by which predictions become pseudo labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodloom.learning.relabelling.ranking import Ranking

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Predictions:
    """What an ensemble predicts for unlabelled tiles, and what else is known of them.

    Tiles come to a gate some at a time, whatever their number; `ranking` is of all of them.

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
        unknown; None where nothing is known of any tile of the round as a whole.
    first
        Whether it is the first round.
    shares
        Estimated share of each class, (class,), which no more labels have; None where unknown.
    of_round
        Confidences of all tiles of the round; None where these are all.
    """

    confidence: NDArray[np.float32]
    label: Labels
    classes: int
    tile_label: Labels | None = None
    first: bool = True
    shares: tuple[float, ...] | None = None
    of_round: Ranking | None = None

    @cached_property
    def ranking(self) -> Ranking:
        """Confidences of the pixels of all tiles, by predicted class."""
        return self.of_round or Ranking(lambda: [self.by_class()], self.classes)

    def by_class(self) -> list[NDArray[np.float32]]:
        """Return the confidences (pixel,) of the pixels predicted as each class."""
        return [
            self.confidence[(self.label == value) & self.valid] for value in range(self.classes)
        ]

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
        From predictions of some tiles and
        `floodloom.learning.relabelling.settings.GateSettings` to labels (tile, y, x) uint8, 255
        where there is none.
    by_consistency
        Whether tiles are learnt from without labels, by consistency alone: all of them are kept.
    """

    select: Callable[[Predictions, Any], Labels]
    by_consistency: bool = False
