"""Methods of relabelling by name: the defaults that `relabel.preset` sets in all sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT = "pixel-gate"

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    DEFAULT: {},
    "paul-ganju": {
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
            "guard": False,
            "batch_statistics": 0.0,
        },
        "relabel": {
            "gate": "paul-ganju",
            "batch_statistics": 0.0,
            "likelihood": 0.0,
            "calibrate": False,
            "minimum_water_share": 0.0,
            "maximum_water_share": 1.0,
            "maximum_flips": 1.0,
            "maximum_iou_fall": 1.0,
            "minimum_iou": 0.0,
        },
        "delineate": {"refine": "paul-ganju"},
    },
    "unimatch": {
        "train": {
            "consistency": "unimatch",
            "average": 0.996,
            "batch_statistics": 0.0,
        },
        "relabel": {"gate": "none", "batch_statistics": 0.0, "likelihood": 0.0},
    },
    "mean-teacher": {
        "train": {
            "consistency": "mean-teacher",
            "average": 0.996,
            "batch_statistics": 0.0,
        },
        "relabel": {"gate": "none", "batch_statistics": 0.0, "likelihood": 0.0},
    },
    "image-level": {
        "run": {"rounds": 2},
        "train": {"batch_statistics": 0.0},
        "relabel": {"gate": "image-level", "batch_statistics": 0.0, "likelihood": 0.0},
    },
}
"""What each preset sets, by section and key; what isn't here keeps its own default."""


def with_preset(content: Any) -> Any:
    """Return a configuration's content with its preset's values where it sets none itself.

    Parameters
    ----------
    content
        The parsed YAML; what isn't a mapping, or names no known preset, is returned as it is, for
        validation to judge.
    """
    section = content.get("relabel") if isinstance(content, Mapping) else None
    name = section.get("preset", DEFAULT) if isinstance(section, Mapping) else DEFAULT
    if not isinstance(content, Mapping) or not isinstance(name, str) or name not in PRESETS:
        return content
    filled = dict(content)
    for key, values in PRESETS[name].items():
        own = filled.get(key)
        if own is None or isinstance(own, Mapping):
            filled[key] = {**values, **(own or {})}
    return filled
