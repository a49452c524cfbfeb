"""The published recipe of Paul and Ganju (2021), arXiv 2107.08369, as the authors' code has it.

No calibration and no limits; U-Net alone is fine-tuned, and joins the networks that were first.
"""

from __future__ import annotations

from floodloom.learning.relabelling.presets import Preset

preset: Preset = {
    "run": {"models": ["unet", "unetplusplus"], "rounds": 2, "fine_tuned": ["unet"]},
    "tile": {"bands": ["vv", "vh", "one_minus_ratio"]},
    "train": {
        "arguments": {"encoder": "mobilenet_v2"},
        "loss": "dice",
        "epochs": 15,
        "fine_tune_epochs": 20,
        "learning_rate": 1e-3,
        "fine_tune_learning_rate": 1e-3,
        "weight_decay": 0.0,
        "schedule": "constant",
        "monitor": "epoch",
        "balance": "presence",
        "consistency": "joint",
        "speckle_looks": None,
        "offset_db": 0.0,
        "elastic": 0.4,
    },
    "relabel": {
        "gate": "paul-ganju",
        "batch_statistics": 0.0,
        "likelihood": 0.0,
        "priors": "none",
        "calibrate": False,
        "acceptance": False,
    },
    "predict": {"tta": True},
    "delineate": {"refine": "paul-ganju"},
}
