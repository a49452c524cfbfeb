"""The number format that maps as well as float32, in less time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.inference import Ensemble
from floodloom.learning.network import supports_bfloat16
from floodloom.log import get_logger
from floodloom.mapping.backends import FLOAT32_ONLY, INT8
from floodloom.mapping.plan import ALIGNMENT
from floodloom.models.architectures.unet import UNet
from floodloom.models.int8_unet import (
    Int8UNet,
    can_quantise,
    supports_int8,
)
from floodloom.models.quantisation import observe

_log = get_logger(__name__)

PRECISIONS = ("auto", "float32", "bfloat16", "int8")
MOST_CHANGED = 5e-4
"""Share of the classes that another format than float32 may change with `auto`; a sample
isn't the scene, so it is half of the .1 % that is aimed at."""

_WORTH_IT, _WORTH_IT_IN_FLOAT32 = 30e6, 4e6
"""Pixels of a scene below which the sample takes longer than it can save: where the processor
multiplies bfloat16, and where nothing but 8 bits is faster than float32."""

_SIDE = 128  # px, of which a store's chunks are a multiple
_PLACES = 4
Windows = list[NDArray[np.float32]]
Masks = list[NDArray[np.bool_]]


@dataclass(frozen=True)
class Precision:
    """A number format.

    Attributes
    ----------
    name
        `float32`, `bfloat16` or `int8`.
    ensemble
        What is to run in it.
    changed
        Share of sampled classes that it changes; None: not measured.
    """

    name: str
    ensemble: Ensemble
    changed: float | None = None


def choose_precision(
    requested: str, ensemble: Ensemble, windows: Windows, backend: str = "auto"
) -> Precision:
    """Choose the number format of a prediction.

    Parameters
    ----------
    requested
        `float32`, `bfloat16`, `int8`, or `auto`: int8, or else bfloat16, where the processor
        multiplies it and where it changes hardly any class of the windows. It depends on the scene
        and on the processor, and neither on the prediction's windows nor on threads.
    ensemble
        As loaded.
    windows
        What `sample` gives of the scene; without any it is float32. Ranges of 8 bits are settled
        on them.
    backend
        What will run it, see `floodloom.mapping.backends`; some know float32 only.

    Raises
    ------
    InputError
        If `requested` is none of these, or the networks or the back end can't be had in int8, which
        can't be had of what overflows, either.
    """
    names = _candidates(requested, ensemble, backend)
    if requested in ("float32", "bfloat16"):
        return Precision(requested, ensemble)
    if not windows or not names:
        if requested == "int8":
            _log.warning("precision int8: the scene has no data to settle it on; float32 is taken")
        return Precision("float32", ensemble)
    exact, in_8_bits, overflows = _record_exact(ensemble, windows)
    if overflows:  # other formats would make numbers of what isn't any
        if requested == "int8":
            raise InputError("precision int8: the networks overflow on this scene; choose float32")
        return Precision("float32", ensemble)
    if requested == "int8":
        return Precision(requested, in_8_bits())
    for name in names:
        running = in_8_bits() if name == "int8" else ensemble
        changed = share_changed(exact, water(running, windows, name), windows)
        _log.info("%s changes %.4f %% of the classes", name, 100 * changed)
        if changed <= MOST_CHANGED:
            return Precision(name, running, changed)
    return Precision("float32", ensemble)


def sample(
    requested: str, ensemble: Ensemble, inputs: xr.DataArray, backend: str = "auto"
) -> Windows:
    """Read what `choose_precision` needs: a few windows of a scene, or nothing.

    Parameters
    ----------
    requested, ensemble, backend
        As for `choose_precision`; `auto` reads large scenes only.
    inputs
        (band, y, x) float32, NaN = no data.

    Returns
    -------
    list of ndarray
        See `sample_windows`.

    Raises
    ------
    InputError
        See `choose_precision`.
    """
    names = _candidates(requested, ensemble, backend)
    least = _WORTH_IT if "bfloat16" in names else _WORTH_IT_IN_FLOAT32
    large = inputs.sizes["y"] * inputs.sizes["x"] >= least
    needed = requested == "int8" or (requested == "auto" and large and names)
    return list(sample_windows(inputs, ensemble.stride())) if needed else []


