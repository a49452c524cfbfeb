"""A product as a whole: its manifest and its files."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import md5
from pathlib import Path, PurePosixPath

import numpy as np

from floodloom.errors import InputError
from floodloom.sentinel1.archive import (
    MANIFEST,
    Stated,
    manifest_of,
    names,
    place_of,
    read,
    require_whole,
    size_of,
)
from floodloom.sentinel1.xml import instant
from floodloom.xml import LARGEST, parse

_RELATIVE_ORBIT = r'relativeOrbitNumber type="start">\s*(\d{1,3})\b'
_ORBITS = 175  # until the ground track repeats itself
_SIZE, _DIGEST = re.compile(r"\d{1,15}"), re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Facts:
    """How a product was taken and made."""

    mode: str
    ipf_version: tuple[int, int]
    start_time: np.datetime64
    orbit_direction: str
    relative_orbit: int


def stated_files(manifest: ET.Element) -> dict[str, Stated]:
    """Return what a manifest states of files, by their path beneath it."""
    found = {}
    for stream in manifest.iter("byteStream"):
        place, checksum = stream.find("fileLocation"), stream.find("checksum")
        if place is None:
            continue
        size = stream.get("size", "")
        kind = "" if checksum is None else checksum.get("checksumName", "").upper()
        digest = (checksum.text or "").strip().lower() if checksum is not None else ""
        found[place.get("href", "").removeprefix("./")] = Stated(
            int(size) if _SIZE.fullmatch(size) else None,
            digest if kind == "MD5" and _DIGEST.fullmatch(digest) else None,
        )
    return found


def facts_of(text: str, path: Path) -> Facts:
    """Return what a manifest states of its product.

    Parameters
    ----------
    text
        The manifest.
    path
        The product, for messages.

    Raises
    ------
    InputError
        If something isn't stated, or makes no sense.
    """
    product_type = search(text, r"productType>\s*([A-Z]+)", path, "product type")
    if product_type != "GRD":
        raise InputError(f"{path}: product type is {product_type}; give a GRD product")
    version = search(text, r'Sentinel-1 IPF"\s+version="(\d{1,3}\.\d{1,3})"', path, "IPF version")
    major, minor = version.split(".")
    relative_orbit = int(search(text, _RELATIVE_ORBIT, path, "relative orbit"))
    if not 1 <= relative_orbit <= _ORBITS:
        raise InputError(
            f"{path}: manifest.safe states relative orbit {relative_orbit}, but there are 1 to "
            f"{_ORBITS}; fetch the product again"
        )
    return Facts(
        mode=search(text, r":mode>\s*([A-Z0-9]+)", path, "mode"),
        ipf_version=(int(major), int(minor)),
        start_time=_start(text, path),
        orbit_direction=_direction(text, path),
        relative_orbit=relative_orbit,
    )


def _start(text: str, path: Path) -> np.datetime64:
    found = search(text, r"startTime>\s*([^<]{1,40})<", path, "start").strip()
    try:
        return instant(found)
    except ValueError as error:
        raise InputError(f"{path}: {MANIFEST}: start {error}; fetch the product again") from error


def _direction(text: str, path: Path) -> str:
    found = search(text, r":pass>\s*([A-Za-z]+)", path, "orbit direction").lower()
    if found not in ("ascending", "descending"):
        raise InputError(
            f"{path}: {MANIFEST}: orbit direction is {found!r}, neither ascending nor descending; "
            "fetch the product again"
        )
    return found


def search(text: str, pattern: str, path: Path, what: str) -> str:
    """Return what a manifest states, or refuse one that doesn't."""
    match = re.search(pattern, text)
    if match is None:
        raise InputError(f"{path}: manifest.safe states no {what}; fetch the product again")
    return match[1]


_FOLDERS = {
    "annotation": "annotation",
    "calibration": "annotation/calibration",
    "noise": "annotation/calibration",
    "measurement": "measurement",
}
_PART = re.compile(
    r"^(?P<kind>calibration-|noise-)?((?P<mission>s1[a-z])-)?(?P<swath>[a-z0-9]{2,3})-"
    r"((?P<type>[a-z]+)-)?(?P<polarisation>vv|vh|hh|hv)[-.]",
    re.IGNORECASE | re.ASCII,
)
"""Names of a product's files, also as short as in the archive of AWS: ew-hh.xml."""
_OVERVIEWS = 2  # what others make of a measurement may hold its overviews, too
_DIRECTORY = 64 << 20  # bytes


@dataclass(frozen=True)
class Measurement:
    """The image of one polarisation: a file of a product, and where GDAL finds it.

    `place` is None where it has to be unpacked first; `stated` is what the manifest states of it;
    `checked`: its checksums have been compared.
    """

    product: Path
    name: str
    place: str | None
    stated: Stated
    checked: bool = False

    def require_whole(self, copy: Path | None = None) -> None:
        """Compare its checksums, as it is unpacked to `copy`, if it is given.

        Raises
        ------
        InputError
            If it is damaged, or another file than the manifest states.
        """
        require_whole(self.product, self.name, self.stated, copy)

    def __str__(self) -> str:
        folder = self.product.is_dir()
        return str(self.product / self.name) if folder else f"{self.product}: {self.name}"


