"""What a VRT puts together: which bands of which files, and where.

GDAL's own reader of VRTs opens whatever the text names. This one takes mosaics and stacks of files
that lie in the VRT's folder, as `gdalbuildvrt` writes them, and refuses all else.

Source: GDAL, VRT -- GDAL Virtual Format, https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from floodloom.errors import InputError
from floodloom.files import regular_file
from floodloom.texts import brief
from floodloom.xml import LARGEST, parse

_MOST_SOURCES = 10_000
_OF_DATASET = {"SRS", "GeoTransform", "VRTRasterBand", "Metadata", "OverviewList", "BlockXSize"}
_OF_DATASET |= {"BlockYSize"}
_OF_BAND = {"SimpleSource", "ComplexSource", "NoDataValue", "Description", "Scale", "Offset"}
_OF_BAND |= {"UnitType", "ColorInterp", "Metadata", "Histograms", "HideNoDataValue"}
_OF_SOURCE = {"SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect", "NODATA"}
_OF_SOURCE |= {"ScaleOffset", "ScaleRatio"}
_CLOSE_PX = 1e-6


@dataclass(frozen=True)
class Piece:
    """A part of a file's band, and where it comes to lie.

    Attributes
    ----------
    file
        A regular file in the VRT's folder.
    band
        Its band, from 1.
    row, col
        Upper left corner of the part in the file, px.
    height, width
        Its size, px.
    top, left
        Upper left corner of its place, px.
    nodata
        Number, as it is stored, that leaves what lies below; None: all is put on top.
    ratio, offset
        What the numbers are multiplied by, and what is added.
    """

    file: Path
    band: int
    row: int
    col: int
    height: int
    width: int
    top: int
    left: int
    nodata: float | None
    ratio: float
    offset: float


@dataclass(frozen=True)
class VirtualBand:
    """A band: its pieces, later ones on top, and what is stated of it."""

    pieces: tuple[Piece, ...]
    nodata: float | None
    scale: float
    offset: float
    description: str | None
    unit: str | None


@dataclass(frozen=True)
class Virtual:
    """A VRT: its size (px), its place, and its bands.

    `transform` are x and y of the corner, and of the steps right and down, in the order of GDAL;
    None where it states none.
    """

    height: int
    width: int
    srs: str | None
    transform: tuple[float, ...] | None
    bands: tuple[VirtualBand, ...]


def files_of(path: Path) -> list[Path]:
    """Return the files that a VRT names, in order and once each; see `read_vrt`."""
    found = read_vrt(path)
    return list(dict.fromkeys(piece.file for band in found.bands for piece in band.pieces))


def read_vrt(path: Path, within: Path | None = None) -> Virtual:
    """Read what a VRT puts together.

    Parameters
    ----------
    path
        The VRT.
    within
        Folder that was given and in which it was found; its own folder by default.

    Raises
    ------
    InputError
        If it is damaged, names a file outside of its folder, an address or a service, or does more
        than put pixels of files side by side, on top of one another or into bands.
    """
    file = regular_file(path, "VRT", within=within)
    if file.stat().st_size > LARGEST:
        raise InputError(f"{path}: a VRT of more than {LARGEST / 1e6:.0f} MB; make a GeoTIFF of it")
    root = parse(file.read_bytes(), str(path))
    try:
        _require_known(root, "VRTDataset", _OF_DATASET)
        size = int(root.get("rasterYSize", "")), int(root.get("rasterXSize", ""))
        if min(size) < 1:
            raise ValueError(f"a size of {size[0]} x {size[1]} px")
        bands = [_band(band, file.parent, size) for band in root.findall("VRTRasterBand")]
        if sum(len(band.pieces) for band in bands) > _MOST_SOURCES:
            raise ValueError(f"more than {_MOST_SOURCES:,} sources")
        return Virtual(*size, root.findtext("SRS"), _transform(root), tuple(bands))
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: a VRT that isn't read ({error}); make a GeoTIFF of it with `gdal_translate`"
        ) from error


def _band(element: ET.Element, folder: Path, size: tuple[int, int]) -> VirtualBand:
    _require_known(element, "VRTRasterBand", _OF_BAND)
    sources = [child for child in element if child.tag in ("SimpleSource", "ComplexSource")]
    if not sources:
        raise ValueError("a band without sources")
    return VirtualBand(
        tuple(_piece(source, folder, size) for source in sources),
        _optional(element, "NoDataValue"),
        _number(element, "Scale", 1.0),
        _number(element, "Offset", 0.0),
        element.findtext("Description"),
        element.findtext("UnitType"),
    )


def _piece(element: ET.Element, folder: Path, size: tuple[int, int]) -> Piece:
    _require_known(element, element.tag, _OF_SOURCE)
    file = _file(element, folder)
    from_, to = (_rectangle(element.find(name)) for name in ("SrcRect", "DstRect"))
    if from_ is None or to is None:
        raise ValueError("a source without SrcRect and DstRect")
    if from_[2:] != to[2:]:
        raise ValueError("a source that is resampled")
    left, top, width, height = to
    if min(*from_, *to) < 0 or top + height > size[0] or left + width > size[1]:
        raise ValueError("a source that reaches over the edge")
    band = (element.findtext("SourceBand") or "1").strip()
    if not band.isdecimal() or int(band) < 1:
        raise ValueError(f"SourceBand {brief(band)}")
    return Piece(
        file,
        int(band),
        from_[1], from_[0], height, width, top, left,
        _optional(element, "NODATA"),
        _number(element, "ScaleRatio", 1.0),
        _number(element, "ScaleOffset", 0.0),
    )  # fmt: skip


def _file(element: ET.Element, folder: Path) -> Path:
    """Return the file that a source names, if it lies in the VRT's folder."""
    found = element.find("SourceFilename")
    name = "" if found is None else (found.text or "").strip()
    relative = found is not None and found.get("relativeToVRT") == "1"
    path = folder / name if relative else Path(name)
    outside = "\0" in name or not path.resolve().is_relative_to(folder.resolve())
    if not name or outside or not path.is_file():
        where = "lies outside of its folder" if outside else "isn't there"
        raise ValueError(f"{brief(name)} {where}")
    return regular_file(path, "source of a VRT", within=folder)


