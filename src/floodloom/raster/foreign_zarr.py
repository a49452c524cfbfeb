"""Zarr stores of others: what lies in them, and where.

Source: Zarr v2 and v3 specifications; NetCDF Climate and Forecast Metadata Conventions 1.11,
sections 2.5.1 (missing data), 4.1, 4.2 (latitude and longitude) and 8.1 (packed data).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from odc.geo.geobox import GeoBox

from floodloom.arrays import Floats
from floodloom.errors import InputError, library_text
from floodloom.raster.chunks import DAMAGED
from floodloom.raster.foreign import FILL, Kind, is_one_of
from floodloom.raster.windows import Window, require_pixels

_METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_LARGEST_METADATA = 16 << 20  # bytes
_CODECS = {
    "bytes", "transpose", "sharding_indexed", "blosc", "gzip", "zlib", "zstd", "lz4", "bz2", "lzma",
    "shuffle", "delta", "fixedscaleoffset", "crc32", "crc32c", "adler32", "fletcher32",
    "vlen-utf8", "vlen-bytes",
}  # fmt: skip
"""Those that turn bytes into numbers and do nothing else; pickle runs what it finds."""
_MOST_BLOCK = 1 << 30  # bytes
_MOST_LAYERS = 64


@dataclass(frozen=True)
class ZarrRaster:
    """An image of a store: a variable, or one of the layers of it.

    Attributes are those of `floodloom.raster.foreign.ForeignRaster`; `variable` is its name, and
    `index` what is taken of each of its dimensions before y and x.
    """

    path: str
    variable: str
    kind: Kind
    geobox: GeoBox
    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    dtypes: tuple[str, ...]
    tags: Mapping[str, str] = field(repr=False)
    nodata: float | None
    block: tuple[int, int]
    index: tuple[int, ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    points: None = None

    def of_kind(self, kind: Kind) -> ZarrRaster:
        """Return the same raster, its numbers taken for those of another kind."""
        return replace(self, kind=kind)

    def is_scaled(self, band: int = 1) -> bool:
        """Whether the numbers aren't taken as they are stored."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def numbers(self, window: Window | None = None, band: int = 1) -> Floats:
        """Read a part; see `floodloom.raster.foreign.ForeignRaster.numbers`."""
        height, width = self.geobox.shape.yx
        window = window or Window(0, 0, height, width)
        require_pixels(window.height, window.width, self.path)
        try:
            array = zarr.open_array(Path(self.path) / self.variable, mode="r")
            place: tuple[int | slice, ...] = (*self.index, *window.slices)
            values = np.asarray(array[place])
        except DAMAGED as error:
            raise _unreadable(self.path, self.kind.what, error) from error
        scaled = values * np.float64(self.scale) + self.offset if self.is_scaled() else values
        numbers: Floats = scaled.astype(np.float32)
        fill = () if self.nodata is None else (self.nodata,)
        missing = is_one_of(values, (*self.kind.unknown, *fill))
        numbers[missing | ~(np.abs(numbers) < FILL)] = np.nan
        return numbers


def open_zarr(path: Path, kind: Kind) -> list[ZarrRaster]:
    """Open the images of a store.

    Parameters
    ----------
    path
        Folder of a Zarr group, version 2 or 3; groups in it aren't looked at.
    kind
        What its numbers are.

    Raises
    ------
    InputError
        If it can't be read, has links, or needs codecs that do more than decode numbers.
    """
    _require_plain(path)
    try:
        with xr.open_zarr(
            path, consolidated=False, chunks=None, mask_and_scale=False, decode_times=False,
            decode_coords="all",
        ) as store:  # fmt: skip
            # A store keeps its variables in no order.
            names = sorted(store.data_vars, key=str)
            return [raster for name in names for raster in _rasters(store, name, path, kind)]
    except DAMAGED as error:
        raise _unreadable(str(path), kind.what, error) from error


