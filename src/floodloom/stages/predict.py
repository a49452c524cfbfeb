"""A scene and an ensemble → the probability of water."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from floodloom.errors import InputError
from floodloom.learning.inference import load_ensemble
from floodloom.log import get_logger
from floodloom.mapping.predict import PERCENT_NODATA, predict_mosaic, water_probability
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store, recipe_of, write_cog
from floodloom.tiles.inputs import compose_inputs


def predict(
    *,
    scene: Path,
    checkpoint: Sequence[Path],
    out: Path,
    before: Path | None = None,
    event: str = "",
    tile: int = 512,
    overlap: int = 128,
    rim: int = 16,
    batch: int = 4,
    tta: bool = False,
    precision: str = "float32",
    threads: int = 1,
) -> Path:
    """Predict the probability of water on a whole scene.

    Parameters
    ----------
    scene
        Scene store.
    checkpoint
        Checkpoints of the ensemble.
    out
        Cloud-optimised GeoTIFF to write: percent, 255 = no data.
    before
        Pre-event scene store, for models with bands that begin with `before_`.
    event
        Name of the event, for the file's tags.
    tile
        Side of a window, px.
    overlap
        Pixels that neighbouring windows share.
    rim
        Pixels at a window's border that are not used.
    batch
        Windows predicted at once.
    tta
        Average over the eight symmetries of the square.
    precision
        float32 or bfloat16; bfloat16 is faster where the processor has it.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    RecipeMismatchError
        If the scene was not made the way the model's data were; the message names the field.
    InputError
        If windows, overlap and rim don't fit together, or a band is missing.
    """
    if not 2 * rim <= overlap < tile:
        raise InputError(
            f"predict: overlap {overlap} must be at least twice the rim ({rim}) and below tile "
            f"({tile})"
        )
    ensemble = load_ensemble(checkpoint, threads=threads)
    store = open_store(scene)
    ensemble.recipe.require_scene(recipe_of(store), str(scene))
    earlier = None if before is None else open_store(before)
    inputs = compose_inputs(store, ensemble.recipe, before=earlier)
    get_logger(__name__).info("%s: %d models, %s", scene, len(ensemble.models), precision)
    network = water_probability(partial(ensemble.probabilities, tta=tta, precision=precision))
    mosaic = predict_mosaic(inputs, network, tile=tile, overlap=overlap, rim=rim, batch=batch)
    return write_cog(
        mosaic,
        out,
        geobox=geobox_of(store),
        nodata=PERCENT_NODATA,
        descriptions=("probability of water, percent",),
        tags={
            "FLOODLOOM_PRODUCT": "water_probability",
            "FLOODLOOM_RECIPE": ensemble.recipe.fingerprint,
            "FLOODLOOM_EVENT": event,
            "FLOODLOOM_SCENE": Path(scene).stem,
            "FLOODLOOM_CHECKPOINT": ", ".join(Path(path).stem for path in checkpoint),
            "FLOODLOOM_PRECISION": precision,
            "ACQUISITION_TIME": str(store.attrs.get("acquisition_time", "")),
        },
    )
