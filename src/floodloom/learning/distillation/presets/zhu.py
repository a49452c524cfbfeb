"""Attention-aligned distillation (Zhu et al. 2025, doi 10.1109/LGRS.2025.3597141).

The student's attention is supervised by that of a teacher of optical images. Theirs comes from
branches of the networks; here it is the softmax of each channel over the pixels (Shu et al. 2021).
"""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "teach": {"radar": False},
    "distill": {
        "student": "fresh",
        "attention_weight": 1.0,
        "logit_weight": 0.0,
        "unlabelled": 0.0,
    },
}
