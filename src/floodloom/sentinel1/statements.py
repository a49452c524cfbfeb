"""What the numbers of others' backscatter are: what is stated, and what its files state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.raster.foreign import Kind
from floodloom.raster.layers import Layer, open_layers
from floodloom.raster.recipe import Quantity
from floodloom.raster.windows import Window
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel1.contradictions import (
    BACKSCATTER,
    require_calibrated,
    require_place,
    require_scale,
    require_some,
    require_unclipped,
    require_unwrapped,
    usable,
    warn_of_order,
)
from floodloom.sentinel1.decibel import decibel_to_power
from floodloom.sentinel1.presets import BackscatterProduct
from floodloom.sentinel1.producers import several_products
from floodloom.sentinel1.settings import BackscatterScale, BackscatterSettings
from floodloom.texts import brief

Name = TypeVar("Name", bound=str)

_SCALES: dict[BackscatterScale, str] = {
    "db": r"db|decibels?",
    "power": r"power|linear|intensity",
    "amplitude": r"amplitude|amp",
    "dn": r"dn|digital[ _]numbers?",
}
_QUANTITIES: dict[Quantity, str] = {
    "sigma0": r"sigma[ _-]?(?:0|zero|nought|naught)|σ[0°⁰]",
    "gamma0": r"gamma[ _-]?(?:0|zero|nought|naught)|γ[0°⁰]",
    "beta0": r"beta[ _-]?(?:0|zero|nought|naught)|β[0°⁰]",
}
_FLATTENED = {"flattened": r"rtc|(?:terrain[ _-])?flattened"}
_POLARISATIONS = {name: name for name in POLARISATIONS}
_WHAT = "backscatter"
_WHERE = ", as options of the command or in `backscatter` of a configuration"
_SAMPLES = 4
_SAMPLE_PX = (256, 1024)
_SOME = 6


def linear_power(values: Floats, scale: BackscatterScale) -> Floats:
    """Return linear power from power, amplitude, decibel or digital numbers; NaN stays NaN."""
    if scale == "db":
        return decibel_to_power(values)
    return values if scale == "power" else values * values


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a product are, and how that is known.

    Attributes
    ----------
    layers
        Bands by polarisation, co-polarised first.
    scale, factor
        What its numbers are, once they are multiplied by the factor.
    quantity, flattened
        See `floodloom.raster.recipe.Recipe`.
    reasons
        What was taken for what, and why, in one line.
    """

    layers: Mapping[str, Layer]
    scale: BackscatterScale
    factor: float
    quantity: Quantity
    flattened: bool
    reasons: str

    def numbers(self, polarisation: str, window: Window) -> Floats:
        """Read a part: (y, x) float32 of `scale`, NaN where there are no data or none that can be.

        Raises
        ------
        InputError
            If a file is damaged.
        """
        found = _numbers(self.layers[polarisation], window, self.factor)
        found[BACKSCATTER[self.scale].impossible(found)] = np.nan
        return found


def understand(
    product: BackscatterProduct, stated: BackscatterSettings, *, placed: bool = True
) -> Meaning:
    """Find out what the numbers of a product are.

    Parameters
    ----------
    product
        Its files, and what their names state.
    stated
        What is stated of it, which counts before all else.
    placed
        Refuse what has no CRS.

    Returns
    -------
    Meaning

    Raises
    ------
    InputError
        In one line, if a file can't be read or has no place, what has to be known can't be, or
        values contradict what is stated or known.
    """
    try:
        layers, reason = _chosen(product, stated)
    except _UnknownBandsError as error:
        raise InputError(f"{error}{_quantity_too(product, stated)}{_WHERE}") from None
    factor = 1.0 if stated.scale_factor is None else stated.scale_factor
    for layer in layers.values():
        if placed or layer.raster.geobox.crs is not None:
            require_place(layer)
        require_calibrated(layer, stated.scale_factor)
    samples = {name: _sample(layer, factor) for name, layer in layers.items()}
    known = _Known(product, stated, layers, [reason])
    scale, how = known.scale(samples)
    for name, layer in layers.items():
        require_some(samples[name], layer, stated.nodata, _parts(layer))
        require_unwrapped(samples[name], layer, scale)
        require_scale(samples[name], scale, str(layer.file), how)
        if scale == "db":
            require_unclipped(samples[name], str(layer.file))
    warn_of_order(samples, scale, known.name)
    quantity, flattened = known.quantity(scale), known.flattened()
    known.note_numbers(scale)
    return Meaning(layers, scale, factor, quantity, flattened, "; ".join(known.reasons))


