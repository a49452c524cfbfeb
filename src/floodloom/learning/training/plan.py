"""The numbers of a training."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    micro_batch
        Tiles whose gradients are computed at once and added up; None takes the whole batch. It
        shrinks by itself where a GPU's memory is too small.
    clip
        Greatest norm of the gradient.
    patience
        Epochs without a better validation score after which training stops.
    monitor
        Validation score that chooses the best epoch, see `validation.validate`;
        `epoch` keeps the last.
    pseudo_share
        Share of each batch that is pseudo-labelled where there are such tiles; None: as they are.
    balance, space
        See `floodloom.learning.data.sampling.sampling_weights`.
    average
        Decay of the moving average of the weights that is validated and kept; 0 averages nothing.
    precision
        See `floodloom.learning.device.choose_execution`.
    seed
        Of the draw and the augmentation.
    workers
        Threads that read tiles ahead; 0 reads them when they are asked for. Changes no result.
    """

    epochs: int = 15
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.05
    micro_batch: int | None = None
    clip: float = 1.0
    patience: int = 10
    monitor: str = "iou"
    pseudo_share: float | None = 0.5
    balance: float = 0.5
    space: float = 0.0
    average: float = 0.0
    precision: str = "auto"
    seed: int = 0
    workers: int = field(default=0, repr=False)
