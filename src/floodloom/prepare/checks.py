"""What can't become a map is refused, before anything is computed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import shapely
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from floodloom.errors import InputError
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.prepare.found import Found
from floodloom.prepare.settings import Datum, OwnFiles
from floodloom.raster.grid import Bounds
from floodloom.raster.placing import require_orbits
from floodloom.raster.recipe import Accepted, Recipe
from floodloom.sentinel1.elevation import elevation_raster
from floodloom.sentinel1.heights import datum_of, require_datum
from floodloom.sentinel1.settings import BackscatterSettings

_TURNS = (-360.0, 0.0, 360.0)
_NAMED_DATUMS: dict[Datum, re.Pattern[str]] = {
    "egm2008": re.compile(r"Copernicus_DSM|GLO-?[39]0|egm_?(20)?08", re.IGNORECASE),
    "egm96": re.compile(r"SRTM|NASADEM|ASTGTM|AW3D30|egm_?96", re.IGNORECASE),
}
"""Elevation models whose files state no vertical datum, by their names."""


def require_alike(scenes: Sequence[Found], stated: BackscatterSettings) -> None:
    """Check that scenes are of one kind and that the default model maps them.

    Raises
    ------
    InputError
        If products and backscatter of others are mixed, one shows neither VV nor VH, or something
        is stated of others' backscatter but there is none.
    RecipeMismatchError
        If one was made otherwise than the first, or as the model doesn't know it.
    """
    first = scenes[0]
    if first.is_product and (given := sorted(stated.model_dump(exclude_defaults=True))):
        raise InputError(
            f"{first.path}: a product, which floodloom calibrates; leave out {', '.join(given)}, "
            "which are of backscatter of others"
        )
    for scene in scenes:
        if scene.is_product != first.is_product:
            product, other = (scene, first) if scene.is_product else (first, scene)
            raise InputError(
                f"{other.path}: terrain-corrected by others, but {product.path} is a product; give "
                "scenes of one kind, which look alike"
            )
        if not {"vv", "vh"} & set(scene.polarisations):
            raise InputError(
                f"{scene.path}: has {', '.join(scene.polarisations)} alone, but the model that "
                "floodloom brings looks at VV and VH; give such a scene"
            )
        if first.recipe is not None and scene.recipe is not None:
            first.recipe.require_alike(scene.recipe, str(scene.path))


def require_known_to_model(recipe: Recipe, name: str) -> None:
    """Check that the model that floodloom brings maps scenes of a recipe.

    Raises
    ------
    RecipeMismatchError
        Naming what differs.
    """
    from floodloom.learning.checkpoint import read_metadata  # which needs torch

    stored = read_metadata(DEFAULT_CHECKPOINT)
    wanted = Recipe.model_validate(stored["recipe"])
    wanted.require_scene(recipe, name, Accepted.model_validate(stored["accepts"]))


def shares_seen_before(
    after: Sequence[Found], before: Sequence[Sequence[Found]], box: Bounds | None
) -> list[float]:
    """Return how much of the map each date before the flood shows, 0 to 1.

    Parameters
    ----------
    after
        Scenes of the flood.
    before
        Scenes of each date before it.
    box
        West, south, east and north of what is mapped, degrees; None for all that they show.

    Raises
    ------
    InputError
        If the scenes show nothing of the box, one date before nothing of the map, or one was taken
        in the other orbit direction.
    """
    seen = shapely.union_all([scene.outline for scene in after])
    if box is not None:
        kept = common(seen, shapely.box(*box))
        if kept.is_empty:
            raise InputError(
                f"{after[0].path}: shows nothing of the area; it covers "
                f"{_extent(after[0].footprint)}, the area is {_extent(box)}"
            )
        seen = kept
    shares = []
    for members in before:
        for scene in members:
            require_orbits(scene.facts, after[0].facts, name=str(scene.path))
        shown = common(seen, shapely.union_all([scene.outline for scene in members]))
        if shown.area == 0:
            raise InputError(
                f"{members[0].path}: no overlap with {after[0].path}; it covers "
                f"{_extent(members[0].footprint)}, but {_extent(after[0].footprint)} is mapped"
            )
        shares.append(min(shown.area / seen.area, 1.0))
    return shares


def common(one: BaseGeometry, other: BaseGeometry) -> BaseGeometry:
    """What two shapes share, whatever turn their longitudes are counted in."""
    return shapely.union_all([one & translate(other, xoff=turn) for turn in _TURNS])


def _extent(bounds: Bounds) -> str:
    west, south, east, north = bounds
    return f"{west:.2f} to {east:.2f} degrees east, {south:.2f} to {north:.2f} north"


def datum_of_elevations(files: OwnFiles) -> tuple[Datum | None, str, str]:
    """Find out what elevations are measured from.

    Parameters
    ----------
    files
        With `dem` and, where it is stated, `dem_heights`.

    Returns
    -------
    setting
        `geocode.dem_heights`; None where the CRS states it.
    datum
        What it is.
    whence
        How it is known, in words.

    Raises
    ------
    InputError
        If the raster can't be read, the two contradict one another, or the geoid isn't on this
        machine.
    """
    raster, _ = elevation_raster(str(files.dem))
    setting = files.dem_heights
    if raster.vertical is None and setting is None:
        setting, whence = _by_name(Path(str(files.dem)))
    else:
        whence = "its CRS states it" if setting is None else "stated"
    datum = datum_of(raster.vertical, setting, str(files.dem))
    require_datum(datum)
    return setting, datum, whence


def _by_name(dem: Path) -> tuple[Datum, str]:
    inside = sorted(file.name for file in dem.iterdir()) if dem.is_dir() else []
    for name in (dem.name, *inside[:1]):
        for datum, pattern in _NAMED_DATUMS.items():
            if pattern.search(name):
                return datum, f"by the name {name}"
    return "ellipsoid", "assumed: nothing states it"