def _rasters(store: xr.Dataset, name: Any, path: Path, kind: Kind) -> Iterator[ZarrRaster]:
    variable = store[name]
    place = variable.odc.geobox if variable.ndim >= 2 and variable.dtype.kind in "fiu" else None
    if place is None or variable.shape[-2:] != tuple(place.shape.yx):
        return
    chunks = variable.encoding.get("shards") or variable.encoding.get("chunks") or variable.shape
    if math.prod(chunks) * variable.dtype.itemsize > _MOST_BLOCK:
        raise InputError(f"{path}: {name} is stored in chunks of {chunks}; make smaller ones")
    attributes = variable.attrs
    nodata = attributes.get("_FillValue", attributes.get("missing_value"))
    for index, label in _layers(variable):
        yield ZarrRaster(
            path=str(path),
            variable=str(name),
            kind=kind,
            geobox=place if place.crs is not None else _placed(place, store, variable),
            descriptions=(label,),
            units=(str(attributes["units"]) if "units" in attributes else None,),
            dtypes=(str(variable.dtype),),
            tags={str(key): str(value) for key, value in attributes.items()},
            nodata=None if nodata is None else float(np.ravel(nodata)[0]),
            block=(int(chunks[-2]), int(chunks[-1])),
            index=index,
            scale=float(attributes.get("scale_factor", 1.0)),
            offset=float(attributes.get("add_offset", 0.0)),
        )


def _layers(variable: xr.DataArray) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield where each image of a variable lies in it, and what it is called."""
    sizes = variable.shape[:-2]
    if math.prod(sizes) > _MOST_LAYERS:
        raise ValueError(f"{variable.name} holds {math.prod(sizes):,} images")
    for index in np.ndindex(*sizes):
        parts = [str(variable.name)]
        for dim, position, size in zip(variable.dims, index, sizes, strict=False):
            if size > 1:
                known = dim in variable.coords
                label = variable.coords[dim].values[position] if known else position
                parts.append(str(label) if isinstance(label, str) else f"{dim} {label}")
        yield index, " ".join(parts)


def _placed(place: GeoBox, store: xr.Dataset, variable: xr.DataArray) -> GeoBox:
    """Return a grid in degrees, if that is what the axes of a variable are."""
    units = [str(store[dim].attrs.get("units", "")) for dim in variable.dims[-2:] if dim in store]
    if units != ["degrees_north", "degrees_east"]:
        return place
    return GeoBox(place.shape, place.affine, "EPSG:4326")


def _require_plain(path: Path) -> None:
    """Refuse links, pipes and devices, and codecs that do more than decode numbers."""
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            entry = Path(folder, name)
            if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
                raise InputError(
                    f"{path}: {os.path.relpath(entry, path)} is a link or no file; copy what it "
                    "names into its place"
                )
        for name in set(files) & set(_METADATA):
            _require_known_codecs(Path(folder, name), path)


def _require_known_codecs(file: Path, path: Path) -> None:
    try:
        if file.stat().st_size > _LARGEST_METADATA:
            raise ValueError(f"{file.name} of more than {_LARGEST_METADATA / 1e6:.0f} MB")
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(str(path), "Zarr store", error) from error
    strange = sorted(set(_codecs(content)) - _CODECS)
    if strange:
        raise InputError(
            f"{path}: {file.parent.name} is stored by {strange[0][:40]!r}, which isn't read; write "
            "it with blosc, zstd or gzip"
        )


def _codecs(content: Any) -> Iterator[str]:
    """Yield the names of the codecs in the metadata of an array, however they are nested."""
    if not isinstance(content, dict):
        return
    found = [content.get("compressor")]
    for key in ("filters", "codecs", "index_codecs"):
        stated = content.get(key)
        found += stated if isinstance(stated, list) else [stated]
    for codec in filter(None, found):
        named = codec if isinstance(codec, dict) else {"name": str(codec)}
        yield str(named.get("name", named.get("id", ""))).removeprefix("numcodecs.")
        yield from _codecs(named.get("configuration"))


def _unreadable(path: str, what: str, error: Exception) -> InputError:
    reason = library_text(error, 200)
    return InputError(f"{path}: not a readable {what} ({reason}); write it again")
