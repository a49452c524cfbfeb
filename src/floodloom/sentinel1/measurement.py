"""Measurements read in strips of whole lines, and calibrated as they are read."""

from __future__ import annotations

from collections.abc import Mapping

import dask.array as da
import numpy as np
import rasterio
from dask.delayed import delayed
from numpy.typing import NDArray
from rasterio.windows import Window

from floodloom.errors import InputError
from floodloom.raster.grid import quiet_about_georeference
from floodloom.sentinel1.borders import EROSION
from floodloom.sentinel1.calibrate import Calibration

FLAGS = "flags"
"""Name of the flags layer; polarisations and their noise stand beside it."""


def noise_layer(band: str) -> str:
    """Return the name of the noise-equivalent backscatter of a polarisation."""
    return f"{band}_noise"


def calibrate_measurements(
    paths: Mapping[str, str],
    calibrations: Mapping[str, Calibration],
    shape: tuple[int, int],
    *,
    strip: int,
    with_noise: bool = False,
) -> dict[str, da.Array]:
    """Calibrate the measurements of a product lazily; every strip is read once.

    Parameters
    ----------
    paths
        Measurement of each polarisation, as GDAL opens it.
    calibrations
        Tables of each polarisation.
    shape
        Lines and samples that the annotation states.
    strip
        Lines that are read at once.
    with_noise
        Give the noise-equivalent backscatter, too.

    Returns
    -------
    dict
        (line, pixel) dask arrays: the polarisations as float32 linear power, NaN = no data;
        `flags` uint8, the union over the polarisations; with noise, `<polarisation>_noise` float32.

    Raises
    ------
    InputError
        If a measurement can't be opened or has another size.
    """
    for path in paths.values():
        _require_size(path, shape)
    tables = delayed(dict(calibrations), traverse=False)
    read = delayed(_calibrated_strip, nout=None)
    parts = []
    for first in range(0, shape[0], strip):
        last = min(first + strip, shape[0])
        parts.append((last - first, read(dict(paths), tables, first, last, shape[0], with_noise)))
    names = [*paths, FLAGS, *(noise_layer(band) for band in paths if with_noise)]
    return {name: _stacked(parts, name, shape[1]) for name in names}


def _stacked(parts: list[tuple[int, object]], name: str, samples: int) -> da.Array:
    dtype = np.uint8 if name == FLAGS else np.float32
    strips = [
        da.from_delayed(part[name], (lines, samples), dtype)  # type: ignore[index, no-untyped-call]
        for lines, part in parts
    ]
    stacked: da.Array = da.concatenate(strips)  # type: ignore[no-untyped-call]
    return stacked


def _calibrated_strip(
    paths: Mapping[str, str],
    calibrations: Mapping[str, Calibration],
    first: int,
    last: int,
    lines: int,
    with_noise: bool,
) -> dict[str, NDArray[np.generic]]:
    top, bottom = max(first - EROSION, 0), min(last + EROSION, lines)
    inner = slice(first - top, last - top)
    layers: dict[str, NDArray[np.generic]] = {}
    flags: NDArray[np.uint8] | None = None
    for band, path in paths.items():
        dn = _read(path, top, bottom)
        power, noise, doubts = calibrations[band].calibrated(dn, top, with_noise=with_noise)
        layers[band] = power[inner]
        flags = doubts[inner] if flags is None else np.bitwise_or(flags, doubts[inner], out=flags)
        if with_noise:
            layers[noise_layer(band)] = noise[inner]
    return layers if flags is None else {**layers, FLAGS: flags}


def _read(path: str, top: int, bottom: int) -> NDArray[np.uint16]:
    try:
        with quiet_about_georeference(), rasterio.open(path) as raster:
            dn: NDArray[np.uint16] = raster.read(
                1, window=Window(0, top, raster.width, bottom - top)
            )
    except rasterio.errors.RasterioIOError as error:
        raise InputError(
            f"{path}: lines {top}..{bottom} can't be read ({error}); fetch the product again"
        ) from error
    return dn


def _require_size(path: str, shape: tuple[int, int]) -> None:
    try:
        with quiet_about_georeference(), rasterio.open(path) as raster:
            found, dtype = (raster.height, raster.width), raster.dtypes[0]
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable measurement ({error}); fetch it again") from error
    if found != shape:
        raise InputError(f"{path}: {found} px but the annotation states {shape}; fetch it again")
    if dtype != "uint16":
        raise InputError(f"{path}: {dtype} values, not uint16; give a detected (GRD) product")
