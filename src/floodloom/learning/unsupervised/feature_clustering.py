"""Clusters of an image's own features, as a small network learns them from this image alone.

After Kim, Kanezaki and Tanaka (2020), Unsupervised Learning of Image Segmentation Based on
Differentiable Feature Clustering, IEEE Transactions on Image Processing 29, 8055-8068, arXiv
2007.09990, and the authors' demo.py and demo_ref.py. Three criteria: pixels of similar features
share a label (similarity), neighbours share one (continuity), and labels are many, which the
normalisation of every channel of the response sees to. What differs: pixels without data take no
part, as those beyond the image don't; the response never has fewer labels than the least number,
where the authors' last step may leave fewer; and the statistics of the normalisation are kept, so
that a network learnt from a sample is a fixed function of an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.learning.losses.scribble import continuity, similarity

_EPSILON = 1e-5


class MaskedNorm(nn.Module):
    """Batch normalisation by the pixels that have data; pixels without are 0 before and after.

    In training the statistics are those of the batch, which are kept; else those that were kept.

    Parameters
    ----------
    channels
        How many there are.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, value: Tensor, inside: Tensor) -> Tensor:
        """Return (N, channel, y, x) normalised where (N, 1, y, x) float32 `inside` is 1."""
        mean, variance = self.mean, self.variance
        if self.training:
            count = inside.sum().clamp(min=1)
            mean = (value * inside).sum(dim=(0, 2, 3)) / count
            centred = (value - mean.view(1, -1, 1, 1)) * inside
            variance = centred.square().sum(dim=(0, 2, 3)) / count
            self.mean.copy_(mean.detach())
            self.variance.copy_(variance.detach())
        scale = self.weight * torch.rsqrt(variance + _EPSILON)
        shift = self.bias - mean * scale
        return (value * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)) * inside


class ClusteringNetwork(nn.Module):
    """3 x 3 convolutions, each with a ReLU and a normalisation, and a 1 x 1 convolution with one.

    Parameters
    ----------
    bands
        Of the image.
    channels
        Of every layer, and as many labels as there can be.
    layers
        3 x 3 convolutions; a pixel's label depends on so many pixels around it.
    """

    def __init__(self, bands: int, channels: int = 100, layers: int = 2) -> None:
        super().__init__()
        widths = [bands, *[channels] * layers]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(MaskedNorm(channels) for _ in range(layers))
        self.last = nn.Conv2d(channels, channels, 1)
        self.last_norm = MaskedNorm(channels)

    def forward(self, image: Tensor, valid: Tensor) -> Tensor:
        """Return the response (N, label, y, x) to images (N, band, y, x) where (N, y, x) valid."""
        inside = valid.unsqueeze(1).float()
        value = image * inside
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            value = norm(F.relu(convolution(value)), inside)
        response: Tensor = self.last_norm(self.last(value), inside)
        return response


@dataclass(frozen=True)
class Clustering:
    """What was learnt from images.

    Attributes
    ----------
    network
        With fixed statistics.
    labels
        (label,) int64: those that the images have.
    counts
        How many labels the images had in each iteration, the last ones those that were kept.
    """

    network: ClusteringNetwork
    labels: Tensor
    counts: tuple[int, ...]

    @torch.no_grad()
    def divide(self, image: Tensor, valid: Tensor) -> Tensor:
        """Return for (N, band, y, x) the place (N, y, x) int64 of each pixel's label in `labels`.

        Labels that the images learnt from don't have are left out.
        """
        response: Tensor = self.network(image, valid)
        return response[:, self.labels].argmax(dim=1)


def clustering_loss(response: Tensor, valid: Tensor, weight: float) -> Tensor:
    """Return similarity plus `weight` times continuity of a response, equation 1 of the paper."""
    return similarity(response, valid) + weight * continuity(response, valid)


def learn_clusters(
    image: Tensor,
    valid: Tensor,
    *,
    least: int = 3,
    weight: float = 1.0,
    iterations: int = 1000,
    channels: int = 100,
    seed: int = 0,
) -> Clustering:
    """Learn to cluster images by gradient descent on all of them at once.

    Parameters
    ----------
    image
        (N, band, y, x) float32, 0 on average.
    valid
        (N, y, x) bool, where there are data.
    least
        Labels at which learning ends.
    weight
        Of continuity.
    iterations
        Steps after which learning ends, however many labels there are.
    channels
        Of the network, and most labels that there can be.
    seed
        Of the network's first weights.

    Returns
    -------
    Clustering
        The last state that had `least` labels or more; it depends on neither threads nor the
        state of torch's random numbers.
    """
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        network = ClusteringNetwork(image.shape[1], channels)
        descent = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        counts: list[int] = []
        kept = _copied(network)
        for step in range(iterations + 1):
            response = network(image, valid)
            count = len(response.argmax(dim=1)[valid].unique())
            if counts and count < min(least, counts[-1]):
                break  # one step has joined too many
            counts.append(count)
            kept = _copied(network)
            if count <= least or step == iterations:
                break
            descent.zero_grad(set_to_none=True)
            loss = clustering_loss(response, valid, weight)
            loss.backward()  # type: ignore[no-untyped-call]
            descent.step()
        network.load_state_dict(kept)
        network.eval()
        with torch.no_grad():
            labels = network(image, valid).argmax(dim=1)[valid].unique()
    return Clustering(network, labels, tuple(counts))


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: sums of several are rounded by their number, which learning enlarges.

    As many threads as before compute afterwards.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