@dataclass
class _Known:
    """What is known of a product's numbers; `reasons` grow with what is asked."""

    product: BackscatterProduct
    stated: BackscatterSettings
    layers: Mapping[str, Layer]
    reasons: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(next(iter(self.layers.values())).file)

    def scale(self, samples: Mapping[str, Floats]) -> tuple[BackscatterScale, str]:
        """Return what the numbers are, and how a message begins that contradicts it."""
        found = self._fact("scale", self.stated.scale, self.product.states.scale, _SCALES)
        if found is not None:
            scale, whence = found
            starts = {"stated": "stated is", "names": "its name states"}
            return scale, starts.get(whence, f"{whence} states")
        middles = [float(np.median(known)) for known in map(usable, samples.values()) if known.size]
        if middles and max(middles) < 0:
            self.reasons.append("scale db (most numbers are negative)")
            return "db", "its numbers state"
        such = f", such as {middles[0]:.4g}," if middles else ""
        raise InputError(
            f"{self.name}: nothing states whether its numbers{such} are power, amplitude, digital "
            f"numbers or decibel; state `scale`, such as --scale power"
            f"{_quantity_too(self.product, self.stated, self._texts())}{_WHERE}"
        )

    def quantity(self, scale: BackscatterScale) -> Quantity:
        """Return which coefficient it is."""
        if scale == "dn":
            if self.stated.quantity is not None:
                raise InputError(
                    f"{self.name}: digital numbers are no {self.stated.quantity}; calibrate the "
                    "product, or state amplitude as `scale` and the `scale_factor` of its producer"
                )
            return "dn"
        found = self._fact(
            "quantity", self.stated.quantity, self.product.states.quantity, _QUANTITIES
        )
        if found is None:
            raise InputError(
                f"{self.name}: nothing states whether it is sigma0, gamma0 or beta0; state "
                f"`quantity`, such as --quantity sigma0{_WHERE}"
            )
        return found[0]

    def flattened(self) -> bool:
        """Return whether the terrain was flattened."""
        found = _named(_FLATTENED, self._texts())
        known = (
            (self.stated.flattened, "stated"),
            (self.product.states.flattened, "names"),
            (True if found else None, brief(found.get("flattened"))),
            (False, "assumed"),
        )
        value, whence = next((value, whence) for value, whence in known if value is not None)
        self.reasons.append(f"{'' if value else 'not '}flattened ({whence})")
        return value

    def note_numbers(self, scale: BackscatterScale) -> None:
        """Note what is no data, how numbers count and what is taken for granted."""
        declared = {layer.raster.nodata for layer in self.layers.values()}
        for values, whence in (
            (sorted(v for v in declared if v is not None and not np.isnan(v)), "file"),
            (self.product.states.nodata, "names"),
            (self.stated.nodata, "stated"),
        ):
            if values:
                self.reasons.append(f"no data {', '.join(f'{v:g}' for v in values)} ({whence})")
        if self.stated.scale_factor is not None:
            self.reasons.append(f"numbers times {self.stated.scale_factor:g} (stated)")
        if any(layer.is_scaled for layer in self.layers.values()):
            self.reasons.append("scale and offset of the bands (file)")
        if scale != "dn":
            self.reasons.append("noise removed (assumed)")
        points = next(iter(self.layers.values())).raster.points
        if points is not None:
            self.reasons.append(
                f"placed by {len(points)} ground control points, which is wrong in relief"
            )

    def _fact(
        self, key: str, stated: Name | None, by_names: Name | None, patterns: Mapping[Name, str]
    ) -> tuple[Name, str] | None:
        """Return a value and whence it is known, None if it isn't."""
        for value, whence in ((stated, "stated"), (by_names, "names")):
            if value is not None:
                self.reasons.append(f"{key} {value} ({whence})")
                return value, whence
        found = _named(patterns, self._texts())
        if len(found) > 1:
            listed = " and ".join(f"{brief(text)} states {value}" for value, text in found.items())
            raise InputError(f"{self.name}: {listed}; state `{key}`")
        for value, text in found.items():
            self.reasons.append(f"{key} {value} ({brief(text)})")
            return value, brief(text)
        return None

    def _texts(self) -> list[str]:
        files = [layer.file.name for layer in self.layers.values()]
        return [*(text for layer in self.layers.values() for text in layer.texts), *files]


def _named(patterns: Mapping[Name, str], texts: Iterable[str]) -> dict[Name, str]:
    """Return which of some names stand in texts by themselves, and in which text first."""
    found: dict[Name, str] = {}
    for text in texts:
        for value, pattern in patterns.items():
            if re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", text, re.IGNORECASE):
                found.setdefault(value, text)
    return found


