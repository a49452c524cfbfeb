"""What all tiles of a training hold, class by class, and whether they can be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from floodloom.errors import TrainingError
from floodloom.learning.data.prefetch import prefetch_batches
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.raster.nodata import IGNORE
from floodloom.raster.recipe import Recipe
from floodloom.sentinel1.polarisations import POLARISATIONS

_BATCH = 64


@dataclass(frozen=True)
class ClassStatistics:
    """What the labelled pixels of tiles hold.

    `counts` (tile, class) int64 labelled pixels; `mean` and `deviation` (band,) float64 of the
    labelled pixels, in the units of the inputs.
    """

    counts: Tensor
    mean: Tensor
    deviation: Tensor

    @property
    def class_fractions(self) -> tuple[float, ...]:
        """Share of each class among the labelled pixels."""
        pooled = self.counts.sum(dim=0).double()
        return tuple((pooled / pooled.sum().clamp(min=1)).tolist())


def class_statistics(
    tiles: Tiles,
    classes: int,
    what: str = "training",
    workers: int = 0,
    *,
    labelled: bool = True,
) -> ClassStatistics:
    """Count classes and take statistics of the bands over all tiles.

    Parameters
    ----------
    tiles
        The tiles; each is read once.
    classes
        Number of classes.
    what
        Which split it is, for messages.
    workers
        See `floodloom.learning.data.prefetch.prefetch_batches`.
    labelled
        Whether every tile must have a labelled pixel; those of a distillation needn't.

    Raises
    ------
    TrainingError
        If there is no tile, a label is neither a class nor 255, or no pixel is labelled of a tile
        that should be, or of all; the message names the tile.
    """
    if not len(tiles):
        raise TrainingError(
            f"{what} tiles: there are none; training and validation both need at least one "
            "labelled tile"
        )
    counts, sums, squares = [], torch.zeros(()), torch.zeros(())
    order = torch.split(torch.arange(len(tiles)), _BATCH)
    for first, batch in zip(
        range(0, len(tiles), _BATCH), prefetch_batches(tiles, order, workers), strict=True
    ):
        counts.append(_class_counts(batch, classes, what, first))
        if labelled:
            _require_labels(counts[-1], batch, what, first)
        values = torch.where((batch.label != IGNORE).unsqueeze(1), batch.image, 0.0).double()
        sums = sums + values.sum(dim=(0, 2, 3))
        squares = squares + values.square().sum(dim=(0, 2, 3))
    pooled = torch.cat(counts)
    pixels = pooled.sum()
    if not pixels:
        raise TrainingError(f"{what} tiles: no pixel of any is labelled; give labelled tiles")
    mean = sums / pixels
    return ClassStatistics(pooled, mean, (squares / pixels - mean**2).clamp(min=0).sqrt())


def _class_counts(batch: Samples, classes: int, what: str, first: int) -> Tensor:
    flat = batch.label.flatten(1).long()
    wrong = torch.nonzero(((flat < 0) | (flat >= classes)) & (flat != IGNORE))
    if len(wrong):
        tile, pixel = wrong[0].tolist()
        raise TrainingError(
            f"{what} tile {_name(batch, tile, first)}: label {int(flat[tile, pixel])} is no class; "
            f"labels must be 0 to {classes - 1}, or {IGNORE} for pixels to ignore"
        )
    return torch.stack([(flat == value).sum(dim=1) for value in range(classes)], dim=1)


def _require_labels(counts: Tensor, batch: Samples, what: str, first: int) -> None:
    empty = torch.nonzero(counts.sum(dim=1) == 0)
    if len(empty):
        raise TrainingError(
            f"{what} tile {_name(batch, int(empty[0]), first)}: no labelled pixel has data; "
            "leave the tile out, or cut it where there are data"
        )


def _name(batch: Samples, position: int, first: int) -> str:
    return batch.ids[position] if batch.ids else str(first + position)


def describe_statistics(
    statistics: ClassStatistics, recipe: Recipe, bands: tuple[str, ...]
) -> Mapping[str, object]:
    """Return statistics as plain values for a checkpoint.

    Bands of polarisations with fixed scaling are given in decibel, others in the inputs' units.
    """
    low, high = recipe.db_range
    found = {}
    for band, mean, deviation in zip(
        bands, statistics.mean.tolist(), statistics.deviation.tolist(), strict=True
    ):
        decibel = recipe.normalisation == "fixed" and band.split("_")[-1] in POLARISATIONS
        half = (high - low) / 2 if decibel else 1.0
        shift = low + half if decibel else 0.0
        unit = "dB" if decibel else "input"
        found[band] = {"mean": shift + half * mean, "deviation": half * deviation}
        found[band]["unit"] = unit
    return {"class_fractions": list(statistics.class_fractions), "bands": found}
