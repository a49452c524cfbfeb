"""HFD-Net (Gao and Dong 2022, arXiv 2210.08988): features of an optical teacher of the same kind.

Teacher and student are one architecture, in which an alignment module joins the scales; the aligned
features of every scale are compared as they are.
"""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "run": {"models": ["hfd_net"]},
    "teach": {"model": "hfd_net", "radar": False},
    "distill": {
        "student": "identical",
        "feature_weight": 1.0,
        "logit_weight": 0.0,
        "unlabelled": 0.0,
    },
}
