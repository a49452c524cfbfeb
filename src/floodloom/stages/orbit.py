"""A SAFE product → the orbit file that covers it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from floodloom.acquire.catalogues import file_name
from floodloom.acquire.download import open_source
from floodloom.acquire.orbits import KINDS, listed_orbits
from floodloom.errors import InputError
from floodloom.files import GATHERED, atomic_path, write_json
from floodloom.log import get_logger
from floodloom.outputs import writes
from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.orbit import (
    best_orbit,
    find_orbit_file,
    fit_orbit,
    read_orbit_file,
)
from floodloom.sentinel1.product import open_product
from floodloom.texts import redact
from floodloom.xml import LARGEST


@writes("out")
def orbit(*, product: Path, out: Path, source: Path | None = None) -> Path:
    """Fetch the orbit file that covers a product: a precise one, else a restituted one.

    Parameters
    ----------
    product
        SAFE folder, or its zip.
    out
        Folder to write: the file under its own name, and where it came from (gathered.json). It is
        what `calibrate` takes as `orbit`.
    source
        Folder of orbit files to take it from, instead of those that are published.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the product is damaged, no published file covers it, or what comes isn't one.
    """
    safe = open_product(product)
    name = f"{safe.path} {safe.polarisations[0]}"
    annotation = parse_annotation(safe.xml("annotation", safe.polarisations[0]), name)
    start, duration = annotation.first_line_time, annotation.duration
    image = (safe.mission, start, annotation.last_line_time)
    place = _published(*image) if source is None else str(find_orbit_file(source, *image))

    with atomic_path(out) as temporary:
        temporary.mkdir()
        path = temporary / file_name(place)
        with open_source(place, LARGEST) as blocks, path.open("wb") as target:
            target.writelines(blocks)
        try:
            fit_orbit(*read_orbit_file(path, start), 0.0, duration)
        except InputError as error:  # which names a file that will be gone
            raise InputError(f"{redact(place)}: {str(error).removeprefix(f'{path}: ')}") from error
        write_json(temporary / GATHERED, {"gathered": [redact(place)]})
    get_logger(__name__).info("%s: covered by %s", product, path.name)
    return Path(out)


def _published(mission: str, start: np.datetime64, stop: np.datetime64) -> str:
    day = str(start)[:10].replace("-", "")
    for kind in KINDS:
        found = listed_orbits(kind, mission, day)
        if best := best_orbit(found, mission, start, stop):
            return found[best]
    raise InputError(
        f"orbit: no published file of {mission} covers {start} to {stop}; restituted ones come "
        "three hours after a scene: try again later, or take calibrate.orbit out to use the "
        "product's own state vectors"
    )
