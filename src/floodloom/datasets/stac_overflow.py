"""STAC Overflow: the georeferenced chips of a competition of DrivenData.

Source: DrivenData and Microsoft AI for Earth (2021), STAC Overflow: Map Floodwater from Radar
Imagery, https://www.drivendata.org/competitions/81/detect-flood-water/
"""

from __future__ import annotations

from floodloom.adapters import Layout, scene_adapter
from floodloom.arrays import IGNORE

DATASET = scene_adapter(
    Layout(
        title="STAC Overflow",
        published="https://www.drivendata.org/competitions/81/detect-flood-water/",
        bands={"vv": ("features/{name}_vv.tif", 1), "vh": ("features/{name}_vh.tif", 1)},
        label="labels/{name}.tif",
        unknown=(IGNORE,),
    )
)
