"""The architectures by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from floodloom.errors import ConfigError
from floodloom.models import fcn, linknet, unet, unetplusplus
from floodloom.models.base import ARCHITECTURES, Segmenter, register

__all__ = ["ModelRow", "build", "describe", "names", "receptive_field", "register"]

_MODULES = (fcn, linknet, unet, unetplusplus)  # importing them registers what they define
_PROBE_WIDTH = 1024
_PROBE_HEIGHT = 32


@dataclass(frozen=True)
class ModelRow:
    """One row of `floodloom models`."""

    name: str
    parameters: int
    receptive_field: int
    source: str


def names() -> tuple[str, ...]:
    """Return the names of the architectures, sorted."""
    return tuple(sorted(ARCHITECTURES))


def build(name: str, in_channels: int, classes: int, **arguments: Any) -> Segmenter:
    """Return a network with fresh weights.

    Parameters
    ----------
    name
        One of `names()`.
    in_channels
        Bands of the input.
    classes
        Classes of the logits.
    **arguments
        Further arguments of the architecture, such as `width`.

    Raises
    ------
    ConfigError
        If the name is unknown or the arguments don't suit the architecture.
    """
    if name not in ARCHITECTURES:
        raise ConfigError(f"model {name!r}: unknown; choose one of {', '.join(names())}")
    try:
        return ARCHITECTURES[name].make(in_channels, classes, **arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {name!r}: {error}") from error


def describe(in_channels: int = 2, classes: int = 2) -> list[ModelRow]:
    """Return name, parameter count (default width), receptive field and source of each model."""
    return [
        ModelRow(
            name,
            sum(p.numel() for p in build(name, in_channels, classes).parameters()),
            receptive_field(build(name, in_channels, classes, width=4)),
            ARCHITECTURES[name].source,
        )
        for name in names()
    ]


def receptive_field(model: Segmenter, in_channels: int = 2) -> int:
    """Return how many input columns can change one output column, px (at most 1024).

    A NaN reaches every value that is computed from it, through convolution, pooling and
    interpolation alike. Bisecting for the outermost column whose NaN reaches the central output
    therefore measures the field of any network. Double precision keeps to plain convolutions.
    """
    probe = model.double().eval()
    centre = _PROBE_WIDTH // 2

    def reaches(columns: slice) -> bool:
        image = torch.zeros(1, in_channels, _PROBE_HEIGHT, _PROBE_WIDTH, dtype=torch.float64)
        image[..., columns] = torch.nan
        with torch.inference_mode():
            return bool(probe(image)[0, :, _PROBE_HEIGHT // 2, centre].isnan().any())

    left = _last(lambda reach: reaches(slice(None, centre - reach + 1)), centre)
    right = _last(lambda reach: reaches(slice(centre + reach, None)), centre - 1)
    return left + right + 1


def _last(holds: Callable[[int], bool], limit: int) -> int:
    """Return the greatest value up to `limit` for which a monotone condition holds."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
