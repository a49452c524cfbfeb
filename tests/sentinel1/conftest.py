"""Mountains that the radar looks at, with products that know the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from floodloom.raster.grid import grid_from_bounds
from floodloom.simulate.event import EPSG, Overflight, look_at, product_content
from floodloom.simulate.render import render_sigma0
from floodloom.simulate.safe import write_safe
from tests.simulated import lay_event

EAST, NORTH = 500_000.0, 5_090_000.0


def grid(side: int, east: float = EAST, north: float = NORTH, epsg: int = EPSG) -> GeoBox:
    return grid_from_bounds((east, north, east + 10 * side, north + 10 * side), epsg, 10.0)


def ridges(side: int, height: float, length: float) -> np.ndarray:
    """Crossing ridges, (y, x) m; the steepest slope is about 2π·height/length per pixel of 10 m."""
    y, x = np.mgrid[:side, :side]
    waves = np.sin(2 * np.pi * (x + 0.3 * y) / length) + np.cos(2 * np.pi * (y - 0.2 * x) / length)
    return height / 4 * (waves + 2)


@dataclass(frozen=True)
class Place:
    """A simulated place in a folder."""

    event: Overflight
    dem: Path

    def write(self, path: Path, sigma0: np.ndarray) -> Path:
        """Write a product of this backscatter (y, x), linear power, without noise or speckle."""
        image = render_sigma0(sigma0, self.event.view, self.event.acquisition.geometry)
        return write_safe(product_content(self.event, {"vv": image, "vh": image}, True), path)


def make_place(folder: Path, elevation: np.ndarray, size: int, box: GeoBox | None = None) -> Place:
    """Write the elevations of a place and let the radar look at it."""
    side = len(elevation)
    dem = folder / "dem.tif"
    box = box or grid(side)
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "float32"}
    with rasterio.open(dem, "w", crs=str(box.crs), transform=box.affine, **profile) as raster:
        raster.write(elevation.astype(np.float32), 1)
    return Place(look_at(box, elevation.astype(np.float64), size), dem)


@pytest.fixture(scope="session")
def mountains(tmp_path_factory) -> Place:
    """Ridges of 400 m with slopes up to 45 degrees."""
    return make_place(tmp_path_factory.mktemp("mountains"), ridges(420, 400.0, 96.0), 340)


@pytest.fixture
def place_of(tmp_path, monkeypatch) -> Callable[..., Place]:
    """Make a place from elevations (y, x), the size of the image, and where it lies."""

    def make(elevation: np.ndarray, size: int, box: GeoBox | None = None) -> Place:
        if box is not None:
            monkeypatch.setattr("floodloom.simulate.event.EPSG", box.crs.to_epsg())
        return make_place(tmp_path, elevation, size, box)

    return make


@pytest.fixture(scope="session")
def safe(tmp_path_factory) -> Path:
    """A small simulated product."""
    folder = tmp_path_factory.mktemp("product")
    return lay_event(folder, size=128)
