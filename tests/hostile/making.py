"""Broken and hostile files, made of good ones."""

from __future__ import annotations

import json
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

Edit = Callable[[bytes], bytes | None]

ANNOTATION = "annotation/s1a*-vv-*.xml"
ANNOTATIONS = "annotation/s1a*.xml"
CALIBRATION = "annotation/calibration/calibration*-vv-*.xml"
NOISE = "annotation/calibration/noise*-vv-*.xml"
MEASUREMENT = "measurement/*-vv-*.tiff"
MANIFEST = "manifest.safe"


def swapped(pattern: str, new: str, count: int = 1) -> Edit:
    """Replace what a pattern finds, which must be there."""

    def edit(content: bytes) -> bytes:
        changed, found = re.subn(pattern.encode(), new.encode(), content, count=count, flags=re.S)
        assert found, pattern
        return changed

    return edit


def element(name: str, value: str, count: int = 1) -> Edit:
    """Replace the text of an XML element."""
    return swapped(rf"(<{name}(?: [^>]*)?>)[^<]*", rf"\g<1>{value}", count)


def edited(folder: Path, edits: Mapping[str, Edit | bytes]) -> Path:
    """Change files of a folder by their patterns; None removes one."""
    for pattern, edit in edits.items():
        files = sorted(folder.glob(pattern))
        assert files, pattern
        for file in files:
            content = edit if isinstance(edit, bytes) else edit(file.read_bytes())
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
    return folder


def zipped(folder: Path, target: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Put a folder into a zip, under its own name."""
    with zipfile.ZipFile(target, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
    return target


def geotiff(
    path: Path,
    numbers: Any,
    *,
    nodata: float | None = None,
    crs: str | None = "EPSG:32633",
    corner: tuple[float, float] = (450000.0, 5081000.0),
    spacing: float = 10.0,
    tags: Mapping[str, str] | None = None,
    **options: Any,
) -> Path:
    """Write an array (y, x) or (band, y, x) as a GeoTIFF."""
    bands = np.atleast_3d(np.asarray(numbers))
    bands = bands.transpose(2, 0, 1) if np.ndim(numbers) == 2 else np.asarray(numbers)
    place = Affine(spacing, 0, corner[0], 0, -spacing, corner[1])
    facts = {"height": bands.shape[1], "width": bands.shape[2], "count": len(bands)}
    facts |= {"dtype": bands.dtype, "nodata": nodata, "crs": crs, "transform": place}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", driver="GTiff", **facts, **options) as raster:
            raster.write(bands)
            if tags:  # without, the directory comes before the numbers
                raster.update_tags(**tags)
    return path


def empty_geotiff(
    path: Path, height: int, width: int, dtype: str = "uint8", **options: Any
) -> Path:
    """Write a GeoTIFF of which nothing but the directory is there: hardly a byte a pixel."""
    facts = {"height": height, "width": width, "count": 1, "dtype": dtype}
    facts |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True}
    facts |= {"BIGTIFF": "YES", "compress": "deflate", **options}
    place = Affine(10, 0, 450000, 0, -10, 5081000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", driver="GTiff", transform=place, **facts):
            pass
    return path


def like(source: Path, target: Path, change: Callable[[Any], Any], **options: Any) -> Path:
    """Write a raster's numbers, changed, on its own grid; options go to `geotiff`."""
    with rasterio.open(source) as raster:
        numbers = change(raster.read() if raster.count > 1 else raster.read(1))
        place = raster.transform
        facts = {"crs": str(raster.crs), "corner": (place.c, place.f), "spacing": place.a}
    return geotiff(target, numbers, **{**facts, **options})


def header(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file and the bytes behind it."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(path: Path, found: Mapping[str, Any], data: bytes) -> Path:
    """Write a safetensors file."""
    text = json.dumps(found).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def vrt(source: object, height: int = 80, width: int = 80, kind: str = "UInt16") -> str:
    """A raster that says where another one lies."""
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>450000,10,0,5081000,0,-10</GeoTransform>"
        f'<VRTRasterBand dataType="{kind}" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