def _chosen(
    product: BackscatterProduct, stated: BackscatterSettings
) -> tuple[dict[str, Layer], str]:
    """Return the bands by polarisation, and how they are known."""
    kind = Kind(_WHAT, unknown=(*product.states.nodata, *stated.nodata))
    files = list(dict.fromkeys([*product.bands.values(), *product.others]))
    names = {str(place) for place in stated.bands.values()}
    if names and names <= {file.name for file in files}:
        files = [file for file in files if file.name in names]
    elif product.several and product.within is not None:
        raise several_products(product.within, product.several)
    opened = {file: open_layers(file, kind, within=product.within) for file in files}
    layers = [layer for found in opened.values() for layer in found]
    chosen: dict[str, Layer]
    if stated.bands:
        numbered = opened.get(product.given, layers) if product.given else layers
        chosen = {
            name: _stated(numbered if isinstance(place, int) else layers, name, place)
            for name, place in stated.bands.items()
        }
        how = "stated"
    elif product.bands and (len(files) > 1 or len(layers) == 1 or product.numbers):
        chosen = {
            name: _of_file(opened[file], name, product.numbers.get(name, 1))
            for name, file in product.bands.items()
        }
        how = "names"
    else:
        chosen, how = _described(layers), "descriptions"
    order = [name for name in POLARISATIONS if name in chosen]
    listed = ", ".join(f"{name} is {chosen[name].place}" for name in order)
    return {name: chosen[name] for name in order}, f"{listed} ({how})"


def _stated(layers: Sequence[Layer], name: str, place: int | str) -> Layer:
    """Return the band that is stated to be of a polarisation."""
    if isinstance(place, int):
        files = {layer.file for layer in layers}
        found = [layer for layer in layers if layer.number == place] if len(files) == 1 else []
    else:
        found = [x for x in layers if place.lower() in (x.description.lower(), x.file.name.lower())]
    if len(found) == 1:
        return found[0]
    there = "; ".join(layer.place for layer in layers[:_SOME])
    count = f"{len(found)} bands are that" if found else "no band is that"
    raise InputError(
        f"{layers[0].file}: {name} is stated to be {brief(place)}, but {count}: {there}"
    )


def _of_file(layers: Sequence[Layer], name: str, number: int) -> Layer:
    """Return the band of a file whose name states a polarisation."""
    layer = layers[min(number, len(layers)) - 1]
    others = set(_named(_POLARISATIONS, layer.texts)) - {name}
    if number > len(layers) or others:
        what = (
            f"it is described as {brief(layer.description)}"
            if others
            else f"it has {len(layers)} bands"
        )
        raise InputError(f"{layer.file}: its name states {name}, but {what}; state `bands`")
    return layer


def _described(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Return the bands whose descriptions name a polarisation."""
    found: dict[str, Layer] = {}
    for layer in layers:
        named = set(_named(_POLARISATIONS, layer.texts))
        if len(named) != 1:
            continue
        name = named.pop()
        if name in found:
            raise InputError(
                f"{layer.file}: {found[name].place} and {layer.place} are both described as "
                f"{name}; state `bands`"
            )
        found[name] = layer
    if not found:
        there = "; ".join(layer.place for layer in layers[:_SOME])
        raise _UnknownBandsError(
            f"{layers[0].file}: nothing states which polarisation its bands are ({there}); state "
            "`bands`, such as --bands.vv 1 --bands.vh 2"
        )
    return found


class _UnknownBandsError(InputError):
    """Nothing states which polarisation bands are."""


def _quantity_too(
    product: BackscatterProduct, stated: BackscatterSettings, texts: Sequence[str] = ()
) -> str:
    """Return what to state beside, so that whoever has to isn't told one thing after another."""
    names = [file.name for file in (*product.bands.values(), *product.others)]
    known = stated.quantity or product.states.quantity or _named(_QUANTITIES, [*texts, *names])
    return "" if known or stated.scale == "dn" else ", and `quantity`, such as --quantity sigma0"


def _sample(layer: Layer, factor: float) -> Floats:
    """Return numbers of some pieces from all over a band, (n,)."""
    found = [_numbers(layer, part, factor).ravel() for part in _parts(layer)]
    return np.concatenate(found)


def _parts(layer: Layer) -> Iterator[Window]:
    (height, width), block = layer.raster.geobox.shape.yx, layer.raster.block
    least, most = _SAMPLE_PX
    rows, cols = (
        min(max(-(-least // side) * side, side), most, length)
        for side, length in zip(block, (height, width), strict=True)
    )
    tops = np.unique(np.linspace(0, height - rows, _SAMPLES).astype(int))
    lefts = np.unique(np.linspace(0, width - cols, _SAMPLES).astype(int))
    for top in tops:
        for left in lefts:
            yield Window(int(top), int(left), rows, cols)


def _numbers(layer: Layer, window: Window, factor: float) -> Floats:
    numbers = layer.raster.numbers(window, layer.band)
    return numbers if factor == 1.0 else numbers * np.float32(factor)
