"""Labels on the grid of a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import IGNORE, Floats
from floodloom.errors import InputError
from floodloom.raster.foreign import ForeignRaster, Kind, count_bytes, open_foreign
from floodloom.raster.placing import Code, PlacedRows, require_no_mask, strips
from floodloom.raster.product import FLOOD_MAP, TRUTH, require_product
from floodloom.raster.rows import Rows, by_strips
from floodloom.tiles.label_files import holds_features

_LABELS = Kind("label raster", low=0, high=2, whole=True, unknown=(IGNORE,))


def labels_on_grid(path: str | Path, geobox: GeoBox) -> NDArray[np.uint8]:
    """Read labels onto a grid, of a raster by nearest neighbour.

    Parameters
    ----------
    path
        Raster of 0 dry, 1 permanent water, 2 flood; what is no class, or no data as the file
        declares it, is unknown. So is what a flood map of floodloom's excludes. Or points, lines
        and polygons with their classes, see `floodloom.tiles.sparse_labels.burn_sparse_labels`.
    geobox
        Grid of the scene. Without a CRS, the raster must have the same size.

    Returns
    -------
    ndarray
        (y, x) uint8, 255 = unknown, also outside the raster.

    Raises
    ------
    InputError
        If the raster can't be opened or placed, declares a class as no data, is another product of
        floodloom's, holds numbers but no class, or 0 and 255 alone without declaring what 255 is;
        or as `burn_sparse_labels`.
    """
    return open_labels(path, geobox)[0][:]


def open_labels(path: str | Path, geobox: GeoBox) -> tuple[Rows, NDArray[np.int64]]:
    """Open labels on a grid; parameters, labels and errors are those of `labels_on_grid`.

    Returns
    -------
    label
        (y, x) uint8, by rows.
    counts
        (256,) int64: how often each value occurs.
    """
    if holds_features(path):
        from floodloom.tiles.sparse_labels import burn_sparse_labels  # brings GeoPandas

        label = burn_sparse_labels(path, geobox)
        return label, count_bytes(label)
    raster = open_foreign(path, _LABELS)
    require_product(raster, (TRUTH, FLOOD_MAP), "labels, or a flood map")
    placed = _placed(raster, geobox, classes, (0, 1, 2))
    strips = by_strips(lambda start, stop: count_bytes(placed[start:stop]), placed.shape[0])
    counts: NDArray[np.int64] = sum((part for _, part in strips), np.zeros(256, dtype=np.int64))
    if counts[IGNORE] == counts.sum():
        _require_no_other(raster)
    require_declared(raster, counts)
    return placed, counts


def require_declared(raster: ForeignRaster, counts: NDArray[np.int64]) -> None:
    """Refuse labels that may be a mask whose 255 is water.

    Parameters
    ----------
    raster
        Where they come from.
    counts
        How often each value occurs in what was made of them, (256,) int64; 255 = unknown.

    Raises
    ------
    InputError
        If they hold 0 and 255 alone without declaring 255 as no data.
    """
    if counts[0] and counts[IGNORE] and not counts[1:IGNORE].any():
        require_no_mask(raster)


def _require_no_other(raster: ForeignRaster) -> None:
    """Refuse a raster that holds numbers, but not a single class."""
    example = math.nan
    for numbers in strips(raster):
        if (numbers[~raster.kind.impossible(numbers)] >= 0).any():
            return  # there are classes, but on other ground
        example = next(iter(numbers[np.isfinite(numbers)].tolist()), example)
    if not math.isnan(example):
        raise InputError(
            f"{raster.path}: no pixel is a class, they are such as {example:g}; give labels of 0 "
            "dry, 1 permanent water and 2 flood"
        )


def place_labels(
    raster: ForeignRaster, geobox: GeoBox, code: Code, known: Sequence[float]
) -> NDArray[np.uint8]:
    """Bring a raster of classes of any coding onto a grid by nearest neighbour.

    Parameters
    ----------
    raster
        Where they come from.
    geobox
        See `labels_on_grid`.
    code
        From its numbers, NaN = unknown, to (y, x) uint8 with 255 = unknown.
    known
        Its numbers that mean something.

    Raises
    ------
    InputError
        If the raster can't be placed, or declares a class as no data.
    """
    return _placed(raster, geobox, code, known)[:]


def _placed(
    raster: ForeignRaster, geobox: GeoBox, code: Code, known: Sequence[float]
) -> PlacedRows:
    """Place what `place_labels` reads."""
    if raster.nodata in known:
        raise InputError(
            f"{raster.path}: declares {raster.nodata:g}, which is a class, as no data; take that "
            "away (gdal_edit -unsetnodata) and let unknown be 255"
        )
    return PlacedRows(raster, _same_place(raster, geobox), code, nodata=IGNORE)


def classes(numbers: Floats) -> NDArray[np.uint8]:
    """Return numbers as classes: (y, x) uint8, NaN becomes 255."""
    return np.where(np.isnan(numbers), IGNORE, numbers).astype(np.uint8)


def _same_place(raster: ForeignRaster, geobox: GeoBox) -> GeoBox:
    """Return the grid to read on: the raster's own, where only sizes can be compared."""
    if geobox.crs is not None and raster.geobox.crs is not None:
        return geobox
    own, wanted = tuple(raster.geobox.shape.yx), tuple(geobox.shape.yx)
    if own != wanted:
        raise InputError(
            f"{raster.path}: {own} px without a CRS, but the scene is {wanted}; "
            "give labels of the scene's size or with a CRS"
        )
    return raster.geobox


def water_labels(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Merge permanent water and flood into water: 0 dry, 1 water, 255 unknown."""
    return np.where(label == IGNORE, IGNORE, label > 0).astype(np.uint8)
