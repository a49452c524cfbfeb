"""One's own files as an event: what they are, when they were taken, and the grid of the map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.prepare.area import box_of
from floodloom.prepare.checks import (
    datum_of_elevations,
    require_alike,
    require_known_to_model,
    shares_seen_before,
)
from floodloom.prepare.found import Found, look_at
from floodloom.prepare.passes import part_by_date
from floodloom.prepare.settings import Area, OwnFiles
from floodloom.raster.grid import (
    Bounds,
    projected_bounds,
    utm_epsg,
)
from floodloom.sentinel1.footprint import event_grid
from floodloom.sentinel1.settings import BackscatterSettings, GeocodeSettings

_WORLD = "EPSG:4326"
_FINEST_M = 10.0
_WHOLE = 0.995


@dataclass(frozen=True)
class Survey:
    """What was found out of one's own files.

    Attributes
    ----------
    files, area, stated
        What was given.
    after
        Scenes of the flood.
    before
        Scenes of each date before it, the latest first.
    shares
        How much of the map each date before shows, 0 to 1.
    geocode
        Grid and elevations, as far as they differ from the defaults.
    grid
        The map's grid.
    elevations
        What they are, in words.
    heights_known
        Whence it is known what elevations are measured from, in words.
    """

    files: OwnFiles
    area: Area
    stated: BackscatterSettings
    after: list[Found]
    before: list[list[Found]]
    shares: list[float]
    geocode: GeocodeSettings
    grid: GeoBox
    elevations: str
    heights_known: str

    def lines(self) -> Iterator[str]:
        """Yield what was found, a line each."""
        for scene in self.after:
            yield f"after: {scene.path}: {scene.described}"
        for members, share in zip(self.before, self.shares, strict=True):
            for scene in members:
                yield f"before: {scene.path}: {scene.described}"
            if share < _WHOLE:
                yield f"  shows {share:.0%} of the map; elsewhere nothing is known from before"
        if not self.before:
            yield (
                "before: no scene, so water from before isn't told from the flood, unless "
                "config.yaml is given reference_water"
            )
        for scene in self.after[:1]:
            if scene.reasons:
                yield f"taken for: {scene.reasons}"
        yield f"elevations: {self.elevations}"
        height, width = self.grid.shape.yx
        square_km = height * width * self.grid.resolution.x**2 / 1e6
        yield (
            f"map: {width} x {height} px of {self.grid.resolution.x:g} m, {square_km:,.0f} km², "
            f"EPSG:{self.grid.crs.to_epsg()}"
        )


def survey(files: OwnFiles, area: Area, stated: BackscatterSettings) -> Survey:
    """Find out what one's own files are, and refuse what can't become a map.

    Parameters
    ----------
    files
        Scenes and elevations.
    area
        The part that is mapped.
    stated
        What is stated of backscatter of others.

    Returns
    -------
    Survey

    Raises
    ------
    InputError, RecipeMismatchError
        One line that names the file and what to do.
    """
    after, before = part_by_date(
        [look_at(path, stated) for path in files.scenes],
        [look_at(path, stated) for path in files.before],
    )
    scenes = [*after, *(scene for members in before for scene in members)]
    require_alike(scenes, stated)
    box = box_of(area)
    shares = shares_seen_before(after, before, box)
    heights, elevations, whence = _elevations(files, after[0])
    geocode = GeocodeSettings.model_validate({**_placed(scenes, box), **heights})
    within = files.dem if after[0].is_product else None
    grid = event_grid(
        [scene.footprint for scene in scenes],
        geocode.epsg,
        geocode.resolution,
        geocode.bounds,
        within,
        str(after[0].path),
    )
    if after[0].recipe is not None:
        recipe = after[0].recipe.model_copy(update={"spacing": geocode.resolution})
        require_known_to_model(recipe, str(after[0].path))
    return Survey(files, area, stated, after, before, shares, geocode, grid, elevations, whence)


def _elevations(files: OwnFiles, first: Found) -> tuple[dict[str, object], str, str]:
    """Return settings of heights, what is known of elevations, and whence, in words."""
    if files.dem is not None:
        setting, datum, whence = datum_of_elevations(files)
        return {"dem_heights": setting}, f"{files.dem}, {datum} heights ({whence})", whence
    if not first.is_product:
        return {}, "none; the scenes are terrain-corrected", ""
    if files.height is None:
        raise InputError(
            f"{first.path}: a product needs elevations to be put on a map; give --dem, or on flat "
            "ground --height, m above the ellipsoid"
        )
    height: dict[str, object] = {"constant_height": files.height}
    return height, f"none; all ground is taken to lie {files.height:g} m above the ellipsoid", ""


def _placed(scenes: list[Found], box: Bounds | None) -> dict[str, object]:
    """Return where the map lies, as far as the defaults don't give it."""
    spacings = [s.recipe.spacing for s in scenes if s.recipe is not None and s.recipe.spacing]
    found: dict[str, object] = {}
    if spacings and max(spacings) > _FINEST_M:
        found["resolution"] = round(max(spacings), 1)
    if box is None:
        return found
    west, south, east, north = box
    epsg = utm_epsg((((west + east) / 2 + 180.0) % 360.0) - 180.0, (south + north) / 2)
    bounds = projected_bounds(box, _WORLD, f"EPSG:{epsg}")
    if bounds is None:
        raise InputError(f"area {box}: can't be shown on a map (EPSG:{epsg}); give a smaller one")
    return {**found, "epsg": epsg, "bounds": tuple(round(value) for value in bounds)}
