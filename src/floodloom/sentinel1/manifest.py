"""What a product's manifest states of it, and of its files.

Source: ESA, Sentinel-1 Product Specification, S1-RS-MDA-52-7441, section 3.3.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from floodloom.errors import InputError
from floodloom.sentinel1.archive import MANIFEST, Stated
from floodloom.sentinel1.checks import instant

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
