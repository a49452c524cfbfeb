"""What the tests of the zoo share: small networks of every architecture, and a batch to learn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from floodloom.models.base import Segmenter
from floodloom.models.registry import build

WIDTH = 4
SHALLOW: dict[str, dict[str, Any]] = {
    "hourglass": {"depth": 2},
    "hrnet": {"blocks": 1, "modules": (1, 1)},
    "linknet": {"depth": 2},
    "octconv": {"depth": 2},
    "u2net": {"depths": (4, 3, 3)},
    "unet": {"depth": 2},
    "unetplusplus": {"depth": 2},
}
"""Arguments that keep an architecture's structure but few of its layers."""


def small(name: str, bands: int = 2, classes: int = 2, **arguments: Any) -> Segmenter:
    torch.manual_seed(0)
    return build(name, bands, classes, **{"width": WIDTH} | arguments)


def settle(model: Segmenter) -> Segmenter:
    """Give the normalisations statistics as training would, so that evaluation depends on them."""
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def iou(logits: Tensor, label: Tensor) -> float:
    water, truth = logits.argmax(1).bool(), label.bool()
    return ((water & truth).sum() / (water | truth).sum()).item()
