"""What the CF conventions ask of a dataset beside its values."""

from __future__ import annotations

from typing import Any

import xarray as xr
from pyproj import CRS

CONVENTIONS = "CF-1.11"
"""Version that stores follow (Eaton et al., NetCDF Climate and Forecast Metadata Conventions)."""

_PLAIN = {"x": "column of the pixel grid", "y": "row of the pixel grid"}
_GRID_MAPPING = "spatial_ref"


def follow_conventions(dataset: xr.Dataset) -> None:
    """State of a dataset, in place, which conventions it follows and what its axes are.

    Parameters
    ----------
    dataset
        With a grid mapping in `spatial_ref`, its `x` and `y` are coordinates of that reference
        system; without, columns and rows.
    """
    dataset.attrs["Conventions"] = CONVENTIONS
    axes = _axes(dataset)
    for name, attributes in axes.items():
        if name in dataset.variables and dataset[name].dims == (name,):
            dataset[name].attrs.update(attributes)
    if _GRID_MAPPING in dataset.variables:
        dataset[_GRID_MAPPING].attrs.setdefault("long_name", "coordinate reference system")


def _axes(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Attributes of the axes by name (CF 1.11, section 5.6)."""
    if _GRID_MAPPING not in dataset.variables:
        return {name: {"long_name": text, "units": "1"} for name, text in _PLAIN.items()}
    known = CRS.from_wkt(dataset[_GRID_MAPPING].attrs["crs_wkt"]).cs_to_cf()
    return {str(axis["axis"]).lower(): axis for axis in known}
