"""ResNet-50."""

from __future__ import annotations

from functools import partial

from floodloom.models.encoder import ResNet

ENCODER = partial(ResNet, depth=50)