def _record_exact(
    ensemble: Ensemble, windows: Windows
) -> tuple[Masks, Callable[[], Ensemble], bool]:
    """Where windows are water, what gives the ensemble in 8 bits, with ranges as seen there, and
    whether any of its maps isn't finite.
    """
    with ExitStack() as stack:
        seen = [stack.enter_context(observe(model)) for model in ensemble.models]
        exact = water(ensemble, windows)

    def in_8_bits() -> Ensemble:
        models = zip(ensemble.models, seen, strict=True)
        quantised = (Int8UNet(m, own) for m, own in models if isinstance(m, UNet))
        return replace(ensemble, models=tuple(quantised))

    return exact, in_8_bits, any(one.overflow for one in seen)


def _candidates(requested: str, ensemble: Ensemble, backend: str) -> list[str]:
    """The reduced formats that can be had, the fastest first; what is requested must be."""
    if requested not in PRECISIONS:
        raise InputError(f"precision {requested!r}: choose one of {', '.join(PRECISIONS)}")
    in_8_bits = backend in INT8 and _can_quantise(ensemble)
    if requested == "int8" and not in_8_bits:
        raise InputError(
            "precision int8: only PyTorch on a CPU has it, and only for the usual U-Net; choose "
            "backend torch or another precision"
        )
    names = []
    if in_8_bits and (requested == "int8" or supports_int8()):
        names.append("int8")
    if backend not in FLOAT32_ONLY and supports_bfloat16(ensemble.device):
        names.append("bfloat16")
    return names


def _can_quantise(ensemble: Ensemble) -> bool:
    return ensemble.device.type == "cpu" and all(map(can_quantise, ensemble.models))


def sample_windows(inputs: xr.DataArray, stride: int = ALIGNMENT) -> Iterator[NDArray[np.float32]]:
    """Give a few windows (band, y, x) of a scene, spread evenly, that have data.

    Their sides are multiples of `ALIGNMENT` and of a network's stride, a power of two; of a scene
    smaller than that there are none.
    """
    step = max(stride, ALIGNMENT)
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    tall, wide = (min(max(_SIDE, step), length // step * step) for length in (height, width))
    tops, lefts = (_starts(length) for length in (height - tall, width - wide))
    for top, left in itertools.product(tops, lefts) if tall and wide else ():
        part = inputs.isel(y=slice(top, top + tall), x=slice(left, left + wide))
        window = np.asarray(part.transpose("band", "y", "x").values, dtype=np.float32)
        if np.isfinite(window).all(axis=0).any():
            yield window


def _starts(last: int) -> list[int]:
    """Where windows begin along an axis, each within a chunk of a store, which is read whole."""
    starts = (last * place // (_PLACES + 1) // _SIDE * _SIDE for place in range(1, _PLACES + 1))
    return list(dict.fromkeys(starts))


def water(ensemble: Ensemble, windows: Windows, precision: str = "float32") -> Masks:
    """Return where (y, x) each window is water as a precision sees it."""
    return [
        ensemble.moments(window[np.newaxis], precision=precision)[0][0, 1] >= 0.5
        for window in windows
    ]


def share_changed(exact: Masks, reduced: Masks, windows: Windows) -> float:
    """Return the share of the windows' pixels with data whose class differs."""
    known = [np.isfinite(window).all(axis=0) for window in windows]
    changed = sum(int((k & (a != b)).sum()) for k, a, b in zip(known, exact, reduced, strict=True))
    return changed / max(sum(int(k.sum()) for k in known), 1)
