"""FCN-32s: the scores of the coarsest map, interpolated."""

from __future__ import annotations

from functools import partial

from floodloom.models.architectures.fcn8 import FCN, SOURCE
from floodloom.models.base import Architecture

ARCHITECTURE = Architecture(partial(FCN, finest=32), SOURCE)
