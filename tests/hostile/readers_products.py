"""Readers of products and orbits: annotation, calibration, noise, manifest, zip, orbit file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from floodloom.acquire.content import require_product
from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.geometry import image_geometry
from floodloom.sentinel1.noise import calibration_lut, parse_noise
from floodloom.sentinel1.orbit import read_orbit_file
from floodloom.sentinel1.product import Product, open_product
from floodloom.xml import parse

from . import test_orbit
from .harness import Trial
from .making import ANNOTATION, CALIBRATION, MANIFEST, NOISE
from .mutations import BYTES, MARKUP, XML
from .reader import Reader, reader, require_finite


def _seed(place: Trial, pattern: str) -> bytes:
    return next((place.event / "after.SAFE").glob(pattern)).read_bytes()


@reader("annotation")
def annotation(place: Trial) -> Reader:
    """Annotation of an image, and its geometry."""

    def read(content: bytes) -> None:
        found = parse_annotation(parse(content, "x"), "x")
        assert found.lines > 0
        assert found.samples > 0
        require_finite(found.azimuth_time_interval, found.range_pixel_spacing)
        assert found.azimuth_time_interval > 0
        assert found.range_pixel_spacing > 0
        require_finite(found.orbit_time, found.orbit_position, found.grid.footprint)
        require_finite(found.conversion.origins, found.conversion.coefficients)
        assert (np.abs(found.grid.latitude) <= 90).all()
        image_geometry(found)

    seeds = (_seed(place, ANNOTATION),)
    return Reader(seeds, read, (XML, MARKUP))


@reader("calibration")
def calibration(place: Trial) -> Reader:
    """Table of a quantity."""

    def read(content: bytes) -> None:
        found = calibration_lut(parse(content, "x"), "gamma0", "x")
        require_finite(found.values, found.lines, found.pixels)
        assert (found.values > 0).all()
        assert (np.diff(found.pixels) > 0).all()

    seeds = (_seed(place, CALIBRATION),)
    return Reader(seeds, read, (XML, MARKUP))


@reader("noise")
def noise(place: Trial) -> Reader:
    """Tables of thermal noise."""

    def read(content: bytes) -> None:
        found = parse_noise(parse(content, "x"), "x")
        require_finite(found.range_lut.values, found.range_lut.pixels, found.bounds)
        assert (found.range_lut.values >= 0).all()
        require_finite(found.block_factors(np.arange(80.0)))

    seeds = (_seed(place, NOISE),)
    return Reader(seeds, read, (XML, MARKUP))


def _require_facts(product: Product) -> None:
    assert not np.isnat(product.start_time)
    assert 1 <= product.relative_orbit <= 175


@reader("manifest")
def manifest(place: Trial) -> Reader:
    """Manifest of a SAFE folder."""
    safe = place.copy("after.SAFE", "manifest.SAFE")
    seeds = ((safe / MANIFEST).read_bytes(),)

    def read(content: bytes) -> None:
        (safe / MANIFEST).write_bytes(content)
        found = open_product(safe)
        assert found.polarisations == ("vv", "vh")
        _require_facts(found)

    return Reader(seeds, read, (XML, MARKUP))


@reader("zip")
def archive(place: Trial) -> Reader:
    """A zip of a product without its images, all its metadata, and that it is whole."""
    path = place.given / "p.zip"
    safe = place.event / "after.SAFE"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for file in [*sorted(safe.rglob("*.xml")), safe / MANIFEST]:
            if "vh" not in file.name:
                target.write(file, f"{safe.name}/{file.relative_to(safe)}")
        target.writestr(f"{safe.name}/measurement/{_image(safe)}", b"II*\0")
    seeds = (path.read_bytes(),)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        require_product(path, "p.zip")
        found = open_product(path)
        _require_facts(found)
        for kind in ("annotation", "calibration", "noise"):
            found.xml(kind, "vv")
        found.measurement("vv", (100, 100))

    return Reader(seeds, read, (BYTES,), is_slow=True)


def _image(safe: Path) -> str:
    return next(safe.glob("measurement/*-vv-*")).name


@reader("orbit")
def orbit(place: Trial) -> Reader:
    """State vectors of an orbit file."""
    seeds = (test_orbit.good(place),)
    path = place.given / test_orbit.NAME
    start = np.datetime64("2023-05-14T16:58:21.500000", "ns")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        times, places = read_orbit_file(path, start)
        require_finite(times, places)
        assert len(times) == len(places) > 0

    return Reader(seeds, read, (XML, MARKUP))
