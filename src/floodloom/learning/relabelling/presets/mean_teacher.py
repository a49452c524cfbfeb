"""A strong view has the class probabilities of the moving average of the network
(Tarvainen and Valpola 2017, arXiv 1703.01780).
"""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "train": {"consistency": "mean-teacher", "average": 0.996},
    "relabel": {"gate": "none", "batch_statistics": 0.0, "likelihood": 0.0},
}
