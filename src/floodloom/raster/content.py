"""What a raster is by its first bytes, without any library of rasters."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from floodloom.raster.hdf5 import SIGNATURE
from floodloom.raster.netcdf3 import CLASSIC

Format = Literal["geotiff", "vrt", "netcdf", "zarr"]

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF or BigTIFF begins."""

NETCDF = (*CLASSIC, SIGNATURE)
"""How a NetCDF file begins."""

VRT = b"<VRTDataset"
_GROUPS = ("zarr.json", ".zgroup")
_HEAD = 512


def format_of(path: Path) -> Format | None:
    """Return the format of a raster of others, None of what is none or can't be read."""
    if path.is_dir():
        return "zarr" if any((path / name).is_file() for name in _GROUPS) else None
    if not path.is_file():  # a pipe never ends
        return None
    try:
        with path.open("rb") as content:
            head = content.read(_HEAD)
    except OSError:
        return None
    if head.startswith(TIFF):
        return "geotiff"
    if head.startswith(NETCDF):
        return "netcdf"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_vrt = text.startswith(VRT) or (text.startswith(b"<?xml") and VRT in text)
    return "vrt" if is_vrt else None
