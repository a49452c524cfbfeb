"""What a preset sets in all sections, where the configuration sets nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floodloom.learning.relabelling.presets import PRESETS
from floodloom.learning.relabelling.settings import RelabelSettings

_DEFAULT = RelabelSettings.model_fields["preset"].default


def with_preset(content: Any) -> Any:
    """Return a configuration's content with its preset's values where it sets none itself.

    Parameters
    ----------
    content
        The parsed YAML; what isn't a mapping, or names no known preset, is returned as it is, for
        validation to judge.
    """
    section = content.get("relabel") if isinstance(content, Mapping) else None
    name = section.get("preset", _DEFAULT) if isinstance(section, Mapping) else _DEFAULT
    if not isinstance(content, Mapping) or not isinstance(name, str) or name not in PRESETS.names:
        return content
    filled = dict(content)
    for key, values in PRESETS.load(name).items():
        own = filled.get(key)
        if own is None or isinstance(own, Mapping):
            filled[key] = {**values, **(own or {})}
    return filled
