"""What a watch leaves: a catalogue of all maps, and room for the next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pystac

from floodloom.files import remove, write_json

PASSES = "passes"
_MADE_FROM = ("calibrated", "geocoded", "simulated")
"""Stores of a run that its maps were made from."""


def folder_of(out: Path, name: str) -> Path:
    """Return where a pass is mapped."""
    return out / PASSES / name


def results_of(out: Path, name: str) -> Path:
    """Return where the results of a pass lie."""
    return folder_of(out, name) / "results" / name


def write_catalogue(out: Path, names: list[str]) -> Path:
    """Write a static STAC catalogue of the maps of passes; it links the collection of each.

    Parameters
    ----------
    out
        Folder of the watch.
    names
        Passes that are mapped, by time.
    """
    content = pystac.Catalog(
        "watch", "Flood maps of the passes over an area, made by floodloom."
    ).to_dict(include_self_link=False)
    content["links"] = [
        {
            "rel": "child",
            "href": f"./{PASSES}/{name}/results/{name}/collection.json",
            "type": pystac.MediaType.JSON,
            "title": name,
        }
        for name in names
    ]
    return write_json(out / "catalog.json", content)


def size_of(folder: Path) -> int:
    """Return the bytes that a folder takes; what goes away meanwhile counts as nothing."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(Path(entry))
        else:
            try:
                yield entry.stat(follow_symlinks=False).st_blocks * 512
            except OSError:
                continue


def clear(out: Path, name: str) -> None:
    """Remove what the maps of a pass were made from: fetched products and stores between stages."""
    remove(folder_of(out, name) / "resources")
    for kind in _MADE_FROM:
        remove(results_of(out, name) / kind)
