"""What a catalogue's items are, as far as they state it: scenes that may be chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.errors import ShapelyError
from shapely.geometry import shape

from floodloom.acquire.catalogues import PROCESSED, PRODUCT_TYPES, VERSIONS
from floodloom.acquire.item import asset_of
from floodloom.dates import read_time
from floodloom.errors import InputError
from floodloom.prepare.found import Found
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel1.presets import facts_of
from floodloom.texts import brief, is_address

_OF_CODE = {"SV": ("vv",), "SH": ("hh",), "DV": ("vv", "vh"), "DH": ("hh", "hv")}
"""Polarisations by their code in the name of a product."""
_CODE = re.compile(r"_1S([SD][VH])_")
_PLATFORM = re.compile(r"s(?:entinel-?)?1([a-z])", re.IGNORECASE)
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, ShapelyError)


@dataclass(frozen=True)
class Candidate:
    """A scene that a catalogue offers.

    Attributes
    ----------
    found
        What is known of it; its `path` is that of its item.
    name
        Identifier of the item.
    mode
        Instrument mode: IW, EW, …, "" if it isn't stated.
    version
        Processing baseline and time of processing, "" where not stated.
    size
        Bytes of its product, None if that isn't stated.
    problem
        Why it can't be fetched or mapped, "" if it can.
    """

    found: Found
    name: str
    mode: str = "IW"
    version: tuple[str, str] = ("", "")
    size: int | None = None
    problem: str = ""

    @property
    def taken(self) -> datetime:
        """When it was taken, UTC."""
        return read_time(str(self.found.facts["acquisition_time"]))

    @property
    def age(self) -> tuple[list[int], str]:
        """By which those of the same echoes sort: baseline, and time of processing."""
        return [int(number) for number in re.findall(r"\d{1,9}", self.version[0])], self.version[1]


def candidate_of(item: Mapping[str, Any], source: str) -> Candidate:
    """Take a STAC item for a scene of Sentinel-1.

    Parameters
    ----------
    item
        Its JSON. What its properties don't state is taken from its identifier, if that is the name
        of a product.
    source
        Path or address of the item.

    Raises
    ------
    InputError
        If it states no time or no place.
    """
    try:
        return _candidate(item, source)
    except _BROKEN as error:
        name = brief(str(item.get("id"))) if isinstance(item, Mapping) else "an item"
        raise InputError(f"{name}: states no time or place that can be read") from error


def _candidate(item: Mapping[str, Any], source: str) -> Candidate:
    name, stated = str(item["id"]), item["properties"]
    facts = {**facts_of(name), **_facts(stated)}
    read_time(str(facts["acquisition_time"]))
    code = _CODE.search(name)
    given = stated.get("sar:polarizations") or (_OF_CODE[code[1]] if code else ())
    polarisations = {str(one).lower() for one in given}
    kind = _first(stated, PRODUCT_TYPES) or str(facts.get("product_type", ""))
    mode = str(stated.get("sar:instrument_mode") or facts.get("instrument_mode", ""))
    outline = _outline(item["geometry"])
    found = Found(
        path=source if is_address(source) else Path(source),
        kind=f"Sentinel-1 {mode} {'GRD' if 'GRD' in kind else kind}".strip(),
        polarisations=tuple(one for one in POLARISATIONS if one in polarisations),
        footprint=outline.bounds,
        outline=outline,
        facts=facts,
    )
    size, problem = None, ""
    if "GRD" not in kind:
        problem = f"is {kind or 'of no stated type'}, not GRD"
    elif "relative_orbit" not in facts:
        problem = "states no relative orbit"
    try:
        size = asset_of(item["assets"], source).size
    except InputError:
        problem = problem or "has no product that can be fetched as a whole"
    version = (_first(stated, VERSIONS), _first(stated, PROCESSED))
    return Candidate(found, name, mode, version, size, problem)


def _facts(stated: Mapping[str, Any]) -> dict[str, str | int]:
    """Return what properties state, under the names that scenes have for it."""
    found: dict[str, str | int] = {}
    when = stated.get("start_datetime") or stated.get("datetime")
    if when:
        found["acquisition_time"] = read_time(str(when).removesuffix("Z")).isoformat()
    if platform := _PLATFORM.search(str(stated.get("platform") or "")):
        found["platform"] = f"S1{platform[1].upper()}"
    if isinstance(orbit := stated.get("sat:relative_orbit"), int):
        found["relative_orbit"] = orbit
    if direction := stated.get("sat:orbit_state"):
        found["orbit_direction"] = str(direction).lower()
    return found


def _first(stated: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(stated[name]) for name in names if stated.get(name)), "")


def _outline(geometry: Mapping[str, Any]) -> shapely.geometry.base.BaseGeometry:
    """Return what an item covers, in one piece: east of 180 degrees across the antimeridian."""
    outline = shapely.make_valid(shape(geometry))
    if not outline.area > 0:
        raise ValueError("no area")
    west, _, east, _ = outline.bounds
    return shapely.transform(outline, _eastward) if east - west > 180.0 else outline


def _eastward(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return places + np.where(places[:, :1] < 0, [[360.0, 0.0]], 0.0)
