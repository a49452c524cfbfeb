"""What the pixels of one scene are like, as a small network learns it from windows of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from floodloom.arrays import IGNORE, Doubles, Floats, Mask
from floodloom.learning.data.augmentation import Augmentation, RadarNoise
from floodloom.learning.data.samples import Samples
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.unsupervised.feature_clustering import one_thread
from floodloom.learning.unsupervised.task import learn
from floodloom.learning.unsupervised.tasks.mask_contrast import Embedding, MaskContrast
from floodloom.models.registry import build

_SPAN = 3.0  # standard deviations that are the input's -1 to 1
_LOOKS, _OFFSET_DB, _GAIN_JITTER = 20.0, 1.0, 0.1  # of the views
_LEAST = 32  # px, smallest side that networks take


@dataclass(frozen=True)
class SceneEmbedding:
    """A network that has learnt from a scene.

    Attributes
    ----------
    network
        With fixed statistics, on the CPU.
    """

    network: Embedding

    @torch.no_grad()
    def embed(self, image: Floats) -> tuple[Floats, Floats]:
        """Return what the pixels of an image are like, and how salient they are.

        Parameters
        ----------
        image
            (band, y, x) float32, standardised; 0 without data.

        Returns
        -------
        tuple
            Unit vectors (32, y, x) float32, and probabilities (y, x) float32.
        """
        height, width = image.shape[1:]
        missing = max(_LEAST - height, 0), max(_LEAST - width, 0)
        whole = np.pad(image, ((0, 0), (0, missing[0]), (0, missing[1])))
        embedded, salience = self.network(torch.from_numpy(scaled(whole))[None])
        unit = nn.functional.normalize(embedded, dim=1)[0, :, :height, :width]
        return unit.numpy(), torch.sigmoid(salience)[0, :height, :width].numpy()


def scaled(image: Floats) -> Floats:
    """Return standardised values as networks take them, -1 to 1."""
    return np.asarray(np.clip(image / _SPAN, -1, 1), np.float32)


def learn_embedding(
    image: Floats, valid: Mask, *, decibel: Doubles | None, epochs: int, seed: int
) -> SceneEmbedding:
    """Learn MaskContrast from windows of a scene, with a U-Net of width 8.

    Parameters
    ----------
    image
        (window, band, y, x) float32, standardised; 0 without data.
    valid
        (window, y, x) bool.
    decibel
        (band,) how much one decibel is of a standardised value; None where that isn't known.
    epochs
        Passes over the windows.
    seed
        Of weights and views.

    Returns
    -------
    SceneEmbedding
        On a CPU it depends on neither threads nor the state of torch's random numbers.
    """
    bands = image.shape[1]
    short = [(0, max(_LEAST - side, 0)) for side in image.shape[2:]]
    pixels = torch.from_numpy(scaled(np.pad(image, ((0, 0), (0, 0), *short))))
    known = torch.from_numpy(np.pad(valid, ((0, 0), *short)))
    nothing = torch.full(known.shape, IGNORE, dtype=torch.uint8)
    everywhere = known.unsqueeze(1).expand(-1, bands, -1, -1)
    settings = TrainSettings(epochs=epochs, learning_rate=2e-3, seed=seed, precision="float32")
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        network = build("unet", in_channels=bands, classes=2, width=8, depth=3)
        task = MaskContrast(network, [f"band {number}" for number in range(bands)])
        learn(task, Samples(pixels, nothing, valid=everywhere), settings, _views(decibel))
    return SceneEmbedding(task.leading.cpu().eval())


def _views(decibel: Doubles | None) -> Augmentation:
    if decibel is None:
        return Augmentation(None, gain_jitter=_GAIN_JITTER)
    gain = torch.diag(torch.from_numpy(decibel / _SPAN)).float()
    return Augmentation(RadarNoise(gain, _LOOKS, _OFFSET_DB))
