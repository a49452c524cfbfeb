"""Says as JSON what QGIS finds in the layers of a folder; run by the Python that QGIS brings."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsRasterRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

SHOWN = 700  # px


def raster(path: Path) -> dict:
    layer = QgsRasterLayer(str(path), path.stem)
    renderer, provider = layer.renderer(), layer.dataProvider()
    numbers = range(1, layer.bandCount() + 1)
    return {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "renderer": renderer.type(),
        "nodata": [provider.sourceHasNoDataValue(number) for number in numbers],
        "legend": legend(renderer),
        "tables": tables(path),
    }


def legend(renderer: QgsRasterRenderer) -> list[list]:
    """Value, colour, opacity and label of each entry."""
    if hasattr(renderer, "classes"):
        entries = renderer.classes()
    elif hasattr(renderer, "shader"):
        entries = renderer.shader().rasterShaderFunction().colorRampItemList()
    else:
        entries = []
    return [[e.value, e.color.name(), e.color.alpha(), e.label] for e in entries]


def tables(path: Path) -> list[dict[str, str]]:
    """Names of the values of each band, as GDAL reads them."""
    dataset = gdal.Open(str(path))
    found = []
    for number in range(1, dataset.RasterCount + 1):
        table = dataset.GetRasterBand(number).GetDefaultRAT()
        rows = range(table.GetRowCount()) if table else []
        found.append({table.GetValueAsString(r, 0): table.GetValueAsString(r, 1) for r in rows})
    return found


def vector(path: Path) -> dict:
    layer = QgsVectorLayer(str(path), path.stem, "ogr")
    renderer = layer.renderer()
    categories = getattr(renderer, "categories", list)()
    return {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "features": layer.featureCount(),
        "fields": {field.name(): field.typeName() for field in layer.fields()},
        "renderer": renderer.type() if renderer else None,
        "legend": [[c.value(), c.symbol().color().name(), c.label()] for c in categories],
    }


def picture(layers: list, path: Path) -> None:
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[-1].crs())
    settings.setExtent(layers[-1].extent())
    settings.setOutputSize(QSize(SHOWN, SHOWN))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(path))


def main(folder: Path, pictures: Path) -> None:
    gdal.UseExceptions()
    found = {}
    pictures.mkdir()
    for path in sorted(folder.rglob("*.tif")):
        if ".SAFE" not in str(path):
            found[path.relative_to(folder).as_posix()] = raster(path)
    for ending in ("gpkg", "fgb", "csv"):
        for path in sorted(folder.rglob(f"maps/*/*.{ending}")):
            found[path.relative_to(folder).as_posix()] = vector(path)
    for path in sorted(folder.rglob("maps/*/flood.tif")):
        polygons = QgsVectorLayer(str(path.with_suffix(".gpkg")), "polygons", "ogr")
        picture([polygons], pictures / "polygons.png")
        for name in ("flood", "likelihood"):
            shown = QgsRasterLayer(str(path.with_name(f"{name}.tif")), name)
            picture([shown], pictures / f"{name}.png")
    print(json.dumps(found))


application = QgsApplication([], False)
application.initQgis()
main(Path(sys.argv[1]), Path(sys.argv[2]))
application.exitQgis()
