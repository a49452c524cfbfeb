"""Methods of distillation by name. Each is a module here that holds data alone: values by section
of the configuration and key; what isn't there keeps its own default.
"""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset
from floodloom.registry import Registry

PRESETS: Registry[Preset] = Registry("preset", __name__, "preset", hyphens=True)
