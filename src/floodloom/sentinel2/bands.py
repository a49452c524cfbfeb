"""Which band of an optical product is which, and what reflectance its numbers mean.

Source: Sentinel-2 Products Specification Document 14.9, section 4.3.2: quantification value, and
the radiometric offset that came with processing baseline 04.00 (25 January 2022).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError

CLOUD = "cloud"
"""Name of a band that is 1 under cloud or cloud shadow."""
SCENE_CLASSES = "scl"
"""Name of the scene classification of level 2A."""
SENTINEL2 = {
    "b01": "coastal", "b02": "blue", "b03": "green", "b04": "red", "b05": "red_edge_1",
    "b06": "red_edge_2", "b07": "red_edge_3", "b08": "nir", "b8a": "nir_narrow", "b09": "vapour",
    "b10": "cirrus", "b11": "swir", "b12": "swir_2",
}  # fmt: skip
"""Sentinel-2's bands by their number."""

_QUANTIFICATION, _OFFSET, _OFFSET_SINCE = 10_000.0, -1_000.0, 4.0
_SYNONYMS = {"swir1": "swir", "swir_1": "swir", "swir2": "swir_2", "nir08": "nir", "nir1": "nir"}


@dataclass(frozen=True)
class Scaling:
    """reflectance = (number + offset) / quantification; `nodata` numbers are no data."""

    quantification: float = 1.0
    offset: float = 0.0
    nodata: float | None = None

    def reflectance(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return reflectance, 0 and up, float32; NaN where there is no data."""
        scaled = np.maximum((numbers + self.offset) / self.quantification, 0)
        missing = ~np.isfinite(numbers)
        if self.nodata is not None:
            missing |= numbers == self.nodata
        return np.where(missing, np.nan, scaled).astype(np.float32)


def scaling_of(tags: Mapping[str, str], dtype: str) -> Scaling:
    """Return what the numbers of a product mean.

    Parameters
    ----------
    tags
        Metadata of the file. PROCESSING_BASELINE ("04.00" or "N0400") from 4 on adds the offset of
        -1000; BOA_ADD_OFFSET and QUANTIFICATION_VALUE win where they are written.
    dtype
        Type of the numbers. Floating-point numbers are reflectance already.

    Raises
    ------
    ValueError
        If a tag has a value that no product uses.
    """
    if np.issubdtype(np.dtype(dtype), np.floating):
        return Scaling()
    known = {name.upper(): value for name, value in tags.items()}
    offset = _OFFSET if _baseline(known.get("PROCESSING_BASELINE", "")) >= _OFFSET_SINCE else 0.0
    quantification = _number(known, "QUANTIFICATION_VALUE", _QUANTIFICATION)
    if quantification <= 0:
        raise ValueError(f"QUANTIFICATION_VALUE is {quantification:g}, but must be above 0")
    return Scaling(quantification, _number(known, "BOA_ADD_OFFSET", offset), nodata=0.0)


def _number(tags: Mapping[str, str], name: str, default: float) -> float:
    text = tags.get(name)
    try:
        found = default if text is None else float(text)
    except ValueError:
        found = np.nan
    if not np.isfinite(found):
        raise ValueError(f"{name} is {str(text)[:40]!r}, which is no number")
    return found


def _baseline(text: str) -> float:
    compact = re.fullmatch(r"N(\d\d)(\d\d)", text)
    if compact:
        return float(f"{compact[1]}.{compact[2]}")
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0


def band_name(description: str) -> str:
    """Return floodloom's name of a band: `green` for B03, b3 or Green."""
    name = description.strip().lower()
    number = re.fullmatch(r"b(\d)", name)
    name = f"b0{number[1]}" if number else name
    return SENTINEL2.get(name, _SYNONYMS.get(name, name))


def chosen_bands(have: Sequence[str], wanted: Sequence[str], path: str) -> tuple[str, ...]:
    """Return the reflectance bands to read, all there are if none is asked for.

    Raises
    ------
    InputError
        If one isn't there, or none at all.
    """
    spectral = tuple(name for name in have if name not in (CLOUD, SCENE_CLASSES))
    if not spectral:
        raise InputError(f"{path}: has no reflectance, only {', '.join(have)}; give the bands, too")
    missing = [name for name in wanted if name not in spectral]
    if missing:
        raise InputError(
            f"{path}: band {', '.join(missing)} is missing, it has {', '.join(spectral)}; give a "
            "product with that band or leave it out of `optical_bands`"
        )
    return tuple(wanted) or spectral
