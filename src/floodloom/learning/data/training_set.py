"""What a training learns from: its tiles, what they hold, and which have no true label."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from floodloom.learning.data.class_statistics import ClassStatistics, class_statistics
from floodloom.learning.data.samples import Tiles


@dataclass(frozen=True)
class TrainingSet:
    """Tiles to learn from.

    Attributes
    ----------
    tiles
        All of them.
    statistics
        What their labelled pixels hold.
    pseudo
        (tile,) bool: tiles without true labels; None if all have theirs.
    pseudo_share
        Share of each batch that those make up; None: that of all tiles.
    """

    tiles: Tiles
    statistics: ClassStatistics
    pseudo: Tensor | None = None
    pseudo_share: float | None = 0.5

    @classmethod
    def of(
        cls,
        tiles: Tiles,
        classes: int,
        workers: int = 0,
        *,
        labelled: bool = True,
        pseudo: Tensor | None = None,
        pseudo_share: float | None = 0.5,
    ) -> TrainingSet:
        """Take the statistics of tiles.

        Parameters
        ----------
        classes
            Number of classes.
        workers
            Threads that read tiles ahead.
        labelled
            Whether every tile must have a labelled pixel, unless `pseudo` is given; those that a
            teacher labels needn't.

        Raises
        ------
        TrainingError
            As `class_statistics`.
        """
        needed = labelled and pseudo is None
        statistics = class_statistics(tiles, classes, "training", workers, labelled=needed)
        return cls(tiles, statistics, pseudo, pseudo_share)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.statistics.counts.shape[1]
