"""A folder of your own: GeoTIFF chips in `vv` and `vh`, in decibel, and in `labels`."""

from __future__ import annotations

from floodloom.adapters import Layout, scene_adapter

DATASET = scene_adapter(
    Layout(
        title="GeoTIFF folder",
        published="a place of your own",
        bands={"vv": ("vv/{name}.tif", 1), "vh": ("vh/{name}.tif", 1)},
        label="labels/{name}.tif",
        water=(1, 2),
    )
)
