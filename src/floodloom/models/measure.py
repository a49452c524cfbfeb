"""What networks with their default arguments need and see, measured.

`python -m floodloom.models.measure`, a part of `make docs`, writes what `floodloom models` lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch
from torch.utils.flop_counter import FlopCounterMode

from floodloom.files import write_json
from floodloom.models.base import Segmenter
from floodloom.models.choices import ARCHITECTURES
from floodloom.models.figures import FILE, LARGEST_FIELD, ModelFigures
from floodloom.models.registry import build

_LEAST_HEIGHT = 32  # px, that every network takes
_PROBE_WIDTHS = (64, 256, 512, LARGEST_FIELD)


def measure(name: str, in_channels: int = 2, classes: int = 2) -> ModelFigures:
    """Return the figures of an architecture with its default arguments."""
    with torch.device("meta"):
        default = build(name, in_channels, classes)
    return ModelFigures(
        name,
        sum(p.numel() for p in default.parameters()),
        receptive_field(build(name, in_channels, classes, width=4), in_channels),
        round(multiply_adds(default, in_channels) / 1e9, 2),
        ARCHITECTURES.load(name).source,
    )


def multiply_adds(model: Segmenter, in_channels: int = 2) -> int:
    """Return the multiply-adds of convolutions and matrix products on 1024 by 1024 px.

    Shapes are all that counts: nothing is computed for a model on the meta device.
    """
    device = next(model.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        model.eval()(torch.empty(1, in_channels, 1024, 1024, device=device))
    return int(counter.get_total_flops()) // 2


def receptive_field(model: Segmenter, in_channels: int = 2) -> int:
    """Return how many input columns can change one output column, px, at most `LARGEST_FIELD`.

    A NaN reaches every value that is computed from it, through convolution, pooling and
    interpolation alike. Bisecting for the outermost column whose NaN reaches the central output
    therefore measures the field of any network. Double precision keeps to plain convolutions.
    """
    probe = model.double().eval()
    for width in (width for width in _PROBE_WIDTHS if width >= probe.stride):
        left, right = _probes(probe, in_channels, width)
        quarter, centre = width // 4, width // 2
        if width == LARGEST_FIELD:
            return _last(left, centre) + _last(right, centre - 1) + 1
        if not left(quarter) and not right(quarter):
            break
    return _last(left, quarter) + _last(right, quarter) + 1


def _probes(
    probe: Segmenter, in_channels: int, width: int
) -> tuple[Callable[[int], bool], Callable[[int], bool]]:
    """Whether columns at a distance or beyond, on the left and on the right, reach the centre."""
    centre, height = width // 2, max(probe.stride, _LEAST_HEIGHT)

    def reaches(columns: slice) -> bool:
        image = torch.zeros(1, in_channels, height, width, dtype=torch.float64)
        image[..., columns] = torch.nan
        with torch.inference_mode():
            return bool(probe(image)[0, :, height // 2, centre].isnan().any())

    return (
        lambda reach: reaches(slice(None, centre - reach + 1)),
        lambda reach: reaches(slice(centre + reach, None)),
    )


def _last(holds: Callable[[int], bool], limit: int) -> int:
    """Return the greatest value up to `limit` for which a monotone condition holds."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


if __name__ == "__main__":
    write_json(FILE, [asdict(measure(name)) for name in ARCHITECTURES.own_names])
