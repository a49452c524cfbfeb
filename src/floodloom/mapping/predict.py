"""Predicting a mosaic of any size window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.mapping.blend import blend_rows
from floodloom.raster.windows import Window, plan_windows

Floats = NDArray[np.float32]
Network = Callable[[Floats], Floats]
"""From inputs (n, band, y, x), NaN = no data, to probabilities (n, y, x), both float32."""

PERCENT_NODATA = 255
"""What stands for no data in a probability mosaic."""


def predict_mosaic(
    inputs: xr.DataArray, network: Network, *, tile: int, overlap: int, rim: int, batch: int
) -> NDArray[np.uint8]:
    """Predict the probability of water on a whole scene.

    Parameters
    ----------
    inputs
        (band, y, x) float32, read window by window; NaN = no data.
    network
        What predicts a batch of windows.
    tile
        Side of a window, px.
    overlap
        Pixels that neighbouring windows share; at least twice the rim.
    rim
        Pixels at a window's border that are not used.
    batch
        Windows that are predicted at once.

    Returns
    -------
    ndarray
        (y, x) uint8 percent 0-100; 255 exactly where any band has no data.
    """
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    windows = plan_windows(height, width, tile, min(overlap, tile - 1))
    mosaic = np.full((height, width), PERCENT_NODATA, dtype=np.uint8)
    predicted = _predicted(inputs, windows, network, batch)
    for row, values in blend_rows(predicted, (height, width), rim):
        known = np.isfinite(values)
        percent = np.rint(np.where(known, values, 0) * 100)
        mosaic[row : row + len(values)] = np.where(known, percent, PERCENT_NODATA)
    return mosaic


def _predicted(
    inputs: xr.DataArray, windows: Iterable[Window], network: Network, batch: int
) -> Iterator[tuple[Window, Floats | None]]:
    waiting: list[tuple[Window, Floats | None]] = []
    for window in windows:
        rows, cols = window.slices
        image = inputs.isel(y=rows, x=cols).values
        waiting.append((window, image if np.isfinite(image).all(axis=0).any() else None))
        if sum(image is not None for _, image in waiting) == batch:
            yield from _run(waiting, network)
            waiting = []
    yield from _run(waiting, network)


def _run(
    waiting: list[tuple[Window, Floats | None]], network: Network
) -> Iterator[tuple[Window, Floats | None]]:
    images = [image for _, image in waiting if image is not None]
    predicted: Iterator[Floats] = iter(network(np.stack(images)) if images else ())
    for window, image in waiting:
        if image is None:
            yield window, None
            continue
        values = next(predicted)
        yield window, np.where(np.isfinite(image).all(axis=0), values, np.nan).astype(np.float32)


def water_probability(ensemble: Callable[[Floats], Floats], smallest: int = 32) -> Network:
    """Return a network that gives the probability of class 1 and takes any size of window.

    Parameters
    ----------
    ensemble
        From (n, band, y, x) to class probabilities (n, class, y, x), y and x at least `smallest`.
    smallest
        Windows are padded up to this by repeating their edge.
    """

    def network(images: Floats) -> Floats:
        height, width = images.shape[-2:]
        padding = (max(smallest - height, 0), max(smallest - width, 0))
        padded = np.pad(images, ((0, 0), (0, 0), (0, padding[0]), (0, padding[1])), mode="edge")
        return ensemble(padded)[:, 1, :height, :width]

    return network
