"""One's own files as an event: what they are, when they were taken, and the grid of the map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.prepare.area import box_of
from floodloom.prepare.checks import (
    require_alike,
    require_known_to_model,
    shares_seen_before,
)
from floodloom.prepare.found import Found, look_at
from floodloom.prepare.lookup import Scenes, Tiles, elevations, layers_of, look_up
from floodloom.prepare.passes import part_by_date
from floodloom.prepare.settings import Area, OwnFiles, Search
from floodloom.prepare.sizes import Size, fetched
from floodloom.raster.grid import (
    Bounds,
    projected_bounds,
    utm_epsg,
)
from floodloom.sentinel1.footprint import MARGIN_DEG, event_grid, united_footprint
from floodloom.sentinel1.settings import BackscatterSettings, GeocodeSettings

_WORLD = "EPSG:4326"
_FINEST_M = 10.0
_WHOLE = 0.995
_ORBIT_BYTES = 4_600_000  # of a day, 10 s apart


@dataclass(frozen=True)
class Survey:
    """What was found out of one's own files.

    Attributes
    ----------
    area, stated
        What was given.
    dem
        Elevation raster or folder; addresses or paths of STAC items of tiles; None if there is
        none.
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
    chosen
        Why scenes of a catalogue were chosen and others weren't, and what will be fetched; a line
        each.
    layers
        Tiles of further rasters that are fetched, by their key of an event.
    orbits
        Whether orbit files of products are fetched.
    """

    dem: Path | Tiles | None
    area: Area
    stated: BackscatterSettings
    after: list[Found]
    before: list[list[Found]]
    shares: list[float]
    geocode: GeocodeSettings
    grid: GeoBox
    elevations: str
    heights_known: str
    chosen: tuple[str, ...] = ()
    layers: Mapping[str, Tiles] = field(default_factory=dict)
    orbits: bool = False

    def lines(self) -> Iterator[str]:
        """Yield what was found, a line each."""
        yield from self.chosen
        for scene in self.after:
            yield f"after: {scene.path}: {scene.described}"
        for members, share in zip(self.before, self.shares, strict=True):
            for scene in members:
                yield f"before: {scene.path}: {scene.described}"
            if share < _WHOLE:
                yield f"  shows {share:.0%} of the map; elsewhere nothing is known from before"
        if not self.before and "reference_water" not in self.layers:
            yield (
                "before: no scene, so water from before isn't separated from the flood, unless "
                "config.yaml is given reference_water"
            )
        for scene in self.after[:1]:
            if scene.reasons:
                yield f"taken for: {scene.reasons}"
        yield f"elevations: {self.elevations}"
        if self.orbits:
            count = len(self.after) + sum(map(len, self.before))
            size = fetched("file", [Size(_ORBIT_BYTES)] * count)
            yield f"orbits: precise, or restituted where there is no other; {size}"
        height, width = self.grid.shape.yx
        square_km = height * width * self.grid.resolution.x**2 / 1e6
        yield (
            f"map: {width} x {height} px of {self.grid.resolution.x:g} m, {square_km:,.0f} km², "
            f"EPSG:{self.grid.crs.to_epsg()}"
        )


def survey(files: OwnFiles, area: Area, search: Search, stated: BackscatterSettings) -> Survey:
    """Find out what one's own files or those of a catalogue are; refuse what can't become a map.

    Parameters
    ----------
    files
        Scenes and elevations.
    area
        The part that is mapped.
    search
        Date and catalogue, instead of scenes.
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
    box = box_of(area)
    given = _given(files, stated) if search.date is None else look_up(files, search, box, stated)
    return survey_scenes(given, files, area, search, stated)


def survey_scenes(
    given: Scenes, files: OwnFiles, area: Area, search: Search, stated: BackscatterSettings
) -> Survey:
    """Find out what goes with scenes that are known: the grid, elevations and other layers.

    Parameters
    ----------
    given
        The scenes.
    files, area, search, stated
        As for `survey`.
    """
    box = box_of(area)
    after, before = given.after, given.before
    scenes = [*after, *(scene for members in before for scene in members)]
    require_alike(scenes, stated)
    if search.orbits and not after[0].is_product:
        raise InputError(
            f"{after[0].path}: terrain-corrected by others, with orbits of their own; leave out "
            "--orbits"
        )
    shares = shares_seen_before(after, before, box)
    covered = united_footprint([scene.footprint for scene in scenes]) if box is None else box
    heights = elevations(files, search, after[0], covered, is_part=box is not None)
    layers, described = layers_of(search, covered, after[0].taken, is_part=box is not None)
    geocode = GeocodeSettings.model_validate({**_placed(scenes, box), **heights.settings})
    within = heights.dem if after[0].is_product and isinstance(heights.dem, Path) else None
    grid = event_grid(
        [scene.footprint for scene in scenes],
        geocode.epsg,
        geocode.resolution,
        geocode.bounds,
        within,
        str(after[0].path),
        margin=0.0 if all(scene.is_placed for scene in scenes) else MARGIN_DEG,
    )
    if after[0].recipe is not None:
        recipe = after[0].recipe.model_copy(update={"spacing": geocode.resolution})
        require_known_to_model(recipe, str(after[0].path))
    return Survey(
        dem=heights.dem,
        area=area,
        stated=stated,
        after=after,
        before=before,
        shares=shares,
        geocode=geocode,
        grid=grid,
        elevations=heights.described,
        heights_known=heights.whence,
        chosen=(*given.reasons, *described),
        layers=layers,
        orbits=search.orbits,
    )


def _given(files: OwnFiles, stated: BackscatterSettings) -> Scenes:
    if not files.scenes:
        raise InputError(
            "no scenes: give --scenes, or --date with --bbox, --place or --aoi, and they are "
            "looked for in a catalogue"
        )
    return Scenes(*part_by_date(_scenes(files.scenes, stated), _scenes(files.before, stated)))


def _scenes(paths: Sequence[Path], stated: BackscatterSettings) -> list[Found]:
    """Look at scenes; files of the polarisations of one are one."""
    found: list[Found] = []
    for path in paths:
        whole = path.resolve()
        if not any(whole in scene.files for scene in found):
            found.append(look_at(path, stated))
    return found


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
