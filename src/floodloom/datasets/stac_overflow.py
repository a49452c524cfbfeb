"""STAC Overflow: the georeferenced chips of a competition of DrivenData.

The chips of its test set were never published. Those that were are split by floods, which the first
three letters of a chip's name stand for, so that no flood is on two sides.

Source: DrivenData and Microsoft AI for Earth (2021), STAC Overflow: Map Floodwater from Radar
Imagery, https://www.drivendata.org/competitions/81/detect-flood-water/
"""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

from floodloom.arrays import IGNORE
from floodloom.layouts import Layout, Part, scene_adapter
from floodloom.tiles.settings import Split

_SPLITS: tuple[Split, ...] = ("train", "validation", "train", "train", "test")


def split_by_flood(root: Path, name: str) -> Part:
    """Return the flood of a chip and its side, which doesn't depend on the other chips."""
    flood = name[:3]
    return Part(flood, _SPLITS[crc32(flood.encode()) % len(_SPLITS)])


DATASET = scene_adapter(
    Layout(
        title="STAC Overflow",
        published="https://www.drivendata.org/competitions/81/detect-flood-water/",
        bands={"vv": ("features/{name}_vv.tif", 1), "vh": ("features/{name}_vh.tif", 1)},
        label="labels/{name}.tif",
        unknown=(IGNORE,),
        part=split_by_flood,
    )
)
