"""A whole flood event: landscape, two acquisitions, optical image, truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.spatial import cKDTree

from floodloom.arrays import Doubles
from floodloom.raster.grid import grid_from_bounds
from floodloom.sentinel1.bands import CROSS_POLARISED
from floodloom.sentinel1.decibel import decibel_to_power
from floodloom.sentinel1.geometry import zero_doppler
from floodloom.sentinel1.orbit import geodetic_to_earth_fixed
from floodloom.simulate.acquisition import Acquisition, plan_acquisition
from floodloom.simulate.backscatter import Day
from floodloom.simulate.landscape import Landscape, make_landscape, surface_backscatter
from floodloom.simulate.place import Place
from floodloom.simulate.render import (
    CALIBRATION_BETA0,
    View,
    digital_numbers,
    earth_fixed,
    incidence_of_pixels,
    noise_equivalent_sigma0,
    render_sigma0,
    speckled,
    view_surface,
)
from floodloom.simulate.safe import SafeContent, TiePoints

EPSG = 32633
EAST_M, NORTH_M = 450_000.0, 5_080_000.0
BEFORE = np.datetime64("2023-05-02T16:58:21.000000", "us")
AFTER = np.datetime64("2023-05-14T16:58:21.500000", "us")
_TURN = 1.23
_LOWEST_M = 50.0
_CROSS_POLARISED_NOISE_DB = -1.5


@dataclass(frozen=True)
class Overflight:
    """How the radar sees ground that it passes over.

    `geobox` is the map grid of `elevation`, (y, x) float64, m above the ellipsoid, `view` how that
    surface lies to the radar, `incidence` and `noise` (pixel,) float64 the image's incidence angle
    (degrees) and noise (sigma0, linear).
    """

    geobox: GeoBox
    elevation: Doubles
    acquisition: Acquisition
    view: View
    incidence: Doubles
    noise: Doubles


@dataclass(frozen=True)
class Event(Overflight):
    """A place, its flood, and how the radar sees both; `seed` of the place."""

    landscape: Landscape
    seed: int


def make_event(seed: int, size: int, spacing: float, flood_depth: float, relief: float) -> Event:
    """Make an event.

    Parameters
    ----------
    seed
        Seed of the place.
    size
        Lines and pixels of the radar's image; the map reaches around its turned footprint.
    spacing
        Pixel spacing of image and map, m.
    flood_depth
        Level of the flood above the drainage, m.
    relief
        Standard deviation of the hills' height, m.

    Returns
    -------
    Event
    """
    side = round(size * _TURN)
    east, north = EAST_M + 40_000.0 * (seed % 7), NORTH_M + 30_000.0 * (seed % 5)
    extent = (east, north, east + side * spacing, north + side * spacing)
    geobox = grid_from_bounds(extent, EPSG, spacing)
    draw = np.random.default_rng(seed)
    place = _place(draw, relief, side * spacing)
    landscape = make_landscape(draw, place, side, spacing, depth=flood_depth)
    elevation = landscape.ground.elevation.astype(np.float64)
    elevation += _LOWEST_M - elevation.min()
    seen = look_at(geobox, elevation, size)
    return Event(**vars(seen), landscape=landscape, seed=seed)


def _place(draw: np.random.Generator, relief: float, extent: float) -> Place:
    """Farmland along a river, extent in m."""
    return Place(
        biome="farmland",
        relief=relief,
        roughness=3.6,
        river="meandering",
        rivers=1,
        river_width=draw.uniform(0.008, 0.012) * extent,
        plain=draw.uniform(1.4, 2.2),
        rise=6.0,
        fields=0.75,
        parcel=220.0,
        coast=False,
        lakes=0.02,
        ponds=0.0,
        paddies=0.0,
        towns=3,
        snow=False,
        perennial=True,
        green=0.6,
    )


def _day(event: Event, flood: bool) -> Day:
    """Weather of one of the two acquisitions."""
    draw = np.random.default_rng(2 * event.seed + int(flood))
    return Day(
        green=0.7 if flood else 0.6,
        moist=1.0 if flood else 0.0,
        wind=draw.uniform(2, 6),
        toward=draw.uniform(0, 360),
        gust=draw.uniform(0.1, 0.3),
        seed=int(draw.integers(2**62)),
    )


def look_at(geobox: GeoBox, elevation: Doubles, size: int) -> Overflight:
    """Let the radar pass over a surface.

    Parameters
    ----------
    geobox
        Map grid of the surface, with a spacing in metres.
    elevation
        (y, x) float64, m above the ellipsoid.
    size
        Lines and pixels of the radar's image, centred on the grid, of the grid's spacing.

    Returns
    -------
    Overflight
    """
    extent = geobox.boundingbox
    to_degrees = Transformer.from_crs(f"EPSG:{EPSG}", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(
        (extent.left + extent.right) / 2, (extent.bottom + extent.top) / 2
    )

    acquisition = plan_acquisition(
        longitude,
        latitude,
        float(elevation.mean()),
        lines=size,
        samples=size,
        spacing=abs(geobox.resolution.y),
    )

    view = view_surface(earth_fixed(geobox, elevation), acquisition.geometry)
    return Overflight(
        geobox=geobox,
        elevation=elevation,
        acquisition=acquisition,
        view=view,
        incidence=incidence_of_pixels(view, size),
        noise=noise_equivalent_sigma0(size),
    )


def image_event(event: Event, flood: bool) -> dict[str, Doubles]:
    """Return the speckled image of one date, signal and thermal noise together.

    Parameters
    ----------
    event
        The event.
    flood
        Whether the flood is there.

    Returns
    -------
    dict
        `vv` and `vh`, each (line, pixel) float64 sigma0, linear power. The sigma0 that calibration
        should give back is this less the noise of `band_noise`.
    """
    clean, _ = surface_backscatter(
        event.landscape, _day(event, flood), event.view.incidence_deg, flooded=flood
    )
    images = {}
    for number, (band, surface) in enumerate(clean._asdict().items()):
        rendered = render_sigma0(surface, event.view, event.acquisition.geometry)
        seed = 1000 * (2 * event.seed + int(flood)) + number
        images[band] = speckled(rendered, band_noise(event, band), seed)
    return images


def band_noise(event: Overflight, band: str) -> Doubles:
    """Return the thermal noise of a polarisation across the swath, (pixel,), sigma0."""
    offset = _CROSS_POLARISED_NOISE_DB if band in CROSS_POLARISED else 0.0
    return np.asarray(event.noise * decibel_to_power(offset))


def product_content(event: Overflight, images: dict[str, Doubles], flood: bool) -> SafeContent:
    """Put one date's images into the form of a product."""
    sine = np.sin(np.radians(event.incidence))
    cosine = np.cos(np.radians(event.incidence))
    sigma_table = CALIBRATION_BETA0 / np.sqrt(sine)
    tables = {
        "betaNought": np.full_like(sine, CALIBRATION_BETA0),
        "dn": np.full_like(sine, CALIBRATION_BETA0),
        "sigmaNought": sigma_table,
        "gamma": sigma_table * np.sqrt(cosine),
    }
    return SafeContent(
        start=AFTER if flood else BEFORE,
        acquisition=event.acquisition,
        measurements={b: digital_numbers(image, sigma_table) for b, image in images.items()},
        tables=tables,
        noise={band: band_noise(event, band) * sigma_table**2 for band in images},
        tie_points=_tie_points(event),
    )


