"""Cross-modal distillation (Garg et al. 2023, arXiv 2302.08180): few labels, many pairs without.

The teacher sees optical images alone; the student learns its class probabilities on pairs with and
without labels.
"""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "teach": {"radar": False},
    "distill": {"student": "fresh", "temperature": 1.0, "unlabelled": 10.0},
}
