"""A SAFE product → backscatter in radar geometry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import dask.array as da
import xarray as xr

from floodloom.errors import InputError
from floodloom.raster.flags import FLAG_ATTRS
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.sentinel1.annotation import Annotation, parse_annotation
from floodloom.sentinel1.calibrate import Calibration, calibrate_measurement
from floodloom.sentinel1.geometry import image_geometry
from floodloom.sentinel1.lut import Coefficient, calibration_lut
from floodloom.sentinel1.noise import parse_noise
from floodloom.sentinel1.product import Product, open_product


def calibrate(
    *,
    safe: Path,
    out: Path,
    quantity: str = "gamma0",
    polarisations: Sequence[str] = ("vv", "vh"),
    remove_noise: bool = True,
) -> Path:
    """Calibrate a ground range product and remove its thermal noise.

    Parameters
    ----------
    safe
        SAFE folder or its zip.
    out
        Calibrated store to write (.zarr), in lines and pixels of the product.
    quantity
        beta0, sigma0 or gamma0.
    polarisations
        Polarisations to calibrate.
    remove_noise
        Subtract the thermal noise.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the product is damaged, incomplete or of another kind.
    """
    coefficient = _coefficient(quantity)
    product = open_product(safe)
    bands = [band.lower() for band in polarisations]
    annotation = _annotation(product, bands[0])
    shape = (annotation.lines, annotation.samples)
    variables = {}
    flags: da.Array | None = None
    for band in bands:
        tables = _tables(product, band, coefficient, remove_noise)
        power, doubts = calibrate_measurement(product.measurement(band), tables, shape)
        attributes = {"units": "1", "long_name": f"{band.upper()} {quantity}, linear power"}
        variables[band] = (("line", "pixel"), power, attributes)
        flags = doubts if flags is None else flags | doubts
    scene = xr.Dataset(
        {**variables, "flags": (("line", "pixel"), flags, FLAG_ATTRS)},
        attrs={
            "title": f"{product.mission} {product.mode} {product.product_type}",
            "platform": product.mission,
            "acquisition_time": str(annotation.first_line_time),
            "relative_orbit": product.relative_orbit,
            "orbit_direction": product.orbit_direction,
            "ipf_version": "{}.{:02d}".format(*product.ipf_version),
            "geometry": image_geometry(annotation).to_json(),
            "history": f"calibrated from {Path(safe).name}",
        },
    )
    recipe = Recipe(
        quantity=coefficient, noise_removed=remove_noise, spacing=annotation.range_pixel_spacing
    )
    return write_store(stamp(scene, recipe), out)


def _coefficient(quantity: str) -> Coefficient:
    known: tuple[Coefficient, ...] = get_args(Coefficient)
    for coefficient in known:
        if quantity == coefficient:
            return coefficient
    raise InputError(f"quantity {quantity!r} must be {', '.join(known[:-1])} or {known[-1]}")


def _annotation(product: Product, band: str) -> Annotation:
    return parse_annotation(product.xml("annotation", band), f"{product.path} {band}")


def _tables(product: Product, band: str, quantity: Coefficient, remove_noise: bool) -> Calibration:
    source = f"{product.path} {band}"
    lut = calibration_lut(product.xml("calibration", band), quantity, source)
    noise = parse_noise(product.xml("noise", band), source) if remove_noise else None
    return Calibration(lut, noise)
