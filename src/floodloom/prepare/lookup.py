"""What a catalogue has of a flood: its scenes, and elevations where none are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from floodloom.acquire.catalogues import AROUND, LAYERS, OPTICAL
from floodloom.dates import read_date
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.prepare.candidates import Candidate
from floodloom.prepare.checks import datum_of_elevations
from floodloom.prepare.choose import Choice, choose, choose_each
from floodloom.prepare.found import Found
from floodloom.prepare.optical import image_beside
from floodloom.prepare.search import NoSceneError, scenes_of, tiles_of
from floodloom.prepare.settings import OwnFiles, Search
from floodloom.prepare.sizes import fetched, size_of_part
from floodloom.raster.grid import Bounds
from floodloom.sentinel1.heights import require_datum
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.texts import brief, is_address, redact

DEFAULT = "copernicus"
"""The catalogue that is taken when none is given."""
COPERNICUS_DATUM = "egm2008"
"""What the heights of Copernicus DEM are measured from; its files don't state it."""


Tiles = tuple[Path | str, ...]
"""Paths or addresses of STAC items."""


@dataclass(frozen=True)
class Scenes:
    """Scenes of the flood and of each date before it, and why these."""

    after: list[Found]
    before: list[list[Found]]
    reasons: tuple[str, ...] = ()


def look_up(
    files: OwnFiles, search: Search, box: Bounds | None, backscatter: BackscatterSettings
) -> Scenes:
    """Choose scenes of a catalogue.

    Parameters
    ----------
    files
        Without scenes.
    search
        Date and catalogue.
    box
        West, south, east and north of the area, degrees.
    backscatter
        What is stated of scenes that others have corrected for the terrain.

    Raises
    ------
    InputError
        If scenes are given, too, there is no area or date, or the catalogue has nothing of it.
    """
    if files.scenes or files.before:
        raise InputError("date: scenes are given, which have dates of their own; leave one out")
    if box is None:
        raise InputError("date: where is the flood? Give --bbox, --place or --aoi as well")
    since = begin_of(str(search.date), "date")
    name = search.catalogue or DEFAULT
    candidates = scenes_of(name, box, since, corrected=search.rtc, backscatter=backscatter)
    choice = choose(candidates, box, since, search.dates_before)
    if not choice.after:
        problems = {one.problem for one in candidates if one.problem and one.taken >= since}
        raise InputError(
            f"{redact(name)}: no scene of the area since {since:%Y-%m-%d %H:%M} can be used "
            f"({', '.join(sorted(problems)) or 'all are earlier'}); try another catalogue or date"
        )
    return _scenes(choice, box)


def passes_since(
    since: datetime, until: datetime, search: Search, box: Bounds, backscatter: BackscatterSettings
) -> list[Scenes]:
    """Return each pass over an area in a span of time, with what it is compared with.

    Parameters
    ----------
    since, until
        UTC.
    search, box, backscatter
        As for `look_up`; `date` doesn't count.

    Raises
    ------
    InputError
        If the catalogue can't be read.
    """
    catalogue = search.catalogue or DEFAULT
    try:
        candidates = scenes_of(
            catalogue, box, since, until=until, corrected=search.rtc, backscatter=backscatter
        )
    except NoSceneError:
        get_logger(__name__).info("%s: no scene of the area yet", redact(catalogue))
        return []
    return [_scenes(one, box) for one in choose_each(candidates, box, since, search.dates_before)]


def _scenes(choice: Choice, box: Bounds) -> Scenes:
    chosen = [*choice.after, *(one for members in choice.before for one in members)]
    return Scenes(
        [one.found for one in choice.after],
        [[one.found for one in members] for members in choice.before],
        (*choice.reasons, _fetched(chosen, box)),
    )


def _fetched(chosen: Sequence[Candidate], box: Bounds) -> str:
    corrected = [one for one in chosen if one.found.assets]
    sizes = [
        size_of_part(one.size, one.found.outline, box if one in corrected else None, AROUND)
        for one in chosen
    ]
    return fetched("scene" if corrected else "product", sizes)


