"""The mosaic of probabilities: written by bands, its seams measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from floodloom.arrays import NODATA, Bytes
from floodloom.kernels import jit
from floodloom.learning.relabelling.scene_likelihood import HeldImage, add_local_likelihood
from floodloom.log import get_logger
from floodloom.mapping.backends import Request, accelerate
from floodloom.mapping.plan import LARGEST, plan_scene
from floodloom.mapping.precision import Precision, choose_precision, sample
from floodloom.mapping.predict import predict_rows, read_ahead, water_network
from floodloom.mapping.probability import LAYERS, acquisition_tags, probability_profile
from floodloom.mapping.scene_inputs import SceneInputs
from floodloom.mapping.settings import PredictSettings
from floodloom.raster.cog import cog_writer
from floodloom.raster.grid import geobox_of

_ROWS = 128  # that seams are measured in at once
_NEAR = 16  # px on both sides of a border that stand for the interior: the same ground, no border


class SeamMeter:
    """Compares the gradient of a probability across borders with that beside them.

    Rows come in parts, from top to bottom, so that a mosaic is measured while it is written; the
    result doesn't depend on the parts.

    Parameters
    ----------
    rows, cols
        First rows and columns after a border.
    """

    def __init__(self, rows: Iterable[int], cols: Iterable[int]) -> None:
        self._waiting, self._cols = sorted(rows), sorted(cols)
        self._across, self._beside = np.zeros(2), np.zeros(2)
        self._kept: Bytes | None = None
        self._seen = 0

    def add(self, percent: Bytes) -> None:
        """Take the next rows, (y, x) uint8 percent, 255 = no data."""
        self._measure(percent.T, self._cols)
        self._kept = percent if self._kept is None else np.concatenate([self._kept, percent])
        self._seen += len(percent)
        self._measure_rows(self._seen - _NEAR)
        self._kept = self._kept[-2 * _NEAR - 2 :].copy()

    def ratio(self) -> float | None:
        """Return the ratio once all rows have come.

        Returns
        -------
        float or None
            Mean absolute difference of the pixels on both sides of a border, over the mean absolute
            difference of neighbours on the 16 lines before and after it. 1 means that nothing
            shows; None where there are no borders, or neither has a gradient.
        """
        self._measure_rows(self._seen)
        if not self._across[1] or not self._beside[0]:
            return None
        across, beside = (sums[0] / sums[1] for sums in (self._across, self._beside))
        return float(across / beside)

    def _measure_rows(self, end: int) -> None:
        ready = [border for border in self._waiting if border < end]
        self._waiting = self._waiting[len(ready) :]
        if self._kept is not None:
            top = self._seen - len(self._kept)
            self._measure(self._kept, [border - top for border in ready])

    def _measure(self, values: Bytes, borders: Iterable[int]) -> None:
        for border in borders:
            first, last = max(border - _NEAR, 1), min(border + _NEAR, len(values) - 1)
            if first <= border <= last:
                _add_steps(values, first, last, border, self._across, self._beside)


def seam_ratio(percent: Bytes, rows: Iterable[int], cols: Iterable[int]) -> float | None:
    """Return the ratio that a `SeamMeter` gives for a whole mosaic, (y, x) uint8 percent."""
    meter = SeamMeter(rows, cols)
    meter.add(percent)
    return meter.ratio()


@jit()
def _add_steps(values, first, last, border, across, beside):  # type: ignore[no-untyped-def]
    """Add differences of neighbouring lines and their number, at a border and beside it."""
    for line in range(first, last + 1):
        total = number = 0.0
        for place in range(values.shape[1]):
            one, other = values[line - 1, place], values[line, place]
            if one != NODATA and other != NODATA:
                total += abs(float(one) - float(other))
                number += 1
        sums = across if line == border else beside
        sums[0] += total
        sums[1] += number


def window_borders(windows: Mapping[str, Any]) -> tuple[set[int], set[int]]:
    """Return the rows and columns at which windows, and what is used of them, begin and end.

    Parameters
    ----------
    windows
        `WindowPlan.as_dict`.
    """
    found = []
    for starts, size in zip((windows["rows"], windows["cols"]), windows["size"], strict=True):
        rim, end = windows["rim"], starts[-1] + size
        edges = {edge for s in starts for edge in (s, s + rim, s + size - rim, s + size)}
        found.append({edge for edge in edges if rim < edge < end - rim})
    return found[0], found[1]


def write_probability(
    seen: SceneInputs, out: Path, settings: PredictSettings, threads: int
) -> Path:
    """Predict a scene and write the probability of water, strip by strip.

    Parameters
    ----------
    seen
        The scene and its networks.
    out
        Cloud-optimised GeoTIFF to write: percent, 255 = no data. Band 1 is the mean of the members'
        probabilities; band 2, where there are several members or views, their standard deviation.
    settings
        How to predict.
    threads
        CPU threads.

    Raises
    ------
    InputError
        If windows, overlap and rim don't fit together, the back end isn't installed, or the network
        can't be had in int8.
    """
    ensemble, inputs = seen.ensemble, seen.inputs
    windows = sample(settings.precision, ensemble, seen.by_chunks, settings.backend)
    chosen = choose_precision(settings.precision, ensemble, windows, settings.backend)
    plan = plan_scene(
        inputs.sizes["y"],
        inputs.sizes["x"],
        tile=settings.tile or LARGEST[chosen.name],
        field=ensemble.receptive_field(),
        stride=ensemble.stride(),
    )
    held = HeldImage(seen.own_bands()) if seen.weighting.weight else None
    with read_ahead(inputs, plan, held.keep if held else None) as pieces:
        request = Request(settings.backend, chosen.name, plan.predicted_pixels, threads)
        running, runtime = accelerate(chosen.ensemble, request)
        get_logger(__name__).info(
            "%s: %d models, %s %s", seen.scene, len(ensemble.models), runtime, chosen.name
        )

        network = water_network(running, tta=settings.tta, precision=chosen.name)
        samples = ensemble.samples(settings.tta)
        layers = min(samples, 2)
        predicted = predict_rows(pieces, network, plan, layers=layers)
        if held is not None:
            predicted = add_local_likelihood(
                predicted, held, plan.shape, seen.weighting, threads=threads
            )

        made = {
            "FLOODLOOM_EVENT": settings.event,
            "FLOODLOOM_BACKEND": runtime,
            **_precision_tags(chosen),
            "FLOODLOOM_SAMPLES": str(samples),
            "FLOODLOOM_WINDOWS": json.dumps(plan.as_dict()),
        }
        grid, names = geobox_of(seen.store), LAYERS[:layers]
        profile = probability_profile(grid, names, {**_tags(seen), **made})
        seams = SeamMeter(*window_borders(plan.as_dict()))
        with cog_writer(out, profile, threads=threads) as raster:
            for row, percent in predicted:
                window = Window(0, row, percent.shape[2], percent.shape[1])
                raster.write(percent, window=window)
                for first in range(0, percent.shape[1], _ROWS):
                    seams.add(percent[0, first : first + _ROWS])
            raster.update_tags(FLOODLOOM_SEAM_RATIO=_ratio_text(seams.ratio()))
    return out


def _tags(seen: SceneInputs) -> dict[str, str]:
    """What is predicted from what, as tags."""
    return {
        "FLOODLOOM_PRODUCT": "water_probability",
        "FLOODLOOM_RECIPE": seen.ensemble.recipe.fingerprint,
        "FLOODLOOM_SCENE": Path(seen.scene).stem,
        "FLOODLOOM_CHECKPOINT": ", ".join(Path(path).stem for path in seen.checkpoint),
        "FLOODLOOM_LIKELIHOOD": f"{seen.weighting.weight:g}",
        **seen.tags,
        **acquisition_tags(seen.store),
    }


def _precision_tags(precision: Precision) -> dict[str, str]:
    tags = {"FLOODLOOM_PRECISION": precision.name}
    if precision.changed is not None:
        tags["FLOODLOOM_CLASSES_CHANGED"] = f"{precision.changed:.6f}"
    return tags


def _ratio_text(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.4f}"
