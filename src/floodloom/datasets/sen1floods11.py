"""Sen1Floods11: hand-labelled georeferenced chips of eleven floods.

Source: Bonafilia et al. (2020), Sen1Floods11: a georeferenced dataset to train and test deep
learning flood algorithms for Sentinel-1, CVPR Workshops.
"""

from __future__ import annotations

from floodloom.adapters import Layout, scene_adapter

DATASET = scene_adapter(
    Layout(
        title="Sen1Floods11",
        published="https://github.com/cloudtostreet/Sen1Floods11",
        bands={"vv": ("S1Hand/{name}_S1Hand.tif", 1), "vh": ("S1Hand/{name}_S1Hand.tif", 2)},
        label="LabelHand/{name}_LabelHand.tif",
        unknown=(-1,),
    )
)
