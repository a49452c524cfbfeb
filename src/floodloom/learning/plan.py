"""The numbers of a training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes
    ----------
    epochs, batch
        Passes over as many tiles as there are, and tiles per step.
    learning_rate, weight_decay
        Of AdamW; the rate rises linearly over the share `warm_up` of all steps, then falls as a
        cosine to 0.
    clip
        Greatest norm of the gradient.
    patience
        Epochs without a better validation IoU after which training stops.
    balance
        See `floodloom.learning.data.sampling_weights`.
    average
        Decay of the moving average of the weights that is validated and kept; 0 averages nothing.
    precision
        See `floodloom.learning.device.choose_execution`.
    seed
        Of the draw and the augmentation.
    """

    epochs: int = 15
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.05
    clip: float = 1.0
    patience: int = 10
    balance: float = 0.5
    average: float = 0.0
    precision: str = "auto"
    seed: int = 0
