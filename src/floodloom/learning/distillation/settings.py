"""Settings of the stages `teach` and `distill`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from floodloom.learning.training.settings import RadarTrainingSettings, SupervisedLossName

LabelSource = Literal["given", "water_index"]


class TeachSettings(RadarTrainingSettings):
    """Training of the teacher that sees optical images."""

    epochs: int = Field(
        default=45,
        ge=1,
        description="Passes over the tiles; students begin with these weights, so that a teacher "
        "trained longer serves all of them",
    )
    model: str = Field(default="unet", description="Architecture, see `floodloom models`")
    seed: int = Field(default=0, description="Seed of the weights, the draw and the augmentation")
    labels: LabelSource = Field(
        default="given",
        description="given, or water_index: from MNDWI or NDWI alone, for places without labels",
    )
    channels: tuple[str, ...] = Field(
        default=(),
        description="Optical channels and indices (ndwi, mndwi) that it sees; none: all",
    )
    radar: bool = Field(default=True, description="The teacher sees the radar bands, too")
    optical_drop: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Probability that a tile loses its optical image, so that the network works "
        "without it",
    )


class DistillSettings(RadarTrainingSettings):
    """Training of a radar student beside the teacher."""

    loss: SupervisedLossName = Field(default="ce_dice", description="Loss on the labelled pixels")
    labels: LabelSource = Field(
        default="given",
        description="given, or water_index: from MNDWI or NDWI alone, for places without labels",
    )
    unlabelled: float = Field(
        default=0.0,
        ge=0,
        description="Greatest number of tiles without labels per training tile on which the "
        "teacher teaches, too, where they have an optical image (split target); 0: none",
    )
    from_teacher: bool = Field(
        default=True,
        description="Start from the teacher's weights wherever they fit; members of an ensemble "
        "differ less then",
    )
    feature_weight: float = Field(
        default=0.0, ge=0, description="Weight of the distance to the teacher's features (HFD-Net)"
    )
    logit_weight: float = Field(
        default=1.0, ge=0, description="Weight of the divergence from the teacher's softened logits"
    )
    softening: float = Field(
        default=2.0, gt=0, description="Temperature that softens both networks' logits"
    )
    attention_weight: float = Field(
        default=0.0, ge=0, description="Weight of the divergence of where each channel looks"
    )
    relation_weight: float = Field(
        default=0.0, ge=0, description="Weight of the difference of the affinities of regions"
    )
    confidence: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Least probability of the teacher's class where it is listened to; 0: all",
    )
    tolerance: int = Field(
        default=2,
        ge=0,
        le=4,
        description="Shift between radar and optical image that is looked for, px; 0: none",
    )
    everywhere: bool = Field(
        default=True,
        description="Listen under clouds and without optical image, too, to a teacher that copes "
        "with that (teach.optical_drop)",
    )
