"""Semi-synthetic products: real metadata, with measurements made by inverting the calibration.

The annotation, calibration and noise of a real product decide what digital numbers a known
backscatter would have given: DN = sqrt((sigma0 · A² + noise) · speckle).
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.ndimage import zoom

from floodloom.raster.opener import quiet_about_georeference
from floodloom.sentinel1.annotation import Annotation, parse_annotation
from floodloom.sentinel1.calibrate import Calibration
from floodloom.sentinel1.noise import calibration_lut, parse_noise
from floodloom.sentinel1.product import open_product

_STRIP = 1024
_LOOKS = 4.4


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
        name = Path(product.parts["annotation", band]).with_suffix(".tiff").name
        (safe / "measurement").mkdir(exist_ok=True)
        tables = Calibration(
            annotation.samples,
            calibration_lut(product.xml("calibration", band), "sigma0", band),
            parse_noise(product.xml("noise", band), band),
        )
        _write_measurement(safe / "measurement" / name, tables, annotation, band)
        _state(safe / "manifest.safe", safe / "measurement" / name)
    return safe, annotation


def _state(manifest: Path, file: Path) -> None:
    """Let a manifest state size and MD5 of the file that was made, instead of ESA's."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "md5").hexdigest()
    stated = rf'size="\d+">(\s*<fileLocation[^>]*/{re.escape(file.name)}"/>\s*<checksum[^>]*>)\w+'
    text = re.sub(stated, rf'size="{file.stat().st_size}">\g<1>{digest}', manifest.read_text())
    manifest.write_text(text)


def _write_measurement(path: Path, tables: Calibration, annotation: Annotation, band: str) -> None:
    lines, samples = annotation.lines, annotation.samples
    draw = np.random.default_rng(len(band))
    surface = _surface(draw, samples, -9.0 if band[0] == band[1] else -16.0)
    speckle = draw.gamma(_LOOKS, 1 / _LOOKS, surface.shape).astype(np.float32)
    profile = {"driver": "GTiff", "height": lines, "width": samples, "count": 1, "dtype": "uint16"}
    blank = np.ones((_STRIP, samples), dtype=np.uint16)
    with quiet_about_georeference(), rasterio.open(path, "w", blockysize=1, **profile) as raster:
        for first in range(0, lines, _STRIP):
            height = min(_STRIP, lines - first)
            unit, floor, _ = _unit(tables, blank[:height], first)
            rolled = np.roll(speckle, 577 * (first // _STRIP), axis=1)[:height]
            power = (surface[:height] + floor) * rolled / unit
            dn = np.clip(np.rint(np.sqrt(power)), 1, 65535).astype(np.uint16)
            raster.write(dn, 1, window=((first, first + height), (0, samples)))


def _unit(
    tables: Calibration, ones: NDArray[np.uint16], first: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Backscatter of one squared digital number, and the noise-equivalent backscatter."""
    raw = Calibration(tables.samples, tables.lut, tables.noise, remove_noise=False)
    return raw.calibrate(ones, first, with_noise=True)


def _surface(draw: np.random.Generator, samples: int, level_db: float) -> NDArray[np.float32]:
    """Fields and lakes as sigma0, (line, sample) float32, linear power."""
    coarse = draw.normal(level_db, 2.5, (_STRIP // 32, samples // 32 + 1))
    coarse[draw.random(coarse.shape) < 0.1] = level_db - 12
    fine = zoom(coarse, 32, order=1)[:_STRIP, :samples]
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
    hills = np.sin(x / 61.0) * np.sin(y / 47.0) + 0.3 * np.sin(x / 13.0 + y / 17.0)
    elevation = (relief * (hills + 1.3) / 2.6).astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=1, dtype="float32",
        crs=CRS.from_epsg(4326), transform=Affine(1 / 3600, 0, left, 0, -1 / 3600, top),
        tiled=True, compress="deflate", predictor=3,
    ) as raster:  # fmt: skip
        raster.write(elevation, 1)
    return path
