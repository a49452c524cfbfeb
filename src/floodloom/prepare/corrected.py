"""What terrain-corrected scenes of a catalogue are, as far as items and names state it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from floodloom.acquire.item import asset_of
from floodloom.errors import InputError
from floodloom.prepare.sizes import size_of_bands
from floodloom.raster.recipe import Recipe
from floodloom.sentinel1.producers import product_named
from floodloom.sentinel1.settings import BackscatterSettings

_BYTES = 4  # float32
_WANTED = ("vv", "vh", "hh", "hv")


@dataclass(frozen=True)
class Corrected:
    """What an item states of its images.

    Attributes
    ----------
    title
        What they are, in words.
    polarisations
        Those that are there, co-polarised first.
    assets
        Key of the asset of each.
    recipe
        What their numbers mean; None of a product, which floodloom calibrates.
    reasons
        Whence that is known, in words.
    size
        Bytes of all of them, None if that isn't stated.
    problem
        Why they can't be mapped, "" if they can.
    """

    title: str = ""
    polarisations: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    recipe: Recipe | None = None
    reasons: str = ""
    size: int | None = None
    problem: str = ""


def corrected_of(
    item: Mapping[str, Any],
    source: str,
    stated: Sequence[str],
    backscatter: BackscatterSettings,
) -> Corrected:
    """Find out what the images of a terrain-corrected scene are, by their names.

    Parameters
    ----------
    item
        JSON of a STAC item whose assets are called by polarisations.
    source
        Path or address of the item.
    stated
        Polarisations that the item states.
    backscatter
        What is stated of the numbers, which counts before what names state.
    """
    keys = {str(key).lower(): str(key) for key in item["assets"]}
    bands = tuple(one for one in _WANTED if one in keys and (not stated or one in stated))
    if not bands:
        return Corrected("Sentinel-1 RTC", problem="has no image of a polarisation")
    assets = {one: asset_of(item["assets"], source, keys[one]) for one in bands}
    chosen = tuple(keys[one] for one in bands)
    size = size_of_bands(item, chosen, _BYTES)
    paths = [unquote(urlsplit(asset.source).path) for asset in assets.values()]
    try:
        product = product_named(paths)
    except InputError as error:
        return Corrected("Sentinel-1 RTC", bands, chosen, size=size, problem=str(error))
    states = product.states.model_copy(
        update=backscatter.model_dump(exclude_unset=True) if backscatter.model_fields_set else {}
    )
    if states.scale is None or states.quantity is None:
        missing = " and ".join(
            f"--{key}" for key in ("scale", "quantity") if getattr(states, key) is None
        )
        problem = f"isn't of a known producer: give {missing}"
        return Corrected("Sentinel-1 RTC", bands, chosen, size=size, problem=problem)
    recipe = Recipe(
        quantity=states.quantity,
        noise_removed=True,
        flattened=bool(states.flattened),
        speckle_filter=product.speckle_filter,
        spacing=_spacing(item),
    )
    reasons = f"scale {states.scale}, quantity {states.quantity} ({product.title})"
    return Corrected(product.title, bands, chosen, recipe, reasons, size)


def _spacing(item: Mapping[str, Any]) -> float | None:
    """Return the spacing that the projection extension states, m; None where it doesn't."""
    transform = item["properties"].get("proj:transform")
    if not isinstance(transform, list | tuple) or not transform:
        return None
    return abs(float(transform[0])) if abs(float(transform[0])) >= 1.0 else None
