"""The class probabilities of a teacher that sees radar, too: the defaults of all keys."""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {}