def _tie_points(event: Overflight) -> TiePoints:
    """Pixels of the map near to a regular grid on the image, with their exact places."""
    view, geometry = event.view, event.acquisition.geometry
    line, pixel = np.meshgrid(
        np.linspace(0, geometry.lines - 1, 6),
        np.linspace(0, geometry.samples - 1, 11),
        indexing="ij",
    )

    # A few hundred pixels along a side are near enough, and found at once.
    step = max(len(view.line) // 300, 1)
    known = view.line[::step, ::step], view.pixel[::step, ::step]
    places = np.stack([coordinate.ravel() for coordinate in known], axis=-1)
    _, nearest = cKDTree(places).query(np.stack([line.ravel(), pixel.ravel()], axis=-1))
    rows, cols = (step * index for index in np.unravel_index(nearest, known[0].shape))

    east, north = event.geobox.affine @ (cols + 0.5, rows + 0.5)
    to_degrees = Transformer.from_crs(f"EPSG:{EPSG}", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(east, north)
    height = event.elevation[rows, cols]
    _, slant_range = zero_doppler(
        geodetic_to_earth_fixed(longitude, latitude, height), geometry.orbit
    )

    return TiePoints(
        line=view.line[rows, cols],
        pixel=view.pixel[rows, cols],
        latitude=latitude,
        longitude=longitude,
        height=height,
        slant_range=slant_range,
        incidence=view.incidence_deg[rows, cols],
    )
