"""Sentinel-1 level-1 products: a SAFE folder, or its zip read in place.

Source: ESA, Sentinel-1 Product Specification, S1-RS-MDA-52-7441.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from floodloom.errors import InputError
from floodloom.sentinel1.xml import LARGEST, parse

_MANIFEST = "manifest.safe"
_FOLDERS = {
    "annotation": "annotation",
    "calibration": "annotation/calibration",
    "noise": "annotation/calibration",
    "measurement": "measurement",
}
_PART = re.compile(
    r"^(?P<kind>calibration-|noise-)?((?P<mission>s1[a-z])-)?(?P<swath>[a-z0-9]{2,3})-"
    r"((?P<type>[a-z]+)-)?(?P<polarisation>vv|vh|hh|hv)[-.]",
    re.IGNORECASE,
)
"""Names of a product's files, also as short as in the archive of AWS: ew-hh.xml."""


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
        return parse(_read(self.path, name), f"{self.path}: {name}")

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
        return _inside_zip(self.path.resolve(), name.replace("\\", "/"))

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
    names = _names(path)
    manifest = _manifest(path, list(names))
    prefix = manifest.removesuffix(_MANIFEST)
    inside = {name.removeprefix(prefix): raw for name, raw in names.items()}
    text = _read(path, names[manifest]).decode(errors="replace")
    product_type = _search(text, r"productType>\s*([A-Z]+)", path, "product type")
    if product_type != "GRD":  # others have several images of one polarisation
        raise InputError(f"{path}: product type is {product_type}; give a GRD product")
    return _described(path, prefix, _parts(path, inside), text)


def _names(path: Path) -> dict[str, str]:
    """Return what the files of a product are called, by their path with forward slashes."""
    if not path.exists():
        raise InputError(f"{path}: product not found; check the path")
    if path.is_dir():
        found = _walk(path) if (path / _MANIFEST).is_file() else _manifests_below(path)
        return {name: name for name in found}
    try:
        with zipfile.ZipFile(path) as archive:
            return _unique(path, archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"{path}: not a readable zip ({error}); fetch it again, or give the SAFE folder"
        ) from error


def _unique(path: Path, members: list[str]) -> dict[str, str]:
    """Refuse two members of one name: Python reads the last of them and GDAL the first."""
    found: dict[str, str] = {}
    for name in members:
        plain = name.replace("\\", "/")
        if plain in found:
            raise InputError(f"{path}: two members of the zip are called {plain}; fetch it again")
        found[plain] = name
    return found


def _walk(folder: Path) -> list[str]:
    return [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]


def _manifests_below(folder: Path) -> list[str]:
    """Look two levels deep: what is no product may be a whole archive, too large to search."""
    found = (p for depth in ("*", "*/*") for p in folder.glob(f"{depth}/{_MANIFEST}"))
    return [p.relative_to(folder).as_posix() for p in found]


def _manifest(path: Path, names: list[str]) -> str:
    found = sorted(name for name in names if PurePosixPath(name).name == _MANIFEST)
    if not found:
        raise InputError(f"{path}: no {_MANIFEST} inside; give a SAFE folder or its zip")
    folders = [str(PurePosixPath(name).parent) for name in found]
    if len(found) > 1:
        how = "give one of them" if path.is_dir() else "unzip it and give one of them"
        raise InputError(f"{path}: {len(found)} products inside ({_listed(folders)}); {how}")
    if path.is_dir() and found[0] != _MANIFEST:
        raise InputError(f"{path}: no SAFE folder, but one lies inside; give {path / folders[0]}")
    return found[0]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _read(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            size = (path / name).stat().st_size
            content = (path / name).read_bytes() if size <= LARGEST else None
        else:
            with zipfile.ZipFile(path) as archive:
                size = archive.getinfo(name).file_size
                content = archive.read(name) if size <= LARGEST else None
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: {name} can't be read ({error}); fetch it again") from error
    if content is None:
        raise InputError(
            f"{path}: {name} has {size / 1e6:.0f} MB, but such a file has at most "
            f"{LARGEST / 1e6:.0f}; fetch it again"
        )
    return content


def _inside_zip(archive: Path, name: str) -> str:
    """Return GDAL's path of a file in a zip; braces tell where a zip of any name ends."""
    depth = 0
    for letter in str(archive):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth < 0:
            break
    if depth == 0:
        return f"/vsizip/{{{archive}}}/{name}"
    if archive.suffix.lower() != ".zip":
        raise InputError(f"{archive}: unpaired braces in the path; rename it, or add .zip to it")
    return f"/vsizip/{archive}/{name}"


def _parts(path: Path, inside: dict[str, str]) -> dict[tuple[str, str], str]:
    parts: dict[tuple[str, str], str] = {}
    for name, raw in sorted(inside.items()):
        file = PurePosixPath(name)
        match = _PART.match(file.name)
        if match is None or file.suffix not in (".xml", ".tiff", ".tif"):
            continue
        kind = (match["kind"] or "").rstrip("-")
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


def _described(path: Path, prefix: str, parts: dict[tuple[str, str], str], text: str) -> Product:
    version = _search(text, r'Sentinel-1 IPF"\s+version="(\d+\.\d+)"', path, "IPF version")
    major, minor = version.split(".")
    first = next(name for (kind, _), name in sorted(parts.items()) if kind == "annotation")
    named = _PART.match(PurePosixPath(first.replace("\\", "/")).name)
    if named is not None and named["mission"]:
        mission = named["mission"].upper()
    else:
        mission = "S1" + _search(text, r"SENTINEL-1</[\w:]+>\s*<[\w:]+>\s*([A-Z])<", path, "unit")
    return Product(
        path=path,
        prefix=prefix,
        parts=parts,
        mission=mission,
        mode=_search(text, r":mode>\s*([A-Z0-9]+)", path, "mode"),
        product_type="GRD",
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
