"""Methods of relabelling by name. Each is a module here that holds data alone: values by section of
the configuration and key; what isn't there keeps its own default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floodloom.registry import Registry

Preset = Mapping[str, Mapping[str, Any]]

PRESETS: Registry[Preset] = Registry("preset", __name__, "preset", hyphens=True)