def _rectangle(element: ET.Element | None) -> tuple[int, int, int, int] | None:
    """Return left, top, width and height in whole pixels."""
    if element is None:
        return None
    sides = [float(element.get(name, "nan")) for name in ("xOff", "yOff", "xSize", "ySize")]
    if not all(math.isfinite(side) and abs(side - round(side)) <= _CLOSE_PX for side in sides):
        raise ValueError("a source that isn't cut at whole pixels")
    left, top, width, height = (round(side) for side in sides)
    return left, top, width, height


def _transform(root: ET.Element) -> tuple[float, ...] | None:
    text = root.findtext("GeoTransform")
    if text is None:
        return None
    numbers = tuple(float(part) for part in text.split(","))
    if len(numbers) != 6:
        raise ValueError(f"a GeoTransform of {len(numbers)} numbers")
    return numbers


def _optional(element: ET.Element, name: str) -> float | None:
    text = element.findtext(name)
    return None if text is None else float(text)


def _number(element: ET.Element, name: str, default: float) -> float:
    found = _optional(element, name)
    if found is not None and not math.isfinite(found):
        raise ValueError(f"{name} {found:g}")
    return default if found is None else found


def _require_known(element: ET.Element, tag: str, known: set[str]) -> None:
    """Refuse what may mean more than is read: warped, derived and raw bands, masks, tables."""
    kind = element.get("subClass", "")
    if element.tag != tag or kind not in ("", "VRTSourcedRasterBand"):
        raise ValueError(brief(kind or element.tag))
    for child in element:
        if child.tag not in known:
            raise ValueError(brief(child.tag))
