"""Measurements read in strips of whole lines, and calibrated as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
from dask.base import compute
from dask.delayed import delayed
from numpy.typing import NDArray
from rasterio.windows import Window

from floodloom.errors import InputError
from floodloom.raster.opener import open_tiff
from floodloom.sentinel1.borders import EROSION
from floodloom.sentinel1.calibrate import Calibration
from floodloom.sentinel1.product import Measurement
from floodloom.temporaries import part_beside, remove

FLAGS = "flags"
"""Name of the flags layer; polarisations stand beside it."""


@contextmanager
def unpack(images: Mapping[str, Measurement], out: Path) -> Iterator[dict[str, Measurement]]:
    """Unpack the measurements that are compressed in a zip, where strips can't be read in place.

    Parameters
    ----------
    images
        Measurement of each polarisation.
    out
        The result, beside which they are unpacked and go again; what a kill leaves of them is
        removed with what it leaves of the result.

    Yields
    ------
    dict
        The measurements, all of which GDAL can open.

    Raises
    ------
    InputError
        If one is damaged or another one than the manifest states.
    """
    copies = {band: part_beside(out) for band, image in images.items() if image.place is None}
    if copies:
        out.parent.mkdir(parents=True, exist_ok=True)
    try:
        whole = [delayed(images[band].require_whole)(copy) for band, copy in copies.items()]
        compute(*whole)  # type: ignore[no-untyped-call]
        yield {
            band: replace(image, place=str(copies[band].absolute()), checked=True)
            if band in copies
            else image
            for band, image in images.items()
        }
    finally:
        for copy in copies.values():
            remove(copy)


def calibrate_measurements(
    images: Mapping[str, Measurement],
    calibrations: Mapping[str, Calibration],
    shape: tuple[int, int],
    *,
    strip: int,
) -> dict[str, da.Array]:
    """Calibrate the measurements of a product lazily; every strip is read once.

    Parameters
    ----------
    images
        Measurement of each polarisation, none of which has to be unpacked.
    calibrations
        Tables of each polarisation.
    shape
        Lines and samples that the annotation states.
    strip
        Lines that are read at once.

    Returns
    -------
    dict
        (line, pixel) dask arrays: the polarisations as float32 linear power, NaN = no data;
        `flags` uint8, the union over the polarisations.

    Raises
    ------
    InputError
        If a measurement can't be opened or has another size; when it is read, if it is damaged or
        another one than the manifest states.
    """
    for image in images.values():
        _require_size(image, shape)
    tables = delayed(dict(calibrations), traverse=False)
    # Only a whole strip shows whether it is damaged, which takes as long as a few of them.
    whole = [delayed(image.require_whole)() for image in images.values() if not image.checked]
    read = delayed(_calibrated_strip, nout=None)
    parts = []
    for first in range(0, shape[0], strip):
        last = min(first + strip, shape[0])
        strip_read = read(dict(images), tables, first, last, shape[0], whole)
        parts.append((last - first, strip_read))
        whole = []
    return {name: _stacked(parts, name, shape[1]) for name in (*images, FLAGS)}


def _stacked(parts: list[tuple[int, object]], name: str, samples: int) -> da.Array:
    dtype = np.uint8 if name == FLAGS else np.float32
    strips = [
        da.from_delayed(part[name], (lines, samples), dtype)  # type: ignore[index, no-untyped-call]
        for lines, part in parts
    ]
    stacked: da.Array = da.concatenate(strips)  # type: ignore[no-untyped-call]
    return stacked


def _calibrated_strip(
    images: Mapping[str, Measurement],
    calibrations: Mapping[str, Calibration],
    first: int,
    last: int,
    lines: int,
    checked: Sequence[None],
) -> dict[str, NDArray[np.generic]]:
    """Calibrate some lines, once what is `checked` has been."""
    top, bottom = max(first - EROSION, 0), min(last + EROSION, lines)
    inner = slice(first - top, last - top)
    layers: dict[str, NDArray[np.generic]] = {}
    flags: NDArray[np.uint8] | None = None
    for band, image in images.items():
        dn = _read(image, top, bottom)
        power, _, doubts = calibrations[band].calibrate(dn, top)
        layers[band] = power[inner]
        flags = doubts[inner] if flags is None else np.bitwise_or(flags, doubts[inner], out=flags)
    return layers if flags is None else {**layers, FLAGS: flags}


def _read(image: Measurement, top: int, bottom: int) -> NDArray[np.uint16]:
    try:
        with open_tiff(str(image.place), "measurement", str(image)) as raster:
            dn: NDArray[np.uint16] = raster.read(
                1, window=Window(0, top, raster.width, bottom - top)
            )
    except InputError as error:
        raise InputError(
            f"{image}: lines {top}..{bottom} can't be read ({error.__cause__ or error}); fetch the "
            "product again"
        ) from error
    return dn


def _require_size(image: Measurement, shape: tuple[int, int]) -> None:
    with open_tiff(str(image.place), "measurement", str(image)) as raster:
        found, dtype = (raster.height, raster.width), raster.dtypes[0]
        bands = raster.count
    if found != shape:
        raise InputError(f"{image}: {found} px but the annotation states {shape}; fetch it again")
    if bands != 1:
        raise InputError(f"{image}: {bands} bands, not 1; give a detected (GRD) product")
    if dtype != "uint16":
        raise InputError(f"{image}: {dtype} values, not uint16; give a detected (GRD) product")
