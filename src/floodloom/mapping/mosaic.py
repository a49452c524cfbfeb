"""The probability of water of a scene, predicted window by window, as a raster."""

from __future__ import annotations

import json
from pathlib import Path

import xarray as xr
from rasterio.windows import Window

from floodloom.learning.relabelling.scene_likelihood import add_local_likelihood
from floodloom.log import get_logger
from floodloom.mapping.backends import Request, accelerate
from floodloom.mapping.plan import LARGEST, plan_scene
from floodloom.mapping.precision import Precision, choose_precision, sample
from floodloom.mapping.predict import LAYERS, predict_rows, read_ahead, water_network
from floodloom.mapping.scene_inputs import SceneInputs
from floodloom.mapping.seams import SeamMeter, window_borders
from floodloom.mapping.settings import PredictSettings
from floodloom.raster.cog import CogProfile, cog_writer
from floodloom.raster.grid import geobox_of
from floodloom.raster.nodata import NODATA


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
    with read_ahead(inputs) as pieces:
        chosen = choose_precision(settings.precision, ensemble, windows, settings.backend)
        plan = plan_scene(
            inputs.sizes["y"],
            inputs.sizes["x"],
            tile=settings.tile or LARGEST[chosen.name],
            field=ensemble.receptive_field(),
        )
        batch = min(settings.batch, len(plan.cols))
        request = Request(
            settings.backend, chosen.name, batch, *plan.size, plan.predicted_pixels, threads
        )
        running, runtime = accelerate(chosen.ensemble, request)
        get_logger(__name__).info(
            "%s: %d models, %s %s", seen.scene, len(ensemble.models), runtime, chosen.name
        )

        network = water_network(running, tta=settings.tta, precision=chosen.name)
        samples = ensemble.samples(settings.tta)
        layers = min(samples, 2)
        predicted = predict_rows(pieces, network, plan, layers=layers, batch=batch)
        if seen.weighting.weight:
            predicted = add_local_likelihood(predicted, inputs, seen.weighting, threads=threads)

        made = {
            "FLOODLOOM_EVENT": settings.event,
            "FLOODLOOM_BACKEND": runtime,
            **_precision_tags(chosen),
            "FLOODLOOM_SAMPLES": str(samples),
            "FLOODLOOM_WINDOWS": json.dumps(plan.as_dict()),
        }
        grid, names = geobox_of(seen.store), LAYERS[:layers]
        profile = CogProfile(grid, "uint8", NODATA, layers, names, tags={**_tags(seen), **made})
        seams = SeamMeter(*window_borders(plan.as_dict()))
        with cog_writer(out, profile, threads=threads) as raster:
            for row, percent in predicted:
                window = Window(0, row, percent.shape[2], percent.shape[1])
                raster.write(percent, window=window)
                seams.add(percent[0])
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
        **_acquisition(seen.store),
    }


def _precision_tags(precision: Precision) -> dict[str, str]:
    tags = {"FLOODLOOM_PRECISION": precision.name}
    if precision.changed is not None:
        tags["FLOODLOOM_CLASSES_CHANGED"] = f"{precision.changed:.6f}"
    return tags


def _ratio_text(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.4f}"


def _acquisition(store: xr.Dataset) -> dict[str, str]:
    """When and from where the scene was taken, as tags."""
    tags = {
        "ACQUISITION_TIME": "acquisition_time",
        "PLATFORM": "platform",
        "INSTRUMENT_MODE": "instrument_mode",
        "PRODUCT_TYPE": "product_type",
        "ORBIT_DIRECTION": "orbit_direction",
        "RELATIVE_ORBIT": "relative_orbit",
    }
    return {tag: str(store.attrs.get(name, "")) for tag, name in tags.items()}
