"""Settings of the stages `teach` and `distill`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from floodloom.learning.distillation.presets import PRESETS
from floodloom.learning.training.settings import (
    AugmentationSettings,
    NetworkSettings,
    TrainingSettings,
)
from floodloom.models.choices import ModelName
from floodloom.settings import Settings

Student = Literal["from-teacher", "fresh", "identical"]
LabelSource = Literal["given", "water_index"]
_OF_TRAIN = dict.fromkeys(
    {
        *TrainingSettings.model_fields,
        *NetworkSettings.model_fields,
        *AugmentationSettings.model_fields,
    }
    - {"model", "seed", "epochs", "memory_gib"},
    "train",
)


class DistilledNetworkSettings(NetworkSettings):
    """What is built; it begins with no weights that are learnt without labels."""

    @field_validator("encoder_weights")
    @classmethod
    def _require_file(cls, weights: str | Path | None) -> str | Path | None:
        if isinstance(weights, str):
            raise ValueError(f"{weights} is for `train` alone; give a file of weights")
        return weights


class TeachSettings(TrainingSettings, DistilledNetworkSettings, AugmentationSettings):
    """Training of the teacher that sees optical images; all else is as in `train`."""

    shared: ClassVar[Mapping[str, str]] = _OF_TRAIN

    epochs: int = Field(
        default=45,
        ge=1,
        description="Passes over the tiles; students begin with these weights, so that a teacher "
        "trained longer serves all of them",
    )
    model: ModelName = Field(default="unet", description="Architecture, see `floodloom models`")
    labels: LabelSource = Field(
        default="given",
        description="given, or water_index: from MNDWI or NDWI alone, for places without labels; "
        "those of the students, too",
    )
    channels: tuple[str, ...] = Field(
        default=(),
        description="Optical channels and indices (ndwi, mndwi) that it sees; none: all",
    )
    radar: bool = Field(
        default=True,
        description="The teacher sees the radar bands, too, and learns to do with them alone",
    )


class DistillationTerms(Settings):
    """What a student is drawn towards beside its labels."""

    feature_weight: float = Field(
        default=0.0, ge=0, description="Weight of the distance to the teacher's features (HFD-Net)"
    )
    logit_weight: float = Field(
        default=1.0, ge=0, description="Weight of the divergence from the teacher's logits"
    )
    temperature: float = Field(
        default=2.0, gt=0, description="Temperature of both networks' logits in that divergence"
    )
    attention_weight: float = Field(
        default=0.0, ge=0, description="Weight of the divergence of the channels' spatial attention"
    )

    @property
    def on_features(self) -> bool:
        """Whether any term needs the teacher's features."""
        return self.feature_weight + self.attention_weight > 0


class DistillSettings(
    DistillationTerms, TrainingSettings, DistilledNetworkSettings, AugmentationSettings
):
    """Training of a radar student beside the teacher; all else is as in `train` and `teach`."""

    shared: ClassVar[Mapping[str, str]] = {**_OF_TRAIN, "labels": "teach"}

    preset: PRESETS.choice() = Field(  # type: ignore[valid-type]
        default="logits",
        description="Method; sets the defaults of keys here and in other sections, see below",
    )
    student: Student = Field(
        default="from-teacher",
        description="What the student is: from-teacher begins with the teacher's weights wherever "
        "they fit, fresh with weights of its own; identical, too, and it must be the teacher's "
        "architecture, as features are then compared as they are",
    )
    labels: LabelSource = Field(default="given", description="As those of the teacher")
    unlabelled: float = Field(
        default=1.5,
        ge=0,
        description="Greatest number of tiles without labels per training tile on which the "
        "terms count, too, where they have an optical image (split target), whose events are then "
        "transductive; 0: none",
    )
