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

from floodloom.acquire.catalogues import (
    CORRECTED,
    PROCESSED,
    PRODUCT_TYPES,
    VERSIONS,
    scene_facts,
)
from floodloom.acquire.item import asset_of
from floodloom.dates import read_time
from floodloom.errors import InputError
from floodloom.prepare.corrected import Corrected, corrected_of
from floodloom.prepare.found import Found
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel1.presets import facts_of
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.texts import brief, is_address

_OF_CODE = {"SV": ("vv",), "SH": ("hh",), "DV": ("vv", "vh"), "DH": ("hh", "hv")}
"""Polarisations by their code in the name of a product."""
_CODE = re.compile(r"_1S([SD][VH])_")
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, ShapelyError)


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
        Bytes of its product or its bands, None if that isn't stated.
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


_NOTHING = BackscatterSettings()


def candidate_of(
    item: Mapping[str, Any], source: str, backscatter: BackscatterSettings = _NOTHING
) -> Candidate:
    """Take a STAC item for a scene of Sentinel-1.

    Parameters
    ----------
    item
        Its JSON. What its properties don't state is taken from its identifier, if that is the name
        of a product.
    source
        Path or address of the item.
    backscatter
        What is stated of scenes that others have corrected for the terrain.

    Raises
    ------
    InputError
        If it states no time or no place.
    """
    try:
        return _candidate(item, source, backscatter)
    except _BROKEN as error:
        name = brief(str(item.get("id"))) if isinstance(item, Mapping) else "an item"
        raise InputError(f"{name}: states no time or place that can be read") from error


def _candidate(item: Mapping[str, Any], source: str, backscatter: BackscatterSettings) -> Candidate:
    name, stated = str(item["id"]), item["properties"]
    facts = {**facts_of(name), **scene_facts(stated)}
    read_time(str(facts["acquisition_time"]))
    code = _CODE.search(name)
    given = stated.get("sar:polarizations") or (_OF_CODE[code[1]] if code else ())
    polarisations = {str(one).lower() for one in given}
    shown = tuple(one for one in POLARISATIONS if one in polarisations)
    kind = _first(stated, PRODUCT_TYPES) or str(facts.get("product_type", ""))
    mode = str(stated.get("sar:instrument_mode") or facts.get("instrument_mode", ""))
    if CORRECTED.search(f"{item.get('collection') or ''}/{name}"):
        made = corrected_of(item, source, shown, backscatter)
        shown = made.polarisations or shown
        kind = made.title
    else:
        made = _product(item, source, kind)
        kind = f"Sentinel-1 {mode} {'GRD' if 'GRD' in kind else kind}".strip()
    outline = _outline(item["geometry"])
    found = Found(
        path=source if is_address(source) else Path(source),
        kind=kind,
        polarisations=shown,
        footprint=outline.bounds,
        outline=outline,
        facts=facts,
        recipe=made.recipe,
        reasons=made.reasons,
        assets=made.assets,
    )
    problem = made.problem or ("" if "relative_orbit" in facts else "states no relative orbit")
    version = (_first(stated, VERSIONS), _first(stated, PROCESSED))
    return Candidate(found, name, mode, version, made.size, problem)


def _product(item: Mapping[str, Any], source: str, kind: str) -> Corrected:
    """Return what is known of a product as a whole, which floodloom corrects itself."""
    problem = "" if "GRD" in kind else f"is {kind or 'of no stated type'}, not GRD"
    try:
        return Corrected(size=asset_of(item["assets"], source).size, problem=problem)
    except InputError:
        return Corrected(problem=problem or "has no product that can be fetched as a whole")


def _first(stated: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(stated[name]) for name in names if stated.get(name)), "")


def outline_of(item: Mapping[str, Any]) -> shapely.geometry.base.BaseGeometry:
    """Return what an item covers, degrees; nothing where it doesn't state it."""
    try:
        return _outline(item["geometry"])
    except _BROKEN:
        return shapely.Polygon()


def _outline(geometry: Mapping[str, Any]) -> shapely.geometry.base.BaseGeometry:
    """Return what an item covers, in one piece: east of 180 degrees across the antimeridian."""
    outline = shapely.make_valid(shape(geometry))
    if not outline.area > 0:
        raise ValueError("no area")
    west, _, east, _ = outline.bounds
    return shapely.transform(outline, _eastward) if east - west > 180.0 else outline


def _eastward(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return places + np.where(places[:, :1] < 0, [[360.0, 0.0]], 0.0)
