"""Sen1Floods11: hand-labelled georeferenced chips of eleven floods, split as published.

Its root is the folder `v1.1` of the authors' bucket. Bolivia is a flood that no chip of another
split shows; its scores stand apart, under its name.

Source: Bonafilia et al. (2020), Sen1Floods11: a georeferenced dataset to train and test deep
learning flood algorithms for Sentinel-1, CVPR Workshops.
"""

from __future__ import annotations

import csv
from pathlib import Path

from floodloom.adapters import require_root
from floodloom.errors import InputError
from floodloom.files import regular_file
from floodloom.layouts import Layout, Part, scene_adapter
from floodloom.tiles.settings import Split

TITLE = "Sen1Floods11"
PUBLISHED = "https://github.com/cloudtostreet/Sen1Floods11"
HELD_OUT = "Bolivia"
_CHIPS = "data/flood_events/HandLabeled"
_TABLES = "splits/flood_handlabeled"
_SPLITS: dict[str, Split] = {
    "train": "train",
    "valid": "validation",
    "test": "test",
    HELD_OUT.lower(): "test",
}


def hand_split(root: Path, name: str) -> Part:
    """Return the part of a hand-labelled chip by the tables beside the chips.

    Raises
    ------
    InputError
        If a table is missing or none lists the chip.
    """
    tables = require_root(root, _TABLES, TITLE, PUBLISHED) / _TABLES
    for table, split in _SPLITS.items():
        path = regular_file(tables / f"flood_{table}_data.csv", "table of a split")
        with path.open(encoding="utf-8-sig", newline="") as lines:
            if f"{name}_S1Hand.tif" in {row[0].strip() for row in csv.reader(lines) if row}:
                return Part(HELD_OUT if table == HELD_OUT.lower() else "", split)
    raise InputError(f"{tables}: no table lists chip {name}; fetch the tables again")


HAND = Layout(
    title=TITLE,
    published=PUBLISHED,
    bands={
        "vv": (f"{_CHIPS}/S1Hand/{{name}}_S1Hand.tif", 1),
        "vh": (f"{_CHIPS}/S1Hand/{{name}}_S1Hand.tif", 2),
    },
    label=f"{_CHIPS}/LabelHand/{{name}}_LabelHand.tif",
    unknown=(-1,),
    part=hand_split,
)
DATASET = scene_adapter(HAND)
