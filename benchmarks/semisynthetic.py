"""Semi-synthetic products: real metadata, with measurements made by inverting the calibration.

The annotation, calibration and noise of a real product decide what digital numbers a known
backscatter would have given: DN = sqrt((sigma0 · A² + noise) · speckle).
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.ndimage import zoom

from floodloom.arrays import Doubles, Floats
from floodloom.raster.opener import quiet_about_georeference
from floodloom.sentinel1.annotation import Annotation, parse_annotation
from floodloom.sentinel1.calibrate import Calibration
from floodloom.sentinel1.noise import calibration_lut, parse_noise
from floodloom.sentinel1.product import Product, open_product

STRIP = 1024
"""Lines that are made at once."""
_LOOKS = 4.4

PowerOf = Callable[[int, Floats], Floats]


def write_product(source: Path, folder: Path) -> tuple[Path, Annotation]:
    """Unpack a product without measurements and write full-size measurements into it.

    Parameters
    ----------
    source
        Zip of a real product with complete metadata.
    folder
        Where the SAFE folder goes.

    Returns
    -------
    Path, Annotation
        The SAFE folder, and its annotation.
    """
    with zipfile.ZipFile(source) as archive:
        archive.extractall(folder)
    product = open_product(source)
    safe = folder / product.prefix.rstrip("/")
    for band in product.polarisations:
        annotation = parse_annotation(product.xml("annotation", band), source.name)
        draw = np.random.default_rng(len(band))
        surface = _surface(draw, annotation.samples, -9.0 if band[0] == band[1] else -16.0)
        speckle = draw.gamma(_LOOKS, 1 / _LOOKS, surface.shape).astype(np.float32)
        write_measurement(safe, product, band, partial(_power, surface, speckle))
    return safe, annotation


def _power(surface: Floats, speckle: Floats, first: int, floor: Floats) -> Floats:
    height = len(floor)
    rolled = np.roll(speckle, 577 * (first // STRIP), axis=1)[:height]
    power: Floats = (surface[:height] + floor) * rolled
    return power


def state_file(manifest: Path, file: Path) -> None:
    """Let a manifest state size and MD5 of the file that was made, instead of ESA's."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "md5").hexdigest()
    stated = rf'size="\d+">(\s*<fileLocation[^>]*/{re.escape(file.name)}"/>\s*<checksum[^>]*>)\w+'
    text = re.sub(stated, rf'size="{file.stat().st_size}">\g<1>{digest}', manifest.read_text())
    manifest.write_text(text)


def write_measurement(safe: Path, product: Product, band: str, power_of: PowerOf) -> None:
    """Write the measurement of one polarisation into a SAFE folder, and state it in the manifest.

    Parameters
    ----------
    safe
        SAFE folder with the metadata.
    product
        Product whose metadata they are.
    band
        Polarisation, such as vv.
    power_of
        Gives the speckled power of lines, sigma0 with the noise, for the first line and the
        noise-equivalent backscatter, both (line, pixel) float32, linear power.
    """
    annotation = parse_annotation(product.xml("annotation", band), str(product.path))
    lines, samples = annotation.lines, annotation.samples
    tables = Calibration(
        samples,
        calibration_lut(product.xml("calibration", band), "sigma0", band),
        parse_noise(product.xml("noise", band), band),
    )
    path = safe / "measurement" / Path(product.parts["annotation", band]).with_suffix(".tiff").name
    path.parent.mkdir(exist_ok=True)
    profile = {"driver": "GTiff", "height": lines, "width": samples, "count": 1, "dtype": "uint16"}
    blank = np.ones((STRIP, samples), dtype=np.uint16)
    with quiet_about_georeference(), rasterio.open(path, "w", blockysize=1, **profile) as raster:
        for first in range(0, lines, STRIP):
            height = min(STRIP, lines - first)
            unit, floor, _ = _unit(tables, blank[:height], first)
            power = power_of(first, floor) / unit
            dn = np.clip(np.rint(np.sqrt(power)), 1, 65535).astype(np.uint16)
            raster.write(dn, 1, window=((first, first + height), (0, samples)))
    state_file(safe / "manifest.safe", path)


def _unit(
    tables: Calibration, ones: NDArray[np.uint16], first: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Backscatter of one squared digital number, and the noise-equivalent backscatter."""
    raw = Calibration(tables.samples, tables.lut, tables.noise, remove_noise=False)
    return raw.calibrate(ones, first, with_noise=True)


def _surface(draw: np.random.Generator, samples: int, level_db: float) -> NDArray[np.float32]:
    """Fields and lakes as sigma0, (line, sample) float32, linear power."""
    coarse = draw.normal(level_db, 2.5, (STRIP // 32, samples // 32 + 1))
    coarse[draw.random(coarse.shape) < 0.1] = level_db - 12
    fine = zoom(coarse, 32, order=1)[:STRIP, :samples]
    return np.asarray(10 ** (fine / 10), dtype=np.float32)


def write_elevations(path: Path, annotation: Annotation, relief: float, share: float = 1.0) -> Path:
    """Write hills around the middle of an image, one arc second apart, heights above the ellipsoid.

    Parameters
    ----------
    path
        GeoTIFF to write.
    annotation
        Of the image.
    relief
        Greatest height above the lowest, m.
    share
        Share of the image's extent in each direction.
    """
    west, south, east, north = annotation.grid.footprint
    margin = 0.03 * (share == 1.0)
    width, height = (east - west) * share + 2 * margin, (north - south) * share + 2 * margin
    left = (west + east - width) / 2
    top = (south + north + height) / 2
    shape = round(height * 3600), round(width * 3600)
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]), sparse=True)
    elevation = hills(x, y, relief).astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=1, dtype="float32",
        crs=CRS.from_epsg(4326), transform=Affine(1 / 3600, 0, left, 0, -1 / 3600, top),
        tiled=True, compress="deflate", predictor=3,
    ) as raster:  # fmt: skip
        raster.write(elevation, 1)
    return path


def hills(x: Doubles, y: Doubles, relief: float) -> Doubles:
    """Return heights, 0 to `relief` m, of places in arc seconds east and south of a corner."""
    waves = np.sin(x / 61.0) * np.sin(y / 47.0) + 0.3 * np.sin(x / 13.0 + y / 17.0)
    height: Doubles = relief * (waves + 1.3) / 2.6
    return height
