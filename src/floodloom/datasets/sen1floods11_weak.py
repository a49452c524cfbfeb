"""Sen1Floods11 as its authors train on weak labels and score on hand-labelled ones.

Training chips have the labels that were derived from Sentinel-2 indices; those of Bolivia are left
out. Validation and test chips are the hand-labelled ones of the published split.

Source: Bonafilia et al. (2020), section 4; see `floodloom.datasets.sen1floods11`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from floodloom.adapters import SceneAdapter
from floodloom.datasets.sen1floods11 import HAND, HELD_OUT, hand_split
from floodloom.layouts import Part, chip_names, read_chip
from floodloom.tiles.overlay import LabelledScene

_CHIPS = "data/flood_events/WeaklyLabeled"
_WEAK = replace(
    HAND,
    bands={
        "vv": (f"{_CHIPS}/S1Weak/{{name}}_S1Weak.tif", 1),
        "vh": (f"{_CHIPS}/S1Weak/{{name}}_S1Weak.tif", 2),
    },
    label=f"{_CHIPS}/S2IndexLabelWeak/{{name}}_S2IndexLabelWeak.tif",
    part=lambda root, name: Part(split="train"),
)


def scene_names(root: Path) -> list[str]:
    """Return the weakly labelled chips to train on, and the hand-labelled ones to score on."""
    weak = [name for name in chip_names(root, _WEAK) if not name.startswith(HELD_OUT)]
    hand = [n for n in chip_names(root, HAND) if hand_split(root, n).split != "train"]
    return sorted({*weak, *hand})


def read_scene(root: Path, name: str) -> LabelledScene:
    """Read a chip, see `floodloom.layouts.read_chip`; a hand-labelled one where there is one."""
    by_hand = (root / HAND.bands["vv"][0].format(name=name)).exists()
    return read_chip(root, HAND if by_hand else _WEAK, name)


DATASET = SceneAdapter("Sen1Floods11, weak labels", HAND.published, scene_names, read_scene)