def begin_of(text: str, what: str) -> datetime:
    """Return a date and time, or the begin of a day, UTC.

    Raises
    ------
    InputError
        If it is neither; `what` names it.
    """
    try:
        day = read_date(text)
    except ValueError:
        raise InputError(
            f"{what} {brief(text)}: not a date; give one like 2023-05-14 or 2023-05-14T16:00:00"
        ) from None
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)


@dataclass(frozen=True)
class Elevations:
    """Settings of heights, where they come from, what is known of them, and whence, in words."""

    settings: dict[str, object]
    described: str
    dem: Path | Tiles | None = None
    whence: str = ""


def elevations(
    files: OwnFiles, search: Search, first: Found, box: Bounds, *, is_part: bool
) -> Elevations:
    """Find out which elevations are used: those that are given, or Copernicus DEM of a catalogue.

    Parameters
    ----------
    files
        With `dem` or `height`, where one is given.
    search
        Catalogue.
    first
        A scene of the flood.
    box
        West, south, east and north of what is mapped, degrees.
    is_part
        Whether that is less than what the scenes show, so that parts of tiles do.

    Raises
    ------
    InputError
        If a product has none, they can't be read, or their geoid isn't on this machine.
    """
    if files.dem is not None:
        setting, datum, whence = datum_of_elevations(files)
        described = f"{files.dem}, {datum} heights ({whence})"
        return Elevations({"dem_heights": setting}, described, files.dem, whence)
    if not first.is_product:
        return Elevations({}, "none; the scenes are terrain-corrected")
    if files.height is not None:
        return Elevations(
            {"constant_height": files.height},
            f"none; all ground is taken to lie {files.height:g} m above the ellipsoid",
        )
    if search.date is None and search.catalogue is None:
        raise InputError(
            f"{first.path}: a product needs elevations to be put on a map; give --dem, or on flat "
            "ground --height, m above the ellipsoid, or a --catalogue that has Copernicus DEM"
        )
    return _tiles(search.catalogue or DEFAULT, box, is_part)


def _tiles(catalogue: str, box: Bounds, is_part: bool) -> Elevations:
    require_datum(COPERNICUS_DATUM)
    tiles, amount = _found("dem", catalogue, box, is_part)
    return Elevations(
        {"dem_heights": COPERNICUS_DATUM},
        f"Copernicus DEM, {COPERNICUS_DATUM} heights; {amount}",
        tiles,
        "Copernicus DEM's",
    )


def _found(layer: str, catalogue: str, box: Bounds, is_part: bool) -> tuple[Tiles, str]:
    found = tiles_of(layer, catalogue, box, is_part=is_part)
    return _as_paths(found), fetched("tile", list(found.values()))


def _as_paths(sources: Iterable[str]) -> Tiles:
    return tuple(source if is_address(source) else Path(source) for source in sources)


def layers_of(
    search: Search, box: Bounds, taken: datetime | None, *, is_part: bool
) -> tuple[dict[str, Tiles], tuple[str, ...]]:
    """Look for the layers that are asked for beside elevations.

    Parameters
    ----------
    search
        Which, and the catalogue.
    box, is_part
        As for `elevations`.
    taken
        When the scene of the flood was taken, beside which an optical image is looked for.

    Returns
    -------
    dict
        Tiles of each by its key of an event.
    tuple
        What they are and how much will be fetched, a line each.

    Raises
    ------
    InputError
        If the catalogue can't be read or has none of one.
    """
    found, lines = {}, []
    for layer in ("reference_water", "land_cover"):
        if getattr(search, layer):
            found[layer], amount = _found(layer, search.catalogue or DEFAULT, box, is_part)
            lines.append(f"{layer.replace('_', ' ')}: {LAYERS[layer].title}; {amount}")
    if search.optical:
        if taken is None:
            raise InputError("optical: nothing states when the scene was taken; leave it out")
        image = image_beside(search.catalogue or DEFAULT, box, taken)
        found[OPTICAL] = _as_paths(image.sources)
        lines.append(f"optical: {image.reason}, when a run distils")
    return found, tuple(lines)
