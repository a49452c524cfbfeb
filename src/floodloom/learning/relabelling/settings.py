"""Settings of the stage `relabel`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from floodloom.learning.relabelling.gates import GATES
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.settings import Settings, of_job


class GateSettings(Settings):
    """Which predictions become pseudo labels."""

    gate: GATES.choice() = Field(  # type: ignore[valid-type]
        default="pixel",
        description="pixel: sure pixels, by class; paul-ganju: whole tiles of which more than 90 % "
        "of the pixels are surer than 0.95; image-level: what is known of whole tiles (ETCI 2021); "
        "none: no labels, for training by consistency; refused where the sensor is another",
    )
    thresholds: tuple[float, ...] = Field(
        default=(0.95,),
        min_length=1,
        description="Least confidence of a kept pixel, one for all classes or one each",
    )
    quotas: tuple[float, ...] = Field(
        default=(0.9,),
        min_length=1,
        description="Greatest share of the pixels predicted as a class that are kept, one for all "
        "classes or one each",
    )
    portions: tuple[float, ...] = Field(
        default=(0.5,),
        min_length=1,
        description="Share of the pixels predicted as a class that are kept even below the "
        "threshold, the surest ones, one for all classes or one each",
    )
    minimum_kept: float = Field(
        default=0.05, ge=0, le=1, description="Least share of labelled pixels in a kept tile"
    )


class AcceptanceLimits(Settings):
    """What a round, and the model that comes of it, must keep to."""

    minimum_water_share: float = Field(
        default=0.001, ge=0, le=1, description="A round with a smaller share of water is refused"
    )
    maximum_water_share: float = Field(
        default=0.9, ge=0, le=1, description="A round with a greater share of water is refused"
    )
    maximum_flips: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="A round in which a greater share of the labels changed is refused",
    )
    maximum_iou_fall: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="A round whose model loses more IoU than that on held-out labels is refused",
    )
    minimum_iou: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="A network with a lower IoU on held-out labels labels nothing, and training "
        "starts again from the labels instead of from it",
    )


class RelabelSettings(AcceptanceLimits, GateSettings):
    """Which pixels get pseudo labels, and when a round is refused."""

    preset: PRESETS.choice() = Field(  # type: ignore[valid-type]
        default="pixel-gate",
        description="Method; sets the defaults of keys here and in other sections, see below",
    )
    round: PositiveInt = of_job(default=1, description="Number of the round, from 1")
    validation_share: Annotated[float, Field(gt=0, lt=1)] = of_job(
        default=0.2,
        description="Share of the training tiles held out when no tile is in the validation split; "
        "the same as in training",
    )
    folds: Annotated[int, Field(ge=2)] | None = of_job(
        default=None, description="Folds over the events, the same as in training"
    )
    fold: NonNegativeInt = of_job(default=0, description="Fold that was validated on in training")
    batch_statistics: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Share of the unlabelled tiles in the statistics of batch normalisation that "
        "they are predicted with, where they come from another sensor or product",
    )
    likelihood: float = Field(
        default=1.0,
        ge=0,
        description="Greatest weight of the local likelihood, by each tile's own distributions of "
        "its classes, against the networks' logits; as much of it is used, in pseudo labels and in "
        "prediction, as makes the error on held-out labels, 1 - IoU, grow by a twentieth at most; "
        "0: none",
    )
    tta: bool = Field(default=True, description="Average over the eight symmetries of the square")
    calibrate: bool = Field(
        default=True, description="Calibrate the confidences by temperature on held-out labels"
    )
