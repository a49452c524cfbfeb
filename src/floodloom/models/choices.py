"""What can be chosen by name; the names need neither the networks nor torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from floodloom.registry import Registry

if TYPE_CHECKING:
    from floodloom.models.base import Architecture
    from floodloom.models.encoder import Encoder

ARCHITECTURES: Registry[Architecture] = Registry(
    "model", "floodloom.models.architectures", "ARCHITECTURE"
)
ENCODERS: Registry[Callable[..., Encoder]] = Registry(
    "encoder", "floodloom.models.encoders", "ENCODER"
)

if TYPE_CHECKING:
    ModelName = str
    EncoderName = str
else:
    ModelName = ARCHITECTURES.choice()
    EncoderName = ENCODERS.choice()

DEFAULT = "default"
"""What stands for the model that floodloom brings."""
DEFAULT_CHECKPOINT = Path(__file__).parent / "default.safetensors"
"""Where `make default-model` puts it."""

NO_DEFAULT = (
    "this installation brings no model of its own; train one by `make default-model`, or give a "
    "checkpoint"
)

UpsamplingName = Literal[
    "nearest",
    "bilinear",
    "bicubic",
    "bed_of_nails",
    "max_unpool",
    "transposed",
    "transposed_4x4",
    "transposed_3x3",
]
