"""ResNet-18."""

from __future__ import annotations

from functools import partial

from floodloom.models.encoder import ResNet

ENCODER = partial(ResNet, depth=18)
