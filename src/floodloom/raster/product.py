"""Product layers: their classes and the legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from xml.etree import ElementTree as ET

from floodloom.arrays import NODATA
from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.raster.foreign import ForeignRaster

PRODUCT = "FLOODLOOM_PRODUCT"
"""Tag of floodloom's own rasters."""

PROBABILITY, FLOOD_MAP, TRUTH = "water_probability", "flood_map", "truth"
"""Its value in some of them."""


class FloodClass(IntEnum):
    """Values of a flood map."""

    DRY = 0
    PERMANENT = 1
    FLOOD = 2
    EXCLUDED = 3
    NODATA = NODATA


def require_product(raster: ForeignRaster, kinds: tuple[str, ...], wanted: str) -> str | None:
    """Check that a raster isn't another of floodloom's products than is wanted.

    Parameters
    ----------
    raster
        Of floodloom's or of others.
    kinds
        Products that will do.
    wanted
        What should be given, for the message.

    Returns
    -------
    str or None
        The product; None if the raster has no such tag.

    Raises
    ------
    InputError
        If it is another one, whose numbers mean something else.
    """
    product = raster.tags.get(PRODUCT)
    if product is not None and product not in kinds:
        raise InputError(f"{raster.path}: is a {product[:40]!r}; give {wanted}")
    return product


Colours = Mapping[int, tuple[int, int, int, int]]
Meanings = Mapping[int, str]

_INTEGER, _TEXT = 0, 2  # GDALRATFieldType
_NAME, _VALUE, _RGBA = 2, 5, (6, 7, 8, 9)  # GDALRATFieldUsage
_SLD, _OPAQUE = "http://www.opengis.net/sld", 255
_OF_OTHERS = (".aux.xml", ".ovr", ".msk")


def companions(path: Path) -> list[Path]:
    """List the names of what programs write beside a raster: statistics, overviews and masks.

    Those of an old raster would be taken for those of the new one.
    """
    return [path.with_name(path.name + ending) for ending in _OF_OTHERS]


def write_legend(path: Path, bands: Sequence[Meanings], colours: Colours) -> None:
    """Write the names and colours of a raster's values beside it.

    Parameters
    ----------
    path
        The raster; its attribute tables go to `<path>.aux.xml`, its styles to the same name with
        the endings .qml, for QGIS, and .sld, for what reads OGC's Styled Layer Descriptors.
    bands
        What the values of each band mean.
    colours
        Colours of the values of the first band, RGBA 0-255.
    """
    tables = ET.Element("PAMDataset")
    for number, meanings in enumerate(bands, start=1):
        band = ET.SubElement(tables, "PAMRasterBand", band=str(number))
        band.append(_attribute_table(meanings, colours if number == 1 else {}))
    _write(tables, path.with_name(path.name + _OF_OTHERS[0]))
    _write(_style(bands[0], colours), path.with_suffix(".qml"))
    _write(_layer_descriptor(path.stem, bands[0], colours), path.with_suffix(".sld"))


def _attribute_table(meanings: Meanings, colours: Colours) -> ET.Element:
    """Return GDAL's raster attribute table; the colours of values without one are left out."""
    columns = [("Value", _INTEGER, _VALUE), ("Class", _TEXT, _NAME)]
    if colours:
        names = ("Red", "Green", "Blue", "Alpha")
        columns += [(name, _INTEGER, usage) for name, usage in zip(names, _RGBA, strict=True)]
    table = ET.Element("GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(columns):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(column, tag).text = str(text)
    for index, (value, text) in enumerate(meanings.items()):
        row = ET.SubElement(table, "Row", index=str(index))
        for cell in (value, text, *(colours.get(value, (0, 0, 0, 0)) if colours else ())):
            ET.SubElement(row, "F").text = str(cell)
    return table


def _style(meanings: Meanings, colours: Colours) -> ET.Element:
    """Return a style of QGIS that shows the first band by its classes."""
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    renderer = ET.SubElement(
        ET.SubElement(root, "pipe"),
        "rasterrenderer",
        {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1"},
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for value, (red, green, blue, alpha) in colours.items():
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(value),
            color=f"#{red:02x}{green:02x}{blue:02x}",
            alpha=str(alpha),
            label=meanings.get(value, str(value)),
        )
    return root


def _layer_descriptor(name: str, meanings: Meanings, colours: Colours) -> ET.Element:
    """Return a Styled Layer Descriptor (OGC 02-070, 1.0.0) that shows the first band by classes.

    The type of the colour map is of GeoServer, and is read by QGIS, too.
    """
    root = ET.Element("StyledLayerDescriptor", version="1.0.0", xmlns=_SLD)
    layer = ET.SubElement(root, "NamedLayer")
    ET.SubElement(layer, "Name").text = name
    rule = ET.SubElement(
        ET.SubElement(ET.SubElement(layer, "UserStyle"), "FeatureTypeStyle"), "Rule"
    )
    symbolizer = ET.SubElement(rule, "RasterSymbolizer")
    channel = ET.SubElement(ET.SubElement(symbolizer, "ChannelSelection"), "GrayChannel")
    ET.SubElement(channel, "SourceChannelName").text = "1"
    table = ET.SubElement(symbolizer, "ColorMap", type="values")
    for value, (red, green, blue, alpha) in colours.items():
        ET.SubElement(
            table,
            "ColorMapEntry",
            color=f"#{red:02x}{green:02x}{blue:02x}",
            quantity=str(value),
            label=meanings.get(value, str(value)),
            opacity=f"{alpha / _OPAQUE:g}",
        )
    return root


def _write(root: ET.Element, path: Path) -> None:
    ET.indent(root)
    with atomic_path(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)
