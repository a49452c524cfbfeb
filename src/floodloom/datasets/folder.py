"""A folder of your own: GeoTIFF chips in `vv` and `vh`, in decibel, and their labels.

A label is a raster in `labels`, or outlines in any reference system (GeoPackage, FlatGeobuf,
GeoJSON, shapefile): of the flood in `labels`, of the area that was looked at in `areas`, and of
permanent water, if it is known, in `permanent`.
"""

from __future__ import annotations

from floodloom.layouts import Layout, scene_adapter

DATASET = scene_adapter(
    Layout(
        title="GeoTIFF folder",
        published="a place of your own",
        bands={"vv": ("vv/{name}.tif", 1), "vh": ("vh/{name}.tif", 1)},
        label="labels/{name}.tif",
        water=(1, 2),
        outlines=("labels", "areas", "permanent"),
    )
)
