"""Two strong views and one with lost features agree with the moving average where that is sure
(Yang et al. 2023, UniMatch, arXiv 2208.09910).
"""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "train": {"consistency": "unimatch", "average": 0.996},
    "relabel": {"gate": "none", "batch_statistics": 0.0, "likelihood": 0.0},
}
