"""How a raster's values are called and coloured, in files beside it that other programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from floodloom.files import atomic_path

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0-255."""

Colours = Mapping[int, Colour]
Meanings = Mapping[int, str]

_INTEGER, _TEXT = 0, 2  # GDALRATFieldType
_NAME, _VALUE, _RGBA = 2, 5, (6, 7, 8, 9)  # GDALRATFieldUsage
_SLD, _OPAQUE = "http://www.opengis.net/sld", 255
_OF_OTHERS = (".aux.xml", ".ovr", ".msk")


@dataclass(frozen=True)
class Ramp:
    """Colours of a quantity.

    Attributes
    ----------
    colours
        Colours of some of its values, ascending; those between are mixed, those beyond are the
        last.
    unit
        Its unit, for the legend.
    """

    colours: Mapping[float, Colour]
    unit: str

    @property
    def range(self) -> tuple[float, float]:
        """Its least and its greatest value."""
        return min(self.colours), max(self.colours)

    def entries(self) -> list[tuple[str, Colour, str]]:
        """List each value with its colour and label."""
        return [
            (f"{value:g}", colour, f"{value:g} {self.unit}")
            for value, colour in self.colours.items()
        ]


def companions(path: Path) -> list[Path]:
    """List the names of what programs write beside a raster: statistics, overviews and masks.

    Those of an old raster would be taken for those of the new one.
    """
    return [path.with_name(path.name + ending) for ending in _OF_OTHERS]


def write_legend(
    path: Path, bands: Sequence[Meanings], colours: Colours, patches: str | None = None
) -> None:
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
    patches
        Column that holds these values in polygons of the same name, to which the style for QGIS
        applies, too; None if there are none.
    """
    tables = ET.Element("PAMDataset")
    for number, meanings in enumerate(bands, start=1):
        band = ET.SubElement(tables, "PAMRasterBand", band=str(number))
        band.append(_attribute_table(meanings, colours if number == 1 else {}))
    # GDAL 3.6 finds nothing in a file that begins with an XML declaration.
    _write(tables, path.with_name(path.name + _OF_OTHERS[0]), declared=False)

    named = [
        (str(value), colour, bands[0].get(value, str(value))) for value, colour in colours.items()
    ]
    style = _style(_palette(named))
    if patches is not None:
        style.append(_categories(patches, named))
    _write(style, path.with_suffix(".qml"))
    _write(_layer_descriptor(path.stem, named, "values"), path.with_suffix(".sld"))


def write_ramp(path: Path, ramp: Ramp) -> None:
    """Write styles that show the first band of a raster in the colours of a quantity.

    Parameters
    ----------
    path
        The raster; its styles have the same name with the endings .qml and .sld.
    ramp
        Colours.
    """
    _write(_style(_gradient(ramp)), path.with_suffix(".qml"))
    _write(_layer_descriptor(path.stem, ramp.entries(), "ramp"), path.with_suffix(".sld"))


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


def _style(renderer: ET.Element) -> ET.Element:
    """Return a style of QGIS for a raster."""
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    ET.SubElement(root, "pipe").append(renderer)
    return root


def _renderer(kind: str, **attributes: str) -> ET.Element:
    whole = {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1", **attributes}
    return ET.Element("rasterrenderer", whole)


def _palette(named: Sequence[tuple[str, Colour, str]]) -> ET.Element:
    renderer = _renderer("paletted")
    palette = ET.SubElement(renderer, "colorPalette")
    for value, colour, label in named:
        entry = {"value": value, "label": label, **_coloured(colour)}
        ET.SubElement(palette, "paletteEntry", entry)
    return renderer


def _gradient(ramp: Ramp) -> ET.Element:
    low, high = (f"{end:g}" for end in ramp.range)
    renderer = _renderer("singlebandpseudocolor", classificationMin=low, classificationMax=high)
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED", classificationMode="1", clip="0",
        minimumValue=low, maximumValue=high, labelPrecision="0",
    )  # fmt: skip
    for value, colour, label in ramp.entries():
        ET.SubElement(shader, "item", {"value": value, "label": label, **_coloured(colour)})
    return renderer


def _coloured(colour: Colour) -> dict[str, str]:
    return {"color": _hex(colour), "alpha": str(colour[3])}


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour[:3])


def _categories(column: str, named: Sequence[tuple[str, Colour, str]]) -> ET.Element:
    """Return QGIS' renderer of polygons by a column: a style may have one for either kind."""
    renderer = ET.Element("renderer-v2", type="categorizedSymbol", attr=column)
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for number, (value, colour, label) in enumerate(named):
        ET.SubElement(
            categories, "category", symbol=str(number), value=value, label=label, render="true"
        )
        symbol = ET.SubElement(symbols, "symbol", type="fill", name=str(number), alpha="1")
        layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1")
        options = ET.SubElement(layer, "Option", type="Map")
        shown = {"color": ",".join(map(str, colour)), "style": "solid", "outline_style": "no"}
        for name, text in shown.items():
            ET.SubElement(options, "Option", name=name, type="QString", value=text)
    return renderer


def _layer_descriptor(name: str, named: Sequence[tuple[str, Colour, str]], kind: str) -> ET.Element:
    """Return a Styled Layer Descriptor (OGC 02-070, 1.0.0) that colours the first band.

    The type of the colour map is of GeoServer.
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
    table = ET.SubElement(symbolizer, "ColorMap", type=kind)
    for value, colour, label in named:
        ET.SubElement(
            table, "ColorMapEntry", color=_hex(colour), quantity=value, label=label,
            opacity=f"{colour[3] / _OPAQUE:g}",
        )  # fmt: skip
    return root


def _write(root: ET.Element, path: Path, *, declared: bool = True) -> None:
    ET.indent(root)
    with atomic_path(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=declared)
