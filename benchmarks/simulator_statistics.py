"""What is measured on a chip: speckle of homogeneous ground, and structure at many scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floodloom.arrays import Floats

_WINDOW = 32
_LAGS = 5
_BLOCKS = (4, 16, 64)


@dataclass(frozen=True)
class Texture:
    """Of homogeneous windows: looks; correlation of log intensity at lags 1-5; spread, dB."""

    looks: float
    correlation: list[float]
    spread: float


def homogeneous(decibel: Floats) -> Texture:
    """Return the speckle of the tenth of an image's windows of 32 px that vary least.

    Parameters
    ----------
    decibel
        (y, x) float32, NaN = no data.

    Returns
    -------
    Texture
        Medians over the windows; NaN where an image has no whole window.
    """
    found = []
    height, width = decibel.shape
    for row in range(0, height - _WINDOW + 1, _WINDOW):
        for col in range(0, width - _WINDOW + 1, _WINDOW):
            window = decibel[row : row + _WINDOW, col : col + _WINDOW]
            if np.isfinite(window).all():
                found.append((float(_blocks(window, 8).std()), window))
    if not found:
        return Texture(np.nan, [np.nan] * _LAGS, np.nan)
    found.sort(key=lambda pair: pair[0])
    windows = [window for _, window in found[: max(len(found) // 10, 4)]]
    powers = [10 ** (window / 10) for window in windows]
    return Texture(
        looks=float(np.median([power.mean() ** 2 / power.var() for power in powers])),
        correlation=[
            float(np.median([_correlation(window, lag) for window in windows]))
            for lag in range(1, _LAGS + 1)
        ],
        spread=float(np.median([window.std() for window in windows])),
    )


def _correlation(window: Floats, lag: int) -> float:
    """Correlation at a lag, mean of both directions."""
    centred = window - window.mean()
    across = (centred[:, lag:] * centred[:, :-lag]).mean()
    down = (centred[lag:] * centred[:-lag]).mean()
    return float((across + down) / 2 / centred.var())


def _blocks(image: Floats, side: int) -> Floats:
    """Means of blocks of side × side pixels, (y, x)."""
    height, width = (length // side * side for length in image.shape)
    blocks = image[:height, :width].reshape(height // side, side, width // side, side)
    return np.asarray(blocks.mean(axis=(1, 3)))  # NaN where a part is


def describe(decibel: Floats) -> dict[str, float]:
    """Return the statistics of a chip (2, y, x), VV and VH in dB, NaN = no data.

    `median_*`, `spread_*` dB; `looks_*` and `lag*_*` of homogeneous ground; `blocks<n>_*` dB, the
    spread of the means of blocks of n × n px: how much the ground itself varies at that scale.
    """
    described: dict[str, float] = {}
    for band, image in zip(("vv", "vh"), decibel, strict=True):
        texture = homogeneous(image)
        described[f"median_{band}"] = float(np.nanmedian(image))
        described[f"looks_{band}"] = texture.looks
        described[f"speckle_{band}"] = texture.spread
        for lag in (1, 2, 3):
            described[f"lag{lag}_{band}"] = texture.correlation[lag - 1]
        for side in _BLOCKS:
            blocks = _blocks(image, side)
            known = blocks[np.isfinite(blocks)]
            described[f"blocks{side}_{band}"] = float(known.std()) if known.size > 4 else np.nan
    described["median_vv_vh"] = float(np.nanmedian(decibel[0] - decibel[1]))
    return described