@dataclass(frozen=True)
class Product:
    """A level-1 product and where its parts lie.

    `parts` maps (kind, polarisation) to a path inside the product; kinds are annotation,
    calibration, noise and measurement. `stated` is what the manifest states of files.
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
    stated: dict[str, Stated] = field(repr=False)

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
            If it is missing, damaged, or another one than the manifest states.
        """
        name = self._part(kind, polarisation)
        content = read(self.path, name, LARGEST)
        expected = self._stated(name)
        found = md5(content, usedforsecurity=False).hexdigest()
        if expected.md5 not in (None, found):
            raise InputError(
                f"{self.path}: {name} has MD5 {found}, but {MANIFEST} states {expected.md5}; fetch "
                "the product again"
            )
        return parse(content, f"{self.path}: {name}")

    def measurement(self, polarisation: str, shape: tuple[int, int]) -> Measurement:
        """Return where the measurement lies.

        Parameters
        ----------
        polarisation
            Such as vv.
        shape
            Lines and samples that the annotation states.

        Raises
        ------
        InputError
            If it is missing, a link out of the product, or of a size that it can't have.
        """
        name = self._part("measurement", polarisation)
        size, stated = size_of(self.path, name), self._stated(name)
        if stated.size not in (None, size):
            raise InputError(
                f"{self.path}: {name} has {size:,} bytes, but {MANIFEST} states {stated.size:,}; "
                "fetch the product again"
            )
        most = _OVERVIEWS * 2 * shape[0] * shape[1] + _DIRECTORY
        if size > most:
            raise InputError(
                f"{self.path}: {name} has {size:,} bytes, too many for {shape[0]:,} x "
                f"{shape[1]:,} px; fetch the product again"
            )
        return Measurement(self.path, name, place_of(self.path, name), stated)

    def _stated(self, name: str) -> Stated:
        return self.stated.get(name.replace("\\", "/").removeprefix(self.prefix), Stated())

    def _part(self, kind: str, polarisation: str) -> str:
        if polarisation not in self.polarisations:
            have = ", ".join(self.polarisations)
            raise InputError(
                f"{self.path}: no polarisation {polarisation}; it has {have}: ask for these"
            )
        if (kind, polarisation) not in self.parts:
            others = [p for p in self.polarisations if (kind, p) in self.parts]
            instead = f", or ask for {', '.join(others)} alone" if others else ""
            raise InputError(
                f"{self.path}: no {kind} file for {polarisation}; fetch the product again{instead}"
            )
        return self.parts[kind, polarisation]


def open_product(path: str | Path) -> Product:
    """Open a SAFE folder or a zip of one, whatever the zip's name is.

    Raises
    ------
    InputError
        If it is missing, damaged, no level-1 product, or holds several.
    """
    path = Path(path)
    found = names(path)
    manifest = manifest_of(path, list(found))
    prefix = manifest.removesuffix(MANIFEST)
    inside = {name.removeprefix(prefix): raw for name, raw in found.items()}
    content = read(path, found[manifest], LARGEST)
    stated = stated_files(parse(content, f"{path}: {found[manifest]}"))
    text = content.decode(errors="replace")
    facts = facts_of(text, path)  # first: what is no GRD has several images of one polarisation
    parts = _parts(path, inside)
    return Product(
        path=path,
        prefix=prefix,
        parts=parts,
        mission=_mission(path, parts, text),
        mode=facts.mode,
        product_type="GRD",
        ipf_version=facts.ipf_version,
        start_time=facts.start_time,
        orbit_direction=facts.orbit_direction,
        relative_orbit=facts.relative_orbit,
        stated=stated,
    )


def _parts(path: Path, inside: dict[str, str]) -> dict[tuple[str, str], str]:
    parts: dict[tuple[str, str], str] = {}
    for name, raw in sorted(inside.items()):
        file = PurePosixPath(name)
        match = _PART.match(file.name)
        if match is None or file.suffix not in (".xml", ".tiff", ".tif"):
            continue
        kind = (match["kind"] or "").rstrip("-").lower()
        kind = kind or ("annotation" if file.suffix == ".xml" else "measurement")
        if str(file.parent) != _FOLDERS[kind]:
            continue
        other = parts.setdefault((kind, match["polarisation"].lower()), raw)
        if other != raw:
            raise InputError(
                f"{path}: two {kind} files of {match['polarisation'].lower()} ({other} and {raw}); "
                "keep that of the product"
            )
    if not any(kind == "annotation" for kind, _ in parts):
        raise InputError(f"{path}: no annotation inside; fetch the product again")
    return parts


def _mission(path: Path, parts: dict[tuple[str, str], str], text: str) -> str:
    first = next(name for (kind, _), name in sorted(parts.items()) if kind == "annotation")
    named = _PART.match(PurePosixPath(first.replace("\\", "/")).name)
    if named is not None and named["mission"]:
        return named["mission"].upper()
    return "S1" + search(text, r"SENTINEL-1</[\w:]+>\s*<[\w:]+>\s*([A-Z])<", path, "unit")
