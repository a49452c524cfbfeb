"""The configuration and the scene sheet of one's own event, with comments for who edits them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from floodloom.acquire.catalogues import OPTICAL
from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.dates import time_in_name
from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.prepare.found import Found
from floodloom.prepare.run import CONFIG, shown
from floodloom.prepare.survey import Survey
from floodloom.sentinel1.settings import FETCH

SHEET = "scenes.tsv"
_SAME_S = 60.0


def write_event(found: Survey, name: str, out: Path) -> list[Path]:
    """Write the configuration and the scene sheet of an event.

    Parameters
    ----------
    found
        What the files are.
    name
        Name of the event and its run.
    out
        Folder to write into.

    Returns
    -------
    list
        Both files. Those that are there already and would be the same are left as they are.

    Raises
    ------
    InputError
        If others are there already.
    ConfigError
        If a path can't stand in a scene sheet.
    """
    out.mkdir(parents=True, exist_ok=True)
    texts = {out / CONFIG: config_text(found, name, out), out / SHEET: sheet_text(found, name, out)}
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{path}: there already, and not what would be written; remove it, give another "
                f"--out, or run it as it is: {shown(out)}"
            )
    for path, text in texts.items():
        if not path.exists():
            with atomic_path(path) as part:
                part.write_text(text, encoding="utf-8")
    config = load_config(yaml.safe_load(texts[out / CONFIG]), str(out / CONFIG))
    load_scenes(config, out)
    check_paths(config, out)
    return list(texts)


def sheet_text(found: Survey, name: str, out: Path) -> str:
    """Return the scene sheet: `date` only where the names of the sources don't state it.

    `assets` is there where the scenes are assets of STAC items.
    """
    rows = [("after", scene, _named("after", found.after, at)) for at, scene in _of(found.after)]
    for members in found.before:
        rows += [("before", s, _named("before", members, at)) for at, s in _of(members)]
    of_items = any(scene.assets for _, scene, _ in rows)
    lines = ["scene\tevent\trole\tsource\tdate" + "\tassets" * of_items]
    for role, scene, called in rows:
        source = place(scene.path, out)
        date = "" if _states_time(scene, source) else _written(scene)
        cells = (called, name, role, source, date, ",".join(scene.assets))
        lines.append("\t".join(cells).rstrip("\t"))
    return "\n".join(lines) + "\n"


def _states_time(scene: Found, source: str) -> bool:
    """Whether the name of a source states when it was taken, or nobody knows."""
    stated = time_in_name(source)
    if scene.taken is None:
        return scene.day is None
    return stated is not None and abs(scene.taken - stated).total_seconds() < _SAME_S


def _written(scene: Found) -> str:
    return f"{scene.taken:%Y-%m-%dT%H:%M:%S}" if scene.taken else f"{scene.day:%Y-%m-%d}"


def _of(scenes: Sequence[Found]) -> Iterator[tuple[int, Found]]:
    return enumerate(scenes, start=1)


def _named(role: str, members: Sequence[Found], number: int) -> str:
    taken = members[0].day
    day = "" if taken is None else f"-{taken:%Y%m%d}"
    return f"{role}{day}" + (f"-{number}" if len(members) > 1 else "")


def place(path: Path | str, out: Path) -> str:
    """Return a path as a run in `out` names it: from there, so that pages show no home folder.

    An address is returned as it is.
    """
    if isinstance(path, str):
        return path
    whole = path.absolute()
    return os.path.relpath(whole.parent.resolve() / whole.name, out.resolve())


def config_text(found: Survey, name: str, out: Path) -> str:
    """Return the configuration: keys that differ from the defaults, or that one is likely to set.

    All others, and what each means, are in config/README.md of the source.
    """
    parts = [
        _HEAD,
        _run(name),
        _event(found, name, out),
        _orbits(found),
        _grid(found),
        _map(found, name),
    ]
    return "\n".join(part for part in parts if part)


_HEAD = """\
# A flood, mapped by floodloom. Lines that begin with # are other things to set. What is changed
# here is made again by the next run, with what follows from it, and nothing else.
"""


def _run(name: str) -> str:
    return f"""\
run:
  name: {_yaml(name)} # results lie in results/{name}/
  checkpoint: default # the model that floodloom brings; or the path of a .safetensors
  # depth: true # map the depth of the flood, too; needs elevations

scenes: {SHEET} # which file was taken when
"""


def _event(found: Survey, name: str, out: Path) -> str:
    lines = ["events:", f"  {_yaml(name)}:", "    split: target # it gives no labels and is mapped"]
    if isinstance(found.dem, Path):
        lines.append(f"    dem: {_yaml(place(found.dem, out))}")
    elif found.dem:
        lines += _listed("dem", found.dem, out)
    if found.area.aoi is not None:
        lines.append(f"    zones: {_yaml(place(found.area.aoi, out))} # their areas are listed")
    else:
        lines.append("    # zones: districts.gpkg # polygons whose areas are listed")
    unset = {
        "reference_water": "water.tif # permanent water: 1, land: 0; or its occurrence",
        "land_cover": "worldcover.tif # built-up land and dense vegetation are excluded",
    }
    for layer, text in unset.items():
        tiles = found.layers.get(layer)
        lines += _listed(layer, tiles, out) if tiles else [f"    # {layer}: {text}"]
    if tiles := found.layers.get(OPTICAL):
        lines += _listed(OPTICAL, tiles, out)
    stated = found.stated.model_dump(mode="json", exclude_defaults=True)
    if stated:
        lines.append(f"    backscatter: {_yaml(stated)}")
    return "\n".join(lines) + "\n"


def _listed(key: str, tiles: Sequence[Path | str], out: Path) -> list[str]:
    head = f"    {key}: # STAC items of tiles, which the run fetches"
    return [head, *(f"      - {_yaml(place(tile, out))}" for tile in tiles)]


def _orbits(found: Survey) -> str:
    text = f"calibrate:\n  orbit: {FETCH} # that of each product, precise or else restituted\n"
    return text if found.orbits else ""


def _grid(found: Survey) -> str:
    geocode = found.geocode
    lines = ["geocode:", f"  resolution: {geocode.resolution:g} # m"]
    if geocode.epsg is not None:
        lines.append(f"  epsg: {geocode.epsg} # UTM zone of the area")
    if geocode.bounds is not None:
        lines.append(f"  bounds: {_yaml(list(geocode.bounds))} # left, bottom, right, top")
    if geocode.dem_heights is not None:
        lines.append(f"  dem_heights: {geocode.dem_heights} # {found.heights_known}")
    if "constant_height" in geocode.model_fields_set:
        lines.append(f"  constant_height: {geocode.constant_height:g} # m above the ellipsoid")
    lines.append("  # speckle_filter: refined_lee # the model needs none")
    return "\n".join(lines) + "\n"


def _map(found: Survey, name: str) -> str:
    taken = found.after[0].day
    title = f"{name}, {taken:%Y-%m-%d}" if taken else name
    return f"""\
delineate:
  threshold: 50 # percent from which a pixel is water
  minimum_mapping_unit: 0.3 # ha; smaller patches are left out
{_occurrence(found)}  # maximum_slope: 15 # degrees; steeper ground is excluded

report:
  title: {_yaml(title)}
  # baseline: hsba # maps the event, too: the report shows where the two disagree
"""


def _occurrence(found: Survey) -> str:
    text = "  reference_minimum: 50 # percent of occurrence from which water is permanent\n"
    return text if "reference_water" in found.layers else ""


def _yaml(value: Any) -> str:
    """Return a value on one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False
    )
    return str(text).removesuffix("...\n").strip()
