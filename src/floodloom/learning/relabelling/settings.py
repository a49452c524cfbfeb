"""Settings of the stage `relabel`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from floodloom.learning.relabelling.gates import GATES
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.settings import Settings, of_job

PriorsMethod = Literal["none", "count", "confusion", "bias-corrected-em"]


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
    portions: tuple[float, ...] = Field(
        default=(0.5,),
        min_length=1,
        description="Share of the pixels predicted as a class that are kept even below the "
        "threshold, the surest ones, one for all classes or one each",
    )


class RelabelSettings(GateSettings):
    """Which pixels get pseudo labels, and when a round is refused."""

    preset: PRESETS.choice() = Field(  # type: ignore[valid-type]
        default="pixel-gate",
        description="Method; sets the defaults of keys here and in other sections, see below",
    )
    acceptance: bool = Field(
        default=True,
        description="Refuse networks, rounds and models that leave their limits: an IoU on "
        "held-out labels below 0.3, or more than 0.02 below that before the round; water below "
        "0.1 % or above 90 % of predictions or labels; more than 20 % of the labels changed",
    )
    round: PositiveInt = of_job(default=1, description="Number of the round, from 1")
    batch_statistics: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Share of the unlabelled tiles in the statistics of batch normalisation that "
        "they are predicted with, and that the round's model ends with, where they come from "
        "another sensor or product",
    )
    likelihood: float = Field(
        default=1.0,
        ge=0,
        description="Greatest weight of the local likelihood, by each tile's own distributions of "
        "its classes, against the networks' logits; as much of it is used, in pseudo labels and in "
        "prediction, as makes the error on held-out labels, 1 - IoU, grow by a twentieth at most; "
        "0: none",
    )
    priors: PriorsMethod = Field(
        default="count",
        description="How the target's share of water is estimated, which no more pseudo labels "
        "have, and away from which what the round's model calls water may not move: count: what "
        "the networks call before the round; confusion: that by how often they err on held-out "
        "labels; bias-corrected-em: by calibrated probabilities; none: not estimated",
    )
    tta: bool = Field(default=True, description="Average over the eight symmetries of the square")
    calibrate: bool = Field(
        default=True,
        description="Calibrate confidences by temperature on held-out labels, and average "
        "calibrated probabilities in maps; else networks' own logits are averaged in both",
    )
