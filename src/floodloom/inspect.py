"""Saying what a file is and how it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import rasterio
from rich.table import Table
from safetensors import SafetensorError, safe_open

from floodloom.errors import InputError
from floodloom.files import require_file
from floodloom.models.registry import describe as describe_models
from floodloom.raster.grid import quiet_about_georeference
from floodloom.raster.store import open_store
from floodloom.sentinel1.product import open_product


def models_table() -> Table:
    """Return the registry of architectures as a table."""
    rows = describe_models()
    table = Table(title="Architectures")
    for column in fields(rows[0]):
        table.add_column(column.name.replace("_", " "))
    for row in rows:
        values = astuple(row)
        table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in values))
    return table


def describe(path: Path) -> Table:
    """Return what is known of a file as a table of names and values.

    Raises
    ------
    InputError
        If it is missing, or of no kind that floodloom reads.
    """
    require_file(path, "file")
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise InputError(f"{path}: no kind of file that floodloom reads ({', '.join(_READERS)})")
    title, facts = _READERS[suffix](path)
    table = Table(title=f"{title}: {path.name}", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, value if isinstance(value, str) else json.dumps(value, default=str))
    return table


def _store(path: Path) -> tuple[str, Mapping[str, Any]]:
    store = open_store(path)
    kind = "tile store" if "tile" in store.dims else "scene store"
    variables = {n: f"{v.dtype} {dict(v.sizes)}" for n, v in store.data_vars.items()}
    return kind, {"variables": variables, **store.attrs}


def _checkpoint(path: Path) -> tuple[str, Mapping[str, Any]]:
    try:
        with safe_open(path, framework="numpy") as tensors:
            return "checkpoint", dict(tensors.metadata() or {})
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from error


def _raster(path: Path) -> tuple[str, Mapping[str, Any]]:
    with quiet_about_georeference(), rasterio.open(path) as raster:
        return "raster", {
            "size": f"{raster.width} x {raster.height} px, {raster.count} bands",
            "dtype": raster.dtypes[0],
            "nodata": raster.nodata,
            "crs": str(raster.crs),
            "bounds": list(raster.bounds),
            "bands": list(raster.descriptions),
            **raster.tags(),
        }


def _vectors(path: Path) -> tuple[str, Mapping[str, Any]]:
    import pyogrio

    facts = pyogrio.read_info(path)
    keep = ("layer_name", "crs", "geometry_type", "features", "fields", "total_bounds")
    return "vectors", {key: _plain(facts[key]) for key in keep}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _product(path: Path) -> tuple[str, Mapping[str, Any]]:
    product = open_product(path)
    return "Sentinel-1 product", {
        "mission": product.mission,
        "mode": product.mode,
        "product type": product.product_type,
        "polarisations": list(product.polarisations),
        "IPF version": product.ipf_version,
        "start": str(product.start_time),
        "orbit": f"{product.orbit_direction}, relative orbit {product.relative_orbit}",
    }


_READERS: dict[str, Callable[[Path], tuple[str, Mapping[str, Any]]]] = {
    ".zarr": _store,
    ".safetensors": _checkpoint,
    ".tif": _raster,
    ".tiff": _raster,
    ".gpkg": _vectors,
    ".safe": _product,
    ".zip": _product,
}
