"""What a file is and how it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from floodloom.errors import InputError
from floodloom.files import require_file
from floodloom.learning.checkpoint import read_metadata
from floodloom.raster.features import features_info
from floodloom.raster.opener import open_raster
from floodloom.raster.store import open_store
from floodloom.sentinel1.product import open_product
from floodloom.texts import printable


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
    table = Table(title=_cell(f"{title}: {path.name}"), show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        table.add_row(_cell(name), _cell(text))
    return table


def _cell(text: str) -> Text:
    """A text that means nothing to the terminal, nor to what draws the table."""
    return Text(printable(text))


def _store(path: Path) -> tuple[str, Mapping[str, Any]]:
    store = open_store(path)
    kind = "tile store" if "tile" in store.dims else "scene store"
    variables = {n: f"{v.dtype} {dict(v.sizes)}" for n, v in store.data_vars.items()}
    return kind, {"variables": variables, **store.attrs}


def _checkpoint(path: Path) -> tuple[str, Mapping[str, Any]]:
    return "checkpoint", read_metadata(path)


def _raster(path: Path) -> tuple[str, Mapping[str, Any]]:
    with open_raster(path, "raster") as raster:
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
    facts = features_info(path, "file of polygons")
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
