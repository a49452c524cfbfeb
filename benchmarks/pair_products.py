"""Two semi-synthetic products of one place, before and during a flood, and its elevations.

The metadata are those of a real product, cut to a part of the image where a part is asked for; the
earlier date has the same orbit one repeat cycle before. Valleys hold water: little before the
flood, more during it.
"""

from __future__ import annotations

import shutil
import tempfile
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from scipy.interpolate import RegularGridInterpolator

from benchmarks.semisynthetic import (
    STRIP,
    hills,
    state_file,
    write_elevations,
    write_measurement,
)
from floodloom.arrays import Floats, Mask
from floodloom.sentinel1.annotation import Annotation, parse_annotation
from floodloom.sentinel1.product import Product, open_product
from floodloom.simulate.speckle import speckle

RELIEF_M = 1000.0
REPEAT_DAYS = 12
_ORBITS = 175  # until the ground track repeats itself
_WATER = {"before": 0.05, "after": 0.15}
"""Share of the ground that water covers."""
_LEVEL_DB = {"vv": -9.0, "vh": -16.0}
_DARKER = np.float32(10)  # times, water than land
_FIELD = 32  # px
_NODE = 16  # px between places where heights are known
_ROUGH_M = 30.0  # of the ground, between nodes of the hills
_SPECKLE_SIDE = 4096
_POINTS = "geolocationGrid/geolocationGridPointList/geolocationGridPoint"


@dataclass(frozen=True)
class PairFiles:
    """Both SAFE folders, and the elevations above the ellipsoid on a grid in degrees."""

    before: Path
    after: Path
    dem: Path


def write_pair(source: Path, folder: Path, parts: int = 1) -> PairFiles:
    """Write both products and the elevations, or what is still missing of them.

    Parameters
    ----------
    source
        Zip of a real product with complete metadata.
    folder
        Folder to write into.
    parts
        How many times fewer lines and samples than the real image has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dem = folder / "dem.tif"
    safes = {role: folder / _renamed(f"{source.stem}.SAFE", source, role) for role in _WATER}
    with tempfile.TemporaryDirectory(dir=folder, prefix="part-") as name:
        for role, safe in safes.items():
            if safe.exists() and dem.exists():
                continue
            made = _write_metadata(source, Path(name) / role, role, parts)
            product = open_product(made)
            annotation = parse_annotation(product.xml("annotation", "vv"), str(made))
            if not dem.exists():
                write_elevations(Path(name) / dem.name, annotation, RELIEF_M).rename(dem)
            _write_images(product, annotation, dem, role)
            shutil.rmtree(safe, ignore_errors=True)
            made.rename(safe)
    return PairFiles(safes["before"], safes["after"], dem)


def _renamed(text: str, source: Path, role: str) -> str:
    """Return a text of the product as that of a date states it: its day, and its orbit in names."""
    if role == "after":
        return text
    start, orbit = source.stem.split("_")[4], source.stem.split("_")[6]
    day = np.datetime64(f"{start[:4]}-{start[4:6]}-{start[6:8]}")
    earlier = str(day - REPEAT_DAYS)
    text = text.replace(str(day), earlier)
    text = text.replace(start[:8], earlier.replace("-", ""))
    return text.replace(orbit, f"{int(orbit) - _ORBITS:06d}")


def _write_metadata(source: Path, folder: Path, role: str, parts: int) -> Path:
    with zipfile.ZipFile(source) as archive:
        archive.extractall(folder)
    safe = folder / f"{source.stem}.SAFE"
    manifest = safe / "manifest.safe"
    manifest.write_text(_renamed(manifest.read_text(), source, role))
    for path in sorted((safe / "annotation").rglob("*.xml")):
        text = _renamed(path.read_text(), source, role)
        if path.parent.name == "annotation" and parts > 1:
            text = _cut(text, parts)
        path.unlink()
        file = path.with_name(_renamed(path.name, source, role))
        file.write_text(text)
        state_file(manifest, file)
    return safe


def _cut(annotation: str, parts: int) -> str:
    """Return an annotation of the first lines and samples alone."""
    root = ET.fromstring(annotation)
    size = []
    for name in ("numberOfLines", "numberOfSamples"):
        element = root.find(f"imageAnnotation/imageInformation/{name}")
        size.append(int(element.text or "") // parts)  # type: ignore[union-attr]
        element.text = str(size[-1])  # type: ignore[union-attr]
    points = root.findall(_POINTS)
    values = {
        child.tag: [_number(point.findtext(child.tag)) for point in points] for child in points[0]
    }
    axes = np.unique(values["line"]), np.unique(values["pixel"])
    shape = len(axes[0]), len(axes[1])
    # As many tie points as before, between those of the whole image.
    nearer = [np.linspace(0, count - 1, n).round() for count, n in zip(size, shape, strict=True)]
    line, pixel = np.meshgrid(*nearer, indexing="ij")
    for tag, value in values.items():
        table = np.reshape(value, shape)
        found = RegularGridInterpolator(axes, table - table[0, 0])((line, pixel)).ravel()
        for point, shift in zip(points, found, strict=True):
            point.find(tag).text = _text(tag, table[0, 0], shift)  # type: ignore[union-attr]
    return ET.tostring(root, encoding="unicode")


def _number(text: str | None) -> float:
    """Return a number, or microseconds of a time."""
    text = text or ""
    return float(np.datetime64(text, "us").astype(np.int64)) if "T" in text else float(text)


def _text(tag: str, first: float, shift: float) -> str:
    if tag == "azimuthTime":
        return str(np.datetime64(int(first) + round(shift), "us"))
    return str(round(first + shift)) if tag in ("line", "pixel") else repr(float(first + shift))


def _write_images(product: Product, annotation: Annotation, dem: Path, role: str) -> None:
    seed = list(_WATER).index(role)
    ground = _heights(annotation, dem)
    level = float(np.quantile(ground, _WATER[role]))
    for number, (band, land_db) in enumerate(_LEVEL_DB.items()):
        # The land is the same on both dates, the speckle isn't.
        scene = _Scene(ground, level, _land(annotation.samples, land_db, number))
        draw = np.random.default_rng([seed, number])
        side = min(_SPECKLE_SIDE, annotation.samples)
        grains = speckle(draw, side, 10.0, 0.0, order=0)
        write_measurement(product.path, product, band, partial(_power, scene, grains))


@dataclass(frozen=True)
class _Scene:
    """Heights at nodes (m), the water's level (m), and the backscatter of a strip of land."""

    ground: Floats
    level: float
    land: Floats


