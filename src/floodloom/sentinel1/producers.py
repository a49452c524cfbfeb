"""Backscatter of others: which files belong together, and what their names state.

Known producers are presets (`floodloom.sentinel1.presets`). Of other files the names give the
polarisations at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from floodloom.dates import read_time
from floodloom.errors import InputError
from floodloom.files import GATHERED
from floodloom.raster.content import format_of
from floodloom.sentinel1.presets import (
    HEAD_BYTES,
    PRESETS,
    BackscatterProduct,
    Bands,
    Preset,
    facts_of,
)

_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?P<polarisation>VV|VH|HH|HV)(?![A-Za-z0-9])", re.IGNORECASE)
_SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt", ".nc")
_LEVEL_1 = ("manifest.safe", "annotation")
_OURS = b'"fingerprint"'


def is_backscatter(path: Path) -> bool:
    """Whether a path is backscatter of others, not a level-1 product or a store of floodloom's."""
    if next(_known(path), None) is not None:
        return True
    if path.is_dir() and format_of(path) is None:
        return not any((path / name).exists() for name in _LEVEL_1) and bool(_rasters(path))
    return format_of(path) is not None and not _is_ours(path)


def find_product(path: Path) -> BackscatterProduct:
    """Find a product in a folder, or the one to which a file belongs.

    Parameters
    ----------
    path
        Folder of the product, the file of one of its polarisations, to which those of the others
        beside it belong, or a Zarr store.

    Returns
    -------
    BackscatterProduct

    Raises
    ------
    InputError
        If there is no raster, or more than one product of known producers.
    """
    if not path.exists():
        raise InputError(f"{path}: product not found; check the path")
    found = _find(path)
    return replace(
        found,
        attributes={**_gathered(path), **found.attributes},
        given=None if path.is_dir() else path,
        within=path if path.is_dir() else None,
    )


def product_named(paths: Sequence[str]) -> BackscatterProduct:
    """Return what the names of files state that aren't here yet.

    Parameters
    ----------
    paths
        Of the files of one product, with their folders.

    Raises
    ------
    InputError
        If what the names state can't be.
    """
    files = [Path(path) for path in paths]
    for preset in PRESETS:
        for match, bands in _groups(files, preset.names, re.Pattern.fullmatch):
            return preset.read(match, bands)
    return BackscatterProduct(title="backscatter of others", bands={}, others=tuple(files))


_TAKEN = {
    "acquisition_time": str,
    "platform": str,
    "orbit_direction": str,
    "relative_orbit": int,
}


def _gathered(path: Path) -> dict[str, str | int]:
    """Return what the STAC item of files states that `gather` has fetched into a folder."""
    note = path / GATHERED
    if not note.is_file():
        return {}
    try:
        facts = json.loads(note.read_bytes()[:HEAD_BYTES]).get("scene", {})
        found = {k: facts[k] for k, kind in _TAKEN.items() if isinstance(facts.get(k), kind)}
        if "acquisition_time" in found:
            read_time(str(found["acquisition_time"]))
        return found
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{note}: damaged; fetch the scene again") from error


def _find(path: Path) -> BackscatterProduct:
    found = list(_known(path))
    if len(found) > 1:
        raise several_products(path, [match.string for _, match, _ in found])
    if found:
        preset, match, bands = found[0]
        return preset.read(match, bands)
    groups, files = _unknown(path)
    bands = groups[0][1] if len(groups) == 1 else {}
    first = next(iter(bands.values()), files[0])
    return BackscatterProduct(
        title="backscatter of others",
        bands=bands,
        others=() if bands else files,
        several=tuple(match.string for match, _ in groups) if len(groups) > 1 else (),
        attributes=facts_of("/".join((*first.resolve().parts[-4:], ""))),
    )


def _unknown(path: Path) -> tuple[list[tuple[re.Match[str], Bands]], tuple[Path, ...]]:
    """Return what nobody has documented: groups by polarisation, and files."""
    if path.is_dir() and format_of(path) is None:
        files = tuple(_rasters(path))
        if not files:
            presets = ", ".join(preset.example for preset in PRESETS)
            raise InputError(
                f"{path}: holds no backscatter; give the folder or a file of a GeoTIFF, VRT or "
                f"NetCDF, a Zarr store, or a product of {presets}"
            )
        return list(_groups(files, _TOKEN, re.Pattern.search)), files
    if path.is_dir() or len(_TOKEN.findall(path.name)) != 1:
        return [], (path,)
    beside = sorted(file for file in path.parent.iterdir() if file.suffix == path.suffix)
    groups = _groups(beside, _TOKEN, re.Pattern.search)
    return [(match, bands) for match, bands in groups if path in bands.values()], (path,)


def _rasters(folder: Path) -> list[Path]:
    """List the rasters in a folder, or in that of the measurements in it."""
    inside = (file for place in _places(folder) for file in place.iterdir())
    return sorted(file for file in inside if file.suffix.lower() in _SUFFIXES and format_of(file))


def _places(path: Path) -> list[Path]:
    folders = [path, path / "measurement"] if path.is_dir() else [path.parent]
    return [folder for folder in folders if folder.is_dir()]


def _is_ours(path: Path) -> bool:
    """Whether a store is of a stage of floodloom's."""
    metadata = path / "zarr.json"
    return metadata.is_file() and _OURS in metadata.read_bytes()[:HEAD_BYTES]


def several_products(path: Path, names: Sequence[str]) -> InputError:
    """Return the error of a folder that holds more than one product."""
    listed = ", ".join(names[:3])
    return InputError(f"{path}: {len(names)} products inside ({listed}…); give one's file")


def _known(path: Path) -> Iterator[tuple[Preset, re.Match[str], Bands]]:
    """Yield what looks like a product in a folder, or like that to which a file belongs."""
    if not path.is_dir() and not any(p.names.fullmatch(path.name) for p in PRESETS):
        return  # its folder, which may hold thousands of others, needn't be listed
    files = sorted(file for folder in _places(path) for file in folder.iterdir())
    for preset in PRESETS:
        for match, bands in _groups(files, preset.names, re.Pattern.fullmatch):
            if path.is_dir() or path in bands.values():
                yield preset, match, bands


def _groups(
    files: Iterable[Path],
    pattern: re.Pattern[str],
    how: Callable[[re.Pattern[str], str], re.Match[str] | None],
) -> Iterator[tuple[re.Match[str], Bands]]:
    """Yield files whose names differ in the polarisation alone, by that."""
    groups: dict[tuple[Path, str], dict[str, re.Match[str]]] = {}
    for file in files:
        if match := how(pattern, file.name):
            start, end = match.span("polarisation")
            key = (file.parent, file.name[:start] + "*" + file.name[end:])
            groups.setdefault(key, {})[match["polarisation"].lower()] = match
    for (folder, _), matches in groups.items():
        order = sorted(matches, key=lambda name: (name[0] != name[1], name))
        yield matches[order[0]], {name: folder / matches[name].string for name in order}
