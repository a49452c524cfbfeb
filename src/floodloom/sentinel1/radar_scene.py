"""The calibrated scene in radar geometry, read from its measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed
from numpy.typing import NDArray
from rasterio.windows import Window

from floodloom.errors import InputError
from floodloom.files import part_beside, remove
from floodloom.raster.opener import open_tiff
from floodloom.raster.recipe import FLAG_ATTRS, Recipe
from floodloom.raster.store import stamp
from floodloom.raster.threads import threads_that_end
from floodloom.sentinel1.annotation import Annotation, parse_annotation
from floodloom.sentinel1.calibrate import EROSION, Calibration
from floodloom.sentinel1.geometry import ImageGeometry, image_geometry
from floodloom.sentinel1.noise import calibration_lut, parse_noise
from floodloom.sentinel1.orbit import find_orbit_file, fit_orbit, read_orbit_file
from floodloom.sentinel1.product import Measurement, Product
from floodloom.sentinel1.settings import FETCH, CalibrateSettings, OrbitSource

FLAGS = "flags"
"""Name of the flags layer; polarisations stand beside it."""
_STRIP = 1024  # lines that are worked on at once: 300 MB a thread, and shards of the store


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
        with threads_that_end():
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


_CLEAN_BORDERS_SINCE = (2, 90)


@dataclass(frozen=True)
class RadarScene:
    """What a product states of the polarisations that are asked for.

    Attributes
    ----------
    shape
        Lines and samples.
    tables
        What calibrates each polarisation.
    recipe
        How the backscatter is made.
    facts
        Attributes of the store.
    measurements
        Where the digital numbers of each polarisation are.
    """

    shape: tuple[int, int]
    tables: Mapping[str, Calibration]
    recipe: Recipe
    facts: Mapping[str, Any]
    measurements: Mapping[str, Any]


def read_radar_scene(product: Product, settings: CalibrateSettings) -> RadarScene:
    """Read all but the measurements of a product.

    Raises
    ------
    InputError
        If it lacks a polarisation or is damaged, or no orbit covers it.
    """
    bands = _bands(product, settings.polarisations)
    annotation = _annotation(product, bands[0])
    tables = {band: _tables(product, band, annotation.samples, settings) for band in bands}
    shape = annotation.lines, annotation.samples
    recipe = Recipe(
        quantity=settings.quantity,
        noise_removed=settings.remove_noise,
        spacing=annotation.range_pixel_spacing,
    )
    facts = _facts(product, annotation, settings.orbit)
    images = {band: product.measurement(band, shape) for band in bands}
    return RadarScene(shape, tables, recipe, facts, images)


def calibrated_scene(
    scene: RadarScene, images: Mapping[str, Any], settings: CalibrateSettings
) -> xr.Dataset:
    """Return the backscatter of a product, lazily.

    Parameters
    ----------
    scene
        What the product states.
    images
        Its measurements where they can be read from, see `measurement.unpacked`.
    settings
        How to calibrate.

    Returns
    -------
    Dataset
        (line, pixel) float32, linear power, by polarisation, with `flags`.
    """
    layers = calibrate_measurements(images, scene.tables, scene.shape, strip=_STRIP)
    described = {
        name: (("line", "pixel"), *_described(name, layer, settings.quantity))
        for name, layer in layers.items()
    }
    return stamp(xr.Dataset(described, attrs=scene.facts), scene.recipe)


def _facts(product: Product, annotation: Annotation, orbit: OrbitSource) -> dict[str, Any]:
    """Return the attributes of the store."""
    return {
        "title": f"{product.mission} {product.mode} {product.product_type}",
        "platform": product.mission,
        "instrument_mode": product.mode,
        "product_type": product.product_type,
        "acquisition_time": str(annotation.first_line_time),
        "relative_orbit": product.relative_orbit,
        "orbit_direction": product.orbit_direction,
        "ipf_version": "{}.{:02d}".format(*product.ipf_version),
        "geometry": _geometry(annotation, product, orbit).to_json(),
        "footprint": annotation.grid.footprint,
        "history": f"calibrated from {product.path.name}",
    }


def _bands(product: Product, polarisations: Sequence[str] | None) -> list[str]:
    """Resolve co and cross to what the product has."""
    have = product.polarisations
    if polarisations is None:
        return list(have)
    kinds = {"co": [b for b in have if b[0] == b[1]], "cross": [b for b in have if b[0] != b[1]]}
    found: list[str] = []
    for name in (polarisation.lower() for polarisation in polarisations):
        found += kinds.get(name, [name])
    if not found:
        raise InputError(
            f"{product.path}: no {', '.join(polarisations)} polarisation; it has "
            f"{', '.join(have)}: ask for these"
        )
    return list(dict.fromkeys(found))


def _annotation(product: Product, band: str) -> Annotation:
    return parse_annotation(product.xml("annotation", band), f"{product.path} {band}")


def _tables(product: Product, band: str, samples: int, settings: CalibrateSettings) -> Calibration:
    source = f"{product.path} {band}"
    noisy_border = product.ipf_version < _CLEAN_BORDERS_SINCE
    needed = settings.remove_noise or noisy_border
    return Calibration(
        samples,
        calibration_lut(product.xml("calibration", band), settings.quantity, source),
        parse_noise(product.xml("noise", band), source) if needed else None,
        settings.remove_noise,
        noisy_border,
    )


def _geometry(annotation: Annotation, product: Product, orbit: OrbitSource) -> ImageGeometry:
    if orbit is None:
        with _named(product.path):
            return image_geometry(annotation)
    if orbit == FETCH:
        raise InputError(
            f"orbit {FETCH}: a run fetches it; give the folder that `floodloom orbit` writes"
        )
    start, stop = annotation.first_line_time, annotation.last_line_time
    file = find_orbit_file(Path(orbit), product.mission, start, stop)
    states = read_orbit_file(file, start)
    with _named(file):
        return image_geometry(annotation, fit_orbit(*states, 0.0, annotation.duration))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the source of state vectors that don't fit."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _described(name: str, layer: da.Array, quantity: str) -> tuple[da.Array, dict[str, Any]]:
    if name == FLAGS:
        return layer, dict(FLAG_ATTRS)
    return layer, {"units": "1", "long_name": f"{name.upper()} {quantity}, linear power"}
