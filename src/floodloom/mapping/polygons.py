"""Polygons of a map."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import Bytes, Doubles
from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.mapping.outlines import Outlines, Patches
from floodloom.raster.areas import pixel_areas
from floodloom.raster.product import CLASS_COLUMN, FloodClass

CLASS_NAMES = {
    FloodClass.PERMANENT.value: "permanent water",
    FloodClass.FLOOD.value: "flood",
    FloodClass.EXCLUDED.value: "excluded",
}
"""Classes that become polygons."""

VEGETATION = FloodClass.EXCLUDED.value + 1
"""Value of flooded vegetation among patches; its polygons are of the class flood, with a name of
their own."""

_NAMES = {**CLASS_NAMES, VEGETATION: "flooded vegetation"}

_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf"}
_OPTIONS = {"GPKG": {"VERSION": "1.2"}}  # GDAL before 3.7 warns of what is newer
_REFUSALS = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError)
_AT_ONCE = 100_000  # polygons that are read back


@dataclass(frozen=True)
class FloodPolygons:
    """The patches of a flood map: permanent water, flood and excluded pixels.

    Attributes
    ----------
    columns
        (patch,) each: `class`, `name`, `area_ha`, `likelihood` (mean percent), and facts that are
        the same for each (event, date, scene).
    geometry
        (patch,) object: well-known binary. Rasterised, they are the map to the pixel.
    crs
        Well-known text; None: in pixels.
    """

    columns: Mapping[str, NDArray[Any]]
    geometry: NDArray[np.object_]
    crs: str | None


class PolygonsOfMap:
    """The polygons of a flood map that is given from top to bottom.

    Parameters
    ----------
    geobox
        Grid; without a CRS, polygons are in pixels and areas in pixels / 10 000.
    """

    def __init__(self, geobox: GeoBox) -> None:
        self._geobox = geobox
        self._areas = pixel_areas(geobox)
        self._outlines = Outlines(self._areas, geobox.affine)
        self._made: list[Patches] = []

    def add(self, classes: Bytes, likelihood: Bytes) -> None:
        """Add a strip.

        Parameters
        ----------
        classes
            (row, x) uint8, see `FloodClass`, and `VEGETATION`.
        likelihood
            (row, x) uint8 percent of water.
        """
        self._made.append(self._outlines.add(_WANTED[classes], likelihood))

    def finish(self, facts: Mapping[str, str]) -> FloodPolygons:
        """Return the polygons, the largest first, those of one area by their first pixel.

        Parameters
        ----------
        facts
            Further columns, the same for every polygon.
        """
        self._made.append(self._outlines.finish())
        value, size, mean, first, outline = (
            np.concatenate([getattr(part, name) for part in self._made])
            for name in ("value", "size", "mean", "first", "outline")
        )
        self._made.clear()
        order = np.lexsort((first, -size))
        columns: dict[str, NDArray[Any]] = {
            CLASS_COLUMN: np.where(
                value[order] == VEGETATION, FloodClass.FLOOD.value, value[order]
            ).astype(np.int32),
            "name": np.array([_NAMES[v] for v in value[order].tolist()], dtype=object),
            "area_ha": size[order] / self._areas.scale / 10_000,
            "likelihood": np.round(mean[order], 1),
        }
        for name, text in facts.items():
            columns[name] = np.full(len(order), text, dtype=object)
        crs = self._geobox.crs
        return FloodPolygons(columns, outline[order], None if crs is None else crs.to_wkt())


_WANTED = np.array([c if c in _NAMES else 0 for c in range(256)], dtype=np.uint8)


def require_polygon_file(path: str | Path) -> str:
    """Return the driver for a file of polygons.

    Raises
    ------
    InputError
        If its name ends neither with .gpkg nor with .fgb.
    """
    driver = _DRIVERS.get(Path(path).suffix)
    if driver is None:
        raise InputError(f"{path}: polygons are .gpkg or .fgb; choose one of these endings")
    return driver


def write_polygons(polygons: FloodPolygons, path: str | Path) -> Path:
    """Write polygons as the layer `flood` of a GeoPackage or as FlatGeobuf, whole or not at all.

    Raises
    ------
    InputError
        See `require_polygon_file`.
    """
    driver = require_polygon_file(path)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        try:
            pyogrio.raw.write(
                temporary, polygons.geometry, list(polygons.columns.values()),
                list(polygons.columns), layer="flood", driver=driver, geometry_type="Polygon",
                crs=polygons.crs, dataset_options=_OPTIONS.get(driver),
            )  # fmt: skip
            back = _areas_of_file(temporary)
        except _REFUSALS as error:
            reason = str(error).replace(str(temporary), Path(path).name)
            raise _unwritten(path, reason) from error
        # A disk that is full as a file is closed may go unreported.
        if not np.array_equal(back, np.sort(_areas_of(polygons.geometry))):
            raise _unwritten(path, "polygons are missing")
    return Path(path)


def _areas_of_file(path: Path) -> Doubles:
    """Areas of the polygons of a file in the units of its coordinates, ascending."""
    found: list[Doubles] = []
    while not found or len(found[-1]):
        done = sum(len(areas) for areas in found)
        geometry = pyogrio.raw.read(path, columns=[], skip_features=done, max_features=_AT_ONCE)[2]
        found.append(_areas_of(geometry))
    return np.sort(np.concatenate(found))


def _areas_of(geometry: NDArray[np.object_]) -> Doubles:
    parts = [geometry[at : at + _AT_ONCE] for at in range(0, len(geometry), _AT_ONCE)]
    areas = [shapely.area(shapely.from_wkb(part)) for part in parts]
    return np.concatenate(areas) if areas else np.zeros(0)


def _unwritten(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path}: can't be written ({reason}); is the disk full, or the quota?")
