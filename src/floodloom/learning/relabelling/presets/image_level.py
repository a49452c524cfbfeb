"""What is known of whole tiles: every pixel takes it first, then the prediction of wet tiles."""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "run": {"rounds": 2},
    "relabel": {
        "gate": "image-level",
        "batch_statistics": 0.0,
        "likelihood": 0.0,
        "priors": "none",
    },
}
