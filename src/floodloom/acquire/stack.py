"""Bands of an image that lie in files of their own, put together as one GeoTIFF."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from floodloom.errors import InputError
from floodloom.raster.cog import ACQUIRED
from floodloom.raster.opener import open_raster, quiet_about_georeference

_STRIP = 512


def tags_of(item: Mapping[str, Any]) -> dict[str, str]:
    """Return what an item of Sentinel-2 L2A states of its numbers, as tags that are read again.

    Parameters
    ----------
    item
        JSON of a STAC item.

    Returns
    -------
    dict
        When it was taken, the processing baseline, by which an offset of -1000 belongs to the
        numbers from 04.00 on, and that there is none where the catalogue has added it already.
    """
    stated = item.get("properties")
    stated = stated if isinstance(stated, Mapping) else {}
    found = {
        ACQUIRED: stated.get("datetime") or stated.get("start_datetime"),
        "PROCESSING_BASELINE": stated.get("s2:processing_baseline"),
        "BOA_ADD_OFFSET": 0 if stated.get("earthsearch:boa_offset_applied") is True else None,
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def stack_bands(bands: Mapping[str, Path], path: Path, tags: Mapping[str, str]) -> None:
    """Put bands together on the finest of their grids, each pixel as it is stored.

    Parameters
    ----------
    bands
        GeoTIFFs of one band and CRS by what it is called; 0 is no data, as in Sentinel-2.
    path
        GeoTIFF to write, uint16 unless a band needs more.
    tags
        What is stated of all.

    Raises
    ------
    InputError
        If one can't be read, or lies in another CRS.
    """
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(open_raster(file, "band of an image"))
            for name, file in bands.items()
        }
        finest = min(files.values(), key=lambda raster: abs(raster.transform.a))
        for name, raster in files.items():
            if raster.crs != finest.crs:
                raise InputError(f"{bands[name].name}: in another CRS than the other bands")
        profile = {
            "driver": "GTiff", "width": finest.width, "height": finest.height,
            "count": len(files), "dtype": np.result_type("uint16", *_dtypes(files)),
            "crs": finest.crs, "transform": finest.transform, "nodata": 0, "tiled": True,
            "compress": "deflate", "interleave": "band", "bigtiff": "if_safer",
        }  # fmt: skip
        with quiet_about_georeference(), rasterio.open(path, "w", **profile) as target:
            target.descriptions = tuple(files)
            target.update_tags(**tags)
            for row in range(0, target.height, _STRIP):
                window = Window(0, row, target.width, min(_STRIP, target.height - row))
                for number, raster in enumerate(files.values(), start=1):
                    target.write(_on(raster, target, window), number, window=window)


def _dtypes(files: Mapping[str, rasterio.DatasetReader]) -> list[str]:
    return [raster.dtypes[0] for raster in files.values()]


def _on(raster: rasterio.DatasetReader, target: Any, window: Window) -> Any:
    """Return a strip of a band on the target's grid by the nearest pixel."""
    values = np.zeros((int(window.height), int(window.width)), target.dtypes[0])
    reproject(
        rasterio.band(raster, 1), values, dst_transform=target.window_transform(window),
        dst_crs=target.crs, src_nodata=None, dst_nodata=0, resampling=Resampling.nearest,
        init_dest_nodata=True,
    )  # fmt: skip
    return values
