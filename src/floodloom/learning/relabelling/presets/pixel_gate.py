"""Labels of pixels whose calibrated confidence passes a threshold: the defaults of all keys."""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {}
