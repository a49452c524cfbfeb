"""In which number format a scene is predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.inference import Ensemble
from floodloom.log import get_logger
from floodloom.mapping.backends import FLOAT32_ONLY

PRECISIONS = ("auto", "float32", "bfloat16")

MOST_CHANGED = 5e-4
"""Share of the classes that bfloat16 may change where `auto` looks; a sample isn't the scene, so it
is half of the .1 % that is promised."""

_WORTH_IT = 30e6  # px; below, looking takes longer than it can save
_SIDE = 384  # px
_PLACES = 4
_log = get_logger(__name__)


@dataclass(frozen=True)
class Precision:
    """The format, and the share of sampled classes that it changes; None: nobody has looked."""

    name: str
    changed: float | None = None


def choose_precision(
    asked: str, ensemble: Ensemble, inputs: xr.DataArray, backend: str = "auto"
) -> Precision:
    """Choose the number format of a prediction.

    Parameters
    ----------
    asked
        `float32`, `bfloat16`, or `auto`: bfloat16 for large scenes where the processor multiplies
        it and where it changes hardly any class of a few windows of this very scene. It depends on
        the scene and on the processor, and neither on windows nor on threads.
    ensemble
        As loaded.
    inputs
        (band, y, x) float32, NaN = no data.
    backend
        What will run it, see `floodloom.mapping.backends`; some know float32 only.

    Raises
    ------
    InputError
        If `asked` is none of these.
    """
    if asked not in PRECISIONS:
        raise InputError(f"precision {asked!r}: choose one of {', '.join(PRECISIONS)}")
    if asked != "auto":
        return Precision(asked)
    worth_it = inputs.sizes["y"] * inputs.sizes["x"] >= _WORTH_IT
    if backend in FLOAT32_ONLY or not worth_it or not multiplies_bfloat16(ensemble.device):
        return Precision("float32")
    changed = classes_changed(ensemble, list(sample_windows(inputs)))
    chosen = "bfloat16" if changed is not None and changed <= MOST_CHANGED else "float32"
    _log.info("bfloat16 changes %s of the classes; %s", _percent(changed), chosen)
    return Precision(chosen, changed)


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{100 * share:.4f} %"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a processor has instructions for bfloat16, not only a detour."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def sample_windows(inputs: xr.DataArray) -> Iterator[NDArray[np.float32]]:
    """Give a few windows (band, y, x) of a scene, spread evenly, that have data."""
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    for step in range(_PLACES):
        row = max(height - _SIDE, 0) * (step + 1) // (_PLACES + 1)
        for shift in range(_PLACES):  # along the row until there is data
            place = (step + shift) % _PLACES
            col = max(width - _SIDE, 0) * (place + 1) // (_PLACES + 1)
            part = inputs.isel(y=slice(row, row + _SIDE), x=slice(col, col + _SIDE))
            window = np.asarray(part.transpose("band", "y", "x").values, dtype=np.float32)
            if np.isfinite(window).all(axis=0).any():
                yield window
                break


def classes_changed(ensemble: Ensemble, windows: list[NDArray[np.float32]]) -> float | None:
    """Return the share of pixels with data whose class bfloat16 changes; None without any."""
    pixels = changed = 0
    for window in windows:
        known = np.isfinite(window).all(axis=0)
        exact, reduced = (
            ensemble.moments(window[np.newaxis], precision=precision)[0][0, 1] >= 0.5
            for precision in ("float32", "bfloat16")
        )
        pixels += int(known.sum())
        changed += int((known & (exact != reduced)).sum())
    return changed / pixels if pixels else None
