"""Settings of the stage `train`, and what every training has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from floodloom.learning.losses import LOSSES
from floodloom.learning.unsupervised.tasks import TASKS
from floodloom.models.choices import ARCHITECTURES, ENCODERS, ModelName
from floodloom.registry import Registry
from floodloom.settings import Settings, of_job

if TYPE_CHECKING:
    LossName = str
    TaskName = str
else:
    LossName = LOSSES.choice()
    TaskName = TASKS.choice()
Consistency = Literal["pseudo", "joint", "unimatch", "mean-teacher"]
Schedule = Literal["cosine", "constant", "plain-cosine"]
Balance = Annotated[float, Field(ge=0, le=1)] | Literal["presence"]
Monitor = Literal["iou", "f1", "miou", "accuracy", "mean_of_chip_iou", "epoch"]
Precision = Literal["auto", "float32", "bfloat16"]
_NAMED_IN_ARGUMENTS: dict[str, Registry[Any]] = {"encoder": ENCODERS, "branch": ARCHITECTURES}


class NetworkSettings(Settings):
    """What is built."""

    model: ModelName = of_job(default="unet", description="Architecture, see `floodloom models`")
    width: int = Field(default=16, ge=1, description="Channels of the network's first level")
    encoder_weights: TaskName | Path | None = Field(
        default=None,
        description="Where weights begin: file (.safetensors) with ImageNet weights for the "
        "encoder; or what the network learns first, without labels, from the run's tiles for "
        "training and of the target (docs/unsupervised.md)",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the architecture by name, such as encoder, upsampling, depth, "
        "norm, skips or stacks, see `docs/models.md`",
    )

    @field_validator("arguments")
    @classmethod
    def _read_numbers(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """The command line gives text; no argument is a text that is a number or a list."""
        return {name: _plain(value) for name, value in arguments.items()}

    @property
    def pretraining(self) -> str | None:
        """What is learnt without labels first, if anything."""
        return self.encoder_weights if isinstance(self.encoder_weights, str) else None

    @property
    def weights_file(self) -> Path | None:
        """File with weights for the encoder, if there is one."""
        return self.encoder_weights if isinstance(self.encoder_weights, Path) else None

    def modules(self, *keys: str) -> tuple[str, ...]:
        """Return the modules of what is chosen by name, an encoder or a branch of fusion, too."""
        looked_at = not keys or "arguments" in keys
        named = self.arguments if looked_at else {}
        more = [
            registry.module(named[argument])
            for argument, registry in _NAMED_IN_ARGUMENTS.items()
            if named.get(argument) in registry.names
        ]
        return tuple(dict.fromkeys((*super().modules(*keys), *more)))


class OptimiserSettings(Settings):
    """How the weights are found, and which are kept."""

    seed: int = of_job(default=0, description="Seed of the weights, the draw and the augmentation")
    epochs: int = Field(default=15, ge=1, description="Passes over the tiles")
    batch: int = Field(default=8, ge=1, description="Tiles per step")
    loss: LossName = Field(default="ce_dice", description="Loss on the labelled pixels")
    learning_rate: float = Field(default=1e-3, gt=0, description="Highest learning rate")
    schedule: Schedule = Field(
        default="cosine",
        description="Course of the learning rate: cosine rises over the first twentieth of the "
        "steps and falls to 0; constant stays, and after a round of relabelling is plain-cosine, "
        "which falls from epoch to epoch without having risen",
    )
    weight_decay: float = Field(default=1e-4, ge=0, description="Weight decay of AdamW")
    average: float = Field(
        default=0.0, ge=0, lt=1, description="Decay of the moving average of the weights; 0: none"
    )
    patience: int = Field(
        default=10, ge=1, description="Epochs without a better validation score before stopping"
    )
    monitor: Monitor = Field(
        default="iou",
        description="Validation score that chooses the best epoch; epoch keeps the last",
    )
    precision: Precision = Field(
        default="auto",
        description="Number format of training; auto: bfloat16 where the processor has "
        "instructions for it and the network is wide enough to gain by it, else float32",
    )


class SamplingSettings(Settings):
    """Which tiles are drawn."""

    balance: Balance = Field(
        default=0.5,
        description="0 draws tiles alike, 1 by what they hold of each class; presence draws those "
        "with any foreground as often as those without",
    )


class ReadingSettings(Settings):
    """How tiles are read; no result depends on it."""

    memory_gib: Annotated[float, Field(ge=0, repr=False)] = of_job(
        default=4.0, description="Tiles that take more are read from disk as they are drawn, GiB"
    )


class TrainingSettings(OptimiserSettings, SamplingSettings, ReadingSettings):
    """What every training depends on, whatever the network; its `repr` holds what decides it."""


class AugmentationSettings(Settings):
    """How training tiles are changed at random."""

    speckle_looks: float | None = Field(
        default=20.0, gt=0, description="Looks of the speckle added in training; null: none"
    )
    offset_db: float = Field(
        default=1.0, ge=0, description="Greatest offset per polarisation added in training, dB"
    )
    elastic: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Probability that a tile is bent in training; half of the tiles are then also "
        "turned by any angle",
    )


class TrainSettings(TrainingSettings, NetworkSettings, AugmentationSettings):
    """Supervised training and fine-tuning."""

    shared: ClassVar[Mapping[str, str]] = {"batch_statistics": "relabel"}

    fine_tune_epochs: int = Field(
        default=8, ge=1, description="Passes over the tiles after a round of relabelling"
    )
    fine_tune_learning_rate: float = Field(
        default=3e-4, gt=0, description="Highest learning rate after a round of relabelling"
    )
    band_drop: float = Field(
        default=0.0, ge=0, le=1, description="Probability that a tile loses one of its bands"
    )
    cutmix: float = Field(
        default=0.0, ge=0, le=1, description="Probability that a box of another tile is mixed in"
    )
    batch_statistics: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Share of the pseudo-labelled tiles in the last statistics of batch "
        "normalisation, where they come from another sensor or product; as in relabelling",
    )
    consistency: Consistency = Field(
        default="pseudo",
        description="How unlabelled tiles teach: by the labels of the round, with a loss of their "
        "own (pseudo) or one for all tiles, drawn together (joint), or by what the moving average "
        "of the weights (`average`) predicts of them during training",
    )


OF_PRETRAINING = frozenset({
    *NetworkSettings.model_fields,
    *AugmentationSettings.model_fields,
    *ReadingSettings.model_fields,
    *("epochs", "batch", "learning_rate", "schedule", "weight_decay", "precision", "seed"),
})  # fmt: skip
"""Settings of `train` that `pretrain` goes by, too."""


def _plain(value: Any) -> Any:
    """Return the number, list or truth value that a text is, or the text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
