"""The statistics of batch normalisation: those of other tiles, and how far they lie apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.learning.device import default_device
from floodloom.raster.nodata import IGNORE

_NORM = nn.BatchNorm2d
_FEWEST = 2  # pixels that a batch's statistics need


def distance_of_means(before: Checkpoint, after: Checkpoint) -> float:
    """Return by how many standard deviations batch normalisations' means differ, on average."""
    layers = [
        ((after.weights[name] - mean).abs() / before.weights[spread].clamp(min=1e-12).sqrt()).mean()
        for name, mean in before.weights.items()
        if name.endswith("running_mean")
        and (spread := name.replace("running_mean", "running_var")) in before.weights
    ]
    return float(torch.stack(layers).mean()) if layers else 0.0


@torch.no_grad()
def replace_statistics(
    checkpoint: Checkpoint,
    target: Tiles,
    share: float = 1.0,
    batch: int = 8,
    *,
    weights: tuple[float, float] | None = None,
    least: float = 0.0,
) -> Checkpoint:
    """Return a checkpoint whose batch normalisations have the statistics of other tiles.

    Parameters
    ----------
    checkpoint
        Its weights stay as they are.
    target
        Tiles. Each batch holds some from all over them, as in training: neighbours are alike, and
        don't have the spread of all.
    share
        Weight of the other tiles' statistics; the rest are the checkpoint's own. Means are mixed,
        and variances as those of a mixture.
    batch
        Tiles at once; all batches weigh alike.
    weights
        How much each pixel labelled as class 0, and as any other, counts, the unlabelled not at
        all; in coarser levels, a place counts as its pixels do on average. By default all count
        alike, and labels aren't looked at.
    least
        Below which a place doesn't count at all.

    References
    ----------
    Li et al. (2016), Revisiting batch normalization for practical domain adaptation, arXiv
    1603.04779; the mixture: Schneider et al. (2020), arXiv 2006.16971, eq. 1.
    """
    model = checkpoint.model().to(default_device()).eval()
    norms = {
        name: _Statistics(least) for name, part in model.named_modules() if isinstance(part, _NORM)
    }

    # Each batch passes with its own statistics, which the hooks keep.
    hooks = [model.get_submodule(name).register_forward_hook(one) for name, one in norms.items()]
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))
    for index in torch.split(order, batch):
        taken = target.take(index)
        weight = None if weights is None else _pixel_weights(taken, *weights)
        for one in norms.values():
            one.weight = weight
        model(taken.image.to(default_device()))
    for hook in hooks:
        hook.remove()

    mixed = dict(checkpoint.weights)
    for name, one in norms.items():
        if not one.means:
            continue
        average, spread = f"{name}.running_mean", f"{name}.running_var"
        new_mean, new_spread = one.averages()
        mean = torch.lerp(mixed[average], new_mean, share)
        own = mixed[spread] + (mixed[average] - mean) ** 2
        others = new_spread + (new_mean - mean) ** 2
        mixed |= {average: mean, spread: torch.lerp(own, others, share)}
    return replace(checkpoint, weights=mixed)


def _pixel_weights(tiles: Samples, land: float, other: float) -> Tensor:
    """Return (tile, 1, y, x) float32 weights of labelled pixels."""
    weight = torch.full(tiles.label.shape, other).masked_fill(tiles.label.cpu() == 0, land)
    return weight.masked_fill(tiles.label.cpu() == IGNORE, 0).unsqueeze(1).to(default_device())


@dataclass
class _Statistics:
    """Hook of a batch normalisation that normalises by the batch itself, and keeps its moments.

    `weight` (tile, 1, y, x) float32 is how much each pixel counts; none: all alike. Places that
    weigh less than `least` don't.
    """

    least: float = 0.0
    weight: Tensor | None = None
    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor] = field(default_factory=list)

    def averages(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance (channel,) float32 over all batches."""
        return torch.stack(self.means).mean(0).cpu(), torch.stack(self.variances).mean(0).cpu()

    def __call__(self, norm: nn.BatchNorm2d, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        (features,) = inputs
        weight = torch.ones_like(features[:, :1])
        if self.weight is not None:
            height, width = features.shape[-2:]
            weight = F.adaptive_avg_pool2d(self.weight, (height, width))
            weight = torch.where(weight > self.least, weight, 0)
        pixels = weight.sum()
        if pixels < _FEWEST:
            return output
        mean = (features * weight).sum((0, 2, 3)) / pixels
        squared = (features - mean.view(1, -1, 1, 1)).square() * weight
        variance = squared.sum((0, 2, 3)) / pixels
        self.means.append(mean)
        self.variances.append(variance * pixels / (pixels - 1))
        return F.batch_norm(features, mean, variance, norm.weight, norm.bias, eps=norm.eps)
