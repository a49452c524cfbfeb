"""Which tiles are drawn, balanced by class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from floodloom.errors import TrainingError
from floodloom.learning.training.distributed import Processes


def sampling_weights(counts: Tensor, balance: float, pseudo: Tensor | None = None) -> Tensor:
    """Return the probability of drawing each tile.

    Parameters
    ----------
    counts
        (tile, class) number of labelled pixels.
    balance
        0 draws all tiles alike; 1 draws tiles by what they hold of each class, each class
        contributing the same; between them a mixture.
    pseudo
        (tile,) bool: tiles without true labels, which are drawn apart.

    Returns
    -------
    Tensor
        (tile,) float64 that sum to 1; with `pseudo`, over either kind.

    References
    ----------
    Volpi and Tuia (2017), IEEE TGRS 55(2), section III-C, carried from pixels to tiles.
    """
    if pseudo is not None:
        weights = torch.zeros(len(counts), dtype=torch.float64)
        for kind in (~pseudo, pseudo):
            weights[kind] = sampling_weights(counts[kind], balance)
        return weights
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
    share: float | None,
    steps: int,
    batch: int,
    generator: torch.Generator,
) -> Draw:
    """Draw an epoch whose batches all hold the same share of pseudo-labelled tiles.

    Parameters
    ----------
    weights
        (tile,) probabilities of being drawn within the labelled and the pseudo-labelled tiles.
    pseudo
        (tile,) bool, True for the pseudo-labelled ones.
    share
        Share of a batch that they make up, 0-1; None: as many as there are of all tiles. At least
        one tile of either kind is in each batch.
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
    share = float(pseudo.double().mean()) if share is None else share
    many = min(max(round(share * batch), 1), batch - 1)
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
