"""The tiles of a training: the statistics of their classes, and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.errors import TrainingError
from floodloom.learning.data.samples import Samples, Tiles, prefetch_batches
from floodloom.learning.training.distributed import Processes
from floodloom.raster.recipe import Recipe
from floodloom.sentinel1.bands import POLARISATIONS

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
    def absent(self) -> list[int]:
        """Classes of which no pixel is labelled."""
        return torch.nonzero(self.counts.sum(dim=0) == 0).flatten().tolist()

    @property
    def class_fractions(self) -> tuple[float, ...]:
        """Share of each class among the labelled pixels."""
        pooled = self.counts.sum(dim=0).double()
        return tuple((pooled / pooled.sum().clamp(min=1)).tolist())


def class_statistics(
    tiles: Tiles,
    classes: int,
    what: str = "training",
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
        range(0, len(tiles), _BATCH), prefetch_batches(tiles, order), strict=True
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
    """

    tiles: Tiles
    statistics: ClassStatistics
    pseudo: Tensor | None = None

    @classmethod
    def of(
        cls,
        tiles: Tiles,
        classes: int,
        *,
        labelled: bool = True,
        pseudo: Tensor | None = None,
    ) -> TrainingSet:
        """Take the statistics of tiles.

        Parameters
        ----------
        classes
            Number of classes.
        labelled
            Whether every tile must have a labelled pixel, unless `pseudo` is given; those that a
            teacher labels needn't.

        Raises
        ------
        TrainingError
            As `class_statistics`.
        """
        needed = labelled and pseudo is None
        statistics = class_statistics(tiles, classes, labelled=needed)
        return cls(tiles, statistics, pseudo)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.statistics.counts.shape[1]


def sampling_weights(counts: Tensor, balance: float | str, pseudo: Tensor | None = None) -> Tensor:
    """Return the probability of drawing each tile.

    Parameters
    ----------
    counts
        (tile, class) number of labelled pixels.
    balance
        0 draws all tiles alike; 1 draws tiles by what they hold of each class, each class
        contributing the same; between them a mixture. `presence` draws tiles with any pixel of a
        class other than 0 as often as those without.
    pseudo
        (tile,) bool: tiles without true labels, which are drawn apart.

    Returns
    -------
    Tensor
        (tile,) float64 that sum to 1; with `pseudo`, over either kind.

    References
    ----------
    Volpi and Tuia (2017), IEEE TGRS 55(2), section III-C, carried from pixels to tiles; for
    `presence` Paul and Ganju (2021), arXiv 2107.08369, the authors' sampler.
    """
    if pseudo is not None:
        weights = torch.zeros(len(counts), dtype=torch.float64)
        for kind in (~pseudo, pseudo):
            weights[kind] = sampling_weights(counts[kind], balance)
        return weights
    if isinstance(balance, str):
        present = counts[:, 1:].sum(dim=1) > 0
        counts, balance = torch.stack([~present, present], dim=1).long(), 1.0
    alike = torch.ones(len(counts), dtype=torch.float64)
    columns = [column for column in counts.double().T if column.sum() > 0]
    uniform = alike / alike.sum()
    if not columns:
        return uniform
    by_class = torch.stack([column / column.sum() for column in columns]).mean(dim=0)
    return balance * by_class + (1 - balance) * uniform


@dataclass(frozen=True)
class Draw:
    """What an epoch draws: `tile`, `partner` and `seed`, each (step, position) int64.

    The partner is the tile that may be mixed in, the seed that of the tile's augmentation: both
    belong to the position in the batch, so they are the same whichever process reads it.
    """

    tile: Tensor
    partner: Tensor
    seed: Tensor

    def of(self, processes: Processes) -> Draw:
        """Return the part of every batch that is a process's."""
        part = processes.part(self.tile.shape[1])
        return Draw(self.tile[:, part], self.partner[:, part], self.seed[:, part])


def draw_mixture(
    weights: Tensor,
    pseudo: Tensor,
    steps: int,
    batch: int,
    generator: torch.Generator,
) -> Draw:
    """Draw an epoch of whose batches half is pseudo-labelled.

    Parameters
    ----------
    weights
        (tile,) probabilities of being drawn within the labelled and the pseudo-labelled tiles.
    pseudo
        (tile,) bool, True for the pseudo-labelled ones.
    steps, batch, generator
        As for `draw_epoch`.

    Returns
    -------
    Draw
        The two kinds are spread evenly over a batch, so that its parts hold both. A tile's partner
        is of its kind.

    Raises
    ------
    TrainingError
        If a batch has no room for both kinds.
    """
    if batch < 2:
        raise TrainingError(f"batch {batch}: labelled and pseudo-labelled tiles need at least 2")
    many = round(batch / 2)
    labelled = draw_epoch(weights * ~pseudo, steps, batch - many, generator)
    others = draw_epoch(weights * pseudo, steps, many, generator)
    place = torch.cat([(torch.arange(n) + 0.5) / n for n in (batch - many, many)])
    order = torch.argsort(place, stable=True)

    def together(name: str) -> Tensor:
        return torch.cat([getattr(labelled, name), getattr(others, name)], dim=1)[:, order]

    return Draw(together("tile"), together("partner"), together("seed"))


def draw_epoch(weights: Tensor, steps: int, batch: int, generator: torch.Generator) -> Draw:
    """Draw the tiles of an epoch with replacement."""
    drawn = torch.multinomial(weights, steps * batch, replacement=True, generator=generator)
    tile = drawn.view(steps, batch)
    seed = torch.randint(2**62, (steps, batch), generator=generator)
    return Draw(tile, tile.roll(1, dims=1), seed)
