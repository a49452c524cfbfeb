"""Sentinel-1 level-1 products: a SAFE folder, or its zip read in place.

Source: ESA, Sentinel-1 Product Specification, S1-RS-MDA-52-7441.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from floodloom.errors import InputError

_MISSION = re.compile(r"^s1[a-z]-", re.IGNORECASE)
_PART = re.compile(
    r"^(?P<kind>calibration-|noise-)?(?P<mission>s1[a-z])-(?P<swath>[a-z0-9]+)-(?P<type>[a-z]+)-"
    r"(?P<polarisation>vv|vh|hh|hv)-",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Product:
    """A level-1 product and where its parts lie.

    `parts` maps (kind, polarisation) to a path inside the product; kinds are annotation,
    calibration, noise and measurement.
    """

    path: Path
    prefix: str
    parts: dict[tuple[str, str], str]
    mission: str
    mode: str
    product_type: str
    ipf_version: tuple[int, int]
    start_time: np.datetime64
    orbit_direction: str
    relative_orbit: int

    @cached_property
    def polarisations(self) -> tuple[str, ...]:
        """Polarisations with an annotation, co-polarised first."""
        found = {polarisation for kind, polarisation in self.parts if kind == "annotation"}
        return tuple(sorted(found, key=lambda name: (name[0] != name[1], name)))

    def xml(self, kind: str, polarisation: str) -> ET.Element:
        """Parse one of the product's XML files.

        Raises
        ------
        InputError
            If it is missing or damaged.
        """
        name = self._part(kind, polarisation)
        try:
            return ET.fromstring(_read(self.path, name))
        except ET.ParseError as error:
            raise InputError(
                f"{self.path}: {name} is damaged ({error}); fetch the product again"
            ) from error

    def measurement(self, polarisation: str) -> str:
        """Return the path under which GDAL opens the measurement.

        Raises
        ------
        InputError
            If it is missing.
        """
        name = self._part("measurement", polarisation)
        if self.path.is_dir():
            return str(self.path / name)
        return f"/vsizip/{self.path.resolve()}/{name}"

    def _part(self, kind: str, polarisation: str) -> str:
        if polarisation not in self.polarisations:
            have = ", ".join(self.polarisations)
            raise InputError(
                f"{self.path}: no polarisation {polarisation}; it has {have}: ask for these"
            )
        if (kind, polarisation) not in self.parts:
            raise InputError(
                f"{self.path}: no {kind} file for {polarisation}; fetch the product again"
            )
        return self.parts[kind, polarisation]


def open_product(path: str | Path) -> Product:
    """Open a SAFE folder or a zip of one.

    Raises
    ------
    InputError
        If it is missing, damaged, or no level-1 product.
    """
    path = Path(path)
    names = _names(path)
    manifests = [name for name in names if PurePosixPath(name).name == "manifest.safe"]
    if not manifests:
        raise InputError(f"{path}: no manifest.safe inside; give a SAFE folder or its zip")
    prefix = manifests[0].removesuffix("manifest.safe")
    parts = _parts(names)
    if not any(kind == "annotation" for kind, _ in parts):
        raise InputError(f"{path}: no annotation inside; fetch the product again")
    return _described(path, prefix, parts, _read(path, manifests[0]))


def _names(path: Path) -> list[str]:
    if not path.exists():
        raise InputError(f"{path}: product not found; check the path")
    if path.is_dir():
        return [str(p.relative_to(path).as_posix()) for p in path.rglob("*") if p.is_file()]
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path}: not a readable zip ({error}); fetch it again") from error


def _read(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            return (path / name).read_bytes()
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: {name} can't be read ({error}); fetch it again") from error


def _parts(names: list[str]) -> dict[tuple[str, str], str]:
    parts = {}
    for name in names:
        file = PurePosixPath(name)
        match = _PART.match(file.name)
        if match is None or file.suffix not in (".xml", ".tiff", ".tif"):
            continue
        kind = (match["kind"] or "").rstrip("-")
        kind = kind or ("annotation" if file.suffix == ".xml" else "measurement")
        if kind == "annotation" and file.parent.name != "annotation":
            continue
        parts[kind, match["polarisation"].lower()] = name
    return parts


def _described(
    path: Path, prefix: str, parts: dict[tuple[str, str], str], manifest: bytes
) -> Product:
    text = manifest.decode(errors="replace")
    version = _search(text, r'Sentinel-1 IPF"\s+version="(\d+\.\d+)"', path, "IPF version")
    major, minor = version.split(".")
    first = next(name for (kind, _), name in sorted(parts.items()) if kind == "annotation")
    mission = PurePosixPath(first).name[:3].upper()
    product_type = _search(text, r"productType>\s*([A-Z]+)", path, "product type")
    if product_type != "GRD":
        raise InputError(f"{path}: product type is {product_type}; give a GRD product")
    return Product(
        path=path,
        prefix=prefix,
        parts=parts,
        mission=mission,
        mode=_search(text, r":mode>\s*([A-Z0-9]+)", path, "mode"),
        product_type=product_type,
        ipf_version=(int(major), int(minor)),
        start_time=np.datetime64(_search(text, r"startTime>\s*([0-9T:.\-]+)", path, "start"), "ns"),
        orbit_direction=_search(text, r":pass>\s*([A-Za-z]+)", path, "orbit direction").lower(),
        relative_orbit=int(
            _search(text, r'relativeOrbitNumber type="start">\s*(\d+)', path, "relative orbit")
        ),
    )


def _search(text: str, pattern: str, path: Path, what: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise InputError(f"{path}: manifest.safe states no {what}; fetch the product again")
    return match[1]
