"""Polygons as compact SVG paths in pixel coordinates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely.geometry import shape


@dataclass(frozen=True)
class Outline:
    """An SVG path (even-odd) and the number of patches that were too many to be drawn."""

    path: str = ""
    left_out: int = 0


def outline_of(polygons: Iterable[Any], transform: Affine, most_vertices: int) -> Outline:
    """Draw polygons as one path.

    Parameters
    ----------
    polygons
        Shapely polygons in the coordinates of `transform`, largest first.
    transform
        From pixels to those coordinates; the path is in pixels, x to the right, y down.
    most_vertices
        Polygons beyond this many vertices are left out.
    """
    to_pixels = ~transform
    parts: list[str] = []
    vertices = left_out = 0
    for polygon in polygons:
        rings = [ring for part in _parts(polygon) for ring in (part.exterior, *part.interiors)]
        vertices += sum(len(ring.coords) for ring in rings)
        if vertices > most_vertices:
            left_out += 1
            continue
        parts += [_ring(np.asarray(ring.coords)[:, :2], to_pixels) for ring in rings]
    return Outline("".join(parts), left_out)


def outline_of_mask(
    mask: NDArray[np.bool_], transform: Affine, most_vertices: int = 100_000
) -> Outline:
    """Draw the patches of a (y, x) mask; `transform` takes its pixels to those of the path."""
    found = shapes(mask.astype(np.uint8), mask=mask, transform=transform)
    polygons = sorted((shape(part) for part, _ in found), key=lambda p: p.area, reverse=True)
    return outline_of(polygons, Affine.identity(), most_vertices)


def _parts(polygon: Any) -> list[Any]:
    return list(polygon.geoms) if polygon.geom_type.startswith("Multi") else [polygon]


def _ring(coordinates: NDArray[np.float64], to_pixels: Affine) -> str:
    x, y = to_pixels @ (coordinates[:, 0], coordinates[:, 1])
    points = np.rint(np.stack([x, y], axis=-1)).astype(int)[:-1]
    steps = np.diff(points, axis=0)
    return f"M{points[0, 0]} {points[0, 1]}{''.join(_step(dx, dy) for dx, dy in steps)}z"


def _step(right: int, down: int) -> str:
    """One relative step; the edges of pixels need one number, not two."""
    if down == 0:
        return f"h{right}"
    return f"v{down}" if right == 0 else f"l{right} {down}"