def _heights(annotation: Annotation, dem: Path) -> Floats:
    """Heights of the ground (m) at every `_NODE`th line and sample."""
    with rasterio.open(dem) as raster:
        left, top = raster.transform.c, raster.transform.f
    grid = annotation.grid
    axes = np.unique(grid.line), np.unique(grid.pixel)
    shape = len(axes[0]), len(axes[1])
    rows, cols = (
        np.minimum(np.arange(0, size + _NODE, _NODE), axis[-1])
        for size, axis in zip((annotation.lines, annotation.samples), axes, strict=True)
    )
    nodes = np.meshgrid(rows, cols, indexing="ij")
    longitude, latitude = (
        RegularGridInterpolator(axes, value.reshape(shape))(tuple(nodes))
        for value in (grid.longitude, grid.latitude)
    )
    height = hills((longitude - left) * 3600, (top - latitude) * 3600, RELIEF_M)
    return np.asarray(height, np.float32)


def _land(samples: int, level_db: float, seed: int) -> Floats:
    """Backscatter of fields, (line of a strip, sample) float32, linear power."""
    draw = np.random.default_rng(seed)
    nodes = draw.normal(level_db, 2.5, (STRIP // _FIELD + 1, samples // _FIELD + 2))
    finer: Floats = 10 ** (_finer(nodes.astype(np.float32), _FIELD, (STRIP, samples)) / 10)
    return finer


def _finer(nodes: Floats, step: int, shape: Sequence[int]) -> Floats:
    """Interpolate between nodes that are `step` apart, first along columns, then along rows."""
    next_one = np.arange(step, dtype=np.float32) / step
    for _ in range(2):
        first, second = nodes[:-1, np.newaxis], nodes[1:, np.newaxis]
        weight = next_one[:, np.newaxis]
        between = first + (second - first) * weight
        nodes = between.reshape(-1, nodes.shape[1]).T
    return nodes[: shape[0], : shape[1]]


def _power(scene: _Scene, grains: Floats, first: int, floor: Floats) -> Floats:
    """Return the speckled power of lines from `first` on."""
    height, samples = floor.shape
    land = scene.land[:height]
    power = np.where(_is_water(scene, first, (height, samples)), land / _DARKER, land)
    row, col = np.random.default_rng(first).integers(len(grains), size=2)
    lines = np.roll(np.roll(grains, -row, axis=0)[:height], -col, axis=1)
    repeats = -(-samples // len(grains)), -(-height // len(grains))
    speckled: Floats = (power + floor) * np.tile(lines, repeats[::-1])[:height, :samples]
    return speckled


def _is_water(scene: _Scene, first: int, shape: tuple[int, int]) -> Mask:
    top = first // _NODE
    nodes = scene.ground[top : top + shape[0] // _NODE + 2]
    rough = np.random.default_rng([7, first])
    level = nodes + rough.normal(0, _ROUGH_M, nodes.shape).astype(np.float32)
    return _finer(level, _NODE, shape) < scene.level
