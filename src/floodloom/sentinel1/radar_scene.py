"""What a product states of itself, and its backscatter in radar geometry made of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from floodloom.errors import InputError
from floodloom.raster.flags import FLAG_ATTRS
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.sentinel1.annotation import Annotation, parse_annotation
from floodloom.sentinel1.calibrate import Calibration
from floodloom.sentinel1.geometry import ImageGeometry, image_geometry
from floodloom.sentinel1.lut import calibration_lut
from floodloom.sentinel1.measurement import FLAGS, calibrate_measurements
from floodloom.sentinel1.noise import parse_noise
from floodloom.sentinel1.orbit import fit_orbit
from floodloom.sentinel1.orbit_file import find_orbit_file, read_orbit_file
from floodloom.sentinel1.product import Product
from floodloom.sentinel1.settings import CalibrateSettings

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
    layers = calibrate_measurements(images, scene.tables, scene.shape, strip=settings.chunk)
    described = {
        name: (("line", "pixel"), *_described(name, layer, settings.quantity))
        for name, layer in layers.items()
    }
    return stamp(xr.Dataset(described, attrs=scene.facts), scene.recipe)


def _facts(product: Product, annotation: Annotation, orbit: Path | None) -> dict[str, Any]:
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


def _geometry(annotation: Annotation, product: Product, orbit: Path | None) -> ImageGeometry:
    if orbit is None:
        with _named(product.path):
            return image_geometry(annotation)
    duration = (annotation.lines - 1) * annotation.azimuth_time_interval
    start = annotation.first_line_time
    stop = start + np.timedelta64(round(duration * 1e9), "ns")
    file = find_orbit_file(Path(orbit), product.mission, start, stop)
    states = read_orbit_file(file, start)
    with _named(file):
        return image_geometry(annotation, fit_orbit(*states, 0.0, duration))


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
