"""The published recipe of Paul and Ganju (2021), arXiv 2107.08369: no calibration, no limits."""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "run": {"models": ["unet", "unetplusplus"], "rounds": 2, "growing": True},
    "tile": {"bands": ["vv", "vh", "one_minus_ratio"]},
    "train": {
        "encoder": "mobilenet_v2",
        "loss": "dice",
        "epochs": 15,
        "fine_tune_epochs": 20,
        "learning_rate": 1e-3,
        "fine_tune_learning_rate": 1e-3,
        "weight_decay": 0.0,
        "balance": 0.0,
        "pseudo_share": None,
    },
    "relabel": {
        "gate": "paul-ganju",
        "batch_statistics": 0.0,
        "likelihood": 0.0,
        "calibrate": False,
        "acceptance": False,
    },
    "delineate": {"refine": "paul-ganju"},
}
