"""A scene and an ensemble → the probability of water."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from rasterio.windows import Window

from floodloom.errors import InputError
from floodloom.learning.inference import Ensemble, load_ensemble
from floodloom.learning.relabelling.local_likelihood import LikelihoodWeighting
from floodloom.learning.relabelling.scene_likelihood import add_local_likelihood
from floodloom.log import get_logger
from floodloom.mapping.align import before_on_grid
from floodloom.mapping.backends import Request, accelerate
from floodloom.mapping.optical import optical_bands, with_optical
from floodloom.mapping.plan import LARGEST, plan_scene
from floodloom.mapping.precision import Precision, choose_precision, sample
from floodloom.mapping.predict import (
    LAYERS,
    predict_rows,
    reading,
    water_network,
)
from floodloom.mapping.seams import SeamMeter, window_borders
from floodloom.names import require_events
from floodloom.outputs import writes
from floodloom.raster.cog import CogProfile, cog_writer
from floodloom.raster.grid import geobox_of
from floodloom.raster.nodata import NODATA
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, recipe_of
from floodloom.sentinel2.pair import Pairing, PairingRules
from floodloom.tiles.companion import companion
from floodloom.tiles.inputs import BEFORE, compose_inputs


@writes("out")
def predict(
    *,
    scene: Path,
    checkpoint: Sequence[Path],
    out: Path,
    before: Path | None = None,
    optical: Path | None = None,
    radar_checkpoint: Sequence[Path] = (),
    event: str = "",
    tile: int | None = None,
    overlap: int | None = None,
    rim: int | None = None,
    batch: int = 1,
    tta: bool = False,
    backend: str = "auto",
    precision: str = "auto",
    likelihood: bool = True,
    mixed_orbits: bool = False,
    optical_names: Sequence[str] = (),
    optical_gap_days: float | None = 10.0,
    optical_shift: float = 10.0,
    threads: int = 1,
) -> Path:
    """Predict the probability of water on a whole scene.

    Parameters
    ----------
    scene
        Scene store.
    checkpoint
        Checkpoints of the ensemble; of networks that see an optical image beside radar, too, such
        as the teacher of `teach`.
    out
        Cloud-optimised GeoTIFF to write: percent, 255 = no data. Band 1 is the mean of the
        members' calibrated probabilities; band 2, where there are several members or views, their
        standard deviation.
    before
        Pre-event scene store, for models with bands that begin with `before_`.
    optical
        Optical raster of the same days, for networks that see one. Without it, under clouds, and
        if it is refused (a warning says why), they go by radar alone, if they have learnt that.
    radar_checkpoint
        Checkpoints of networks that see radar alone, such as the students of `distill`, which map
        the scene instead if the optical image is refused.
    event
        Name of the event, for the file's tags.
    tile
        Largest side of a window, px; 1024 in float32, 1408 in bfloat16 and 1600 in int8
        when not given.
    overlap
        Least number of pixels that neighbouring windows share; twice the rim when not given.
    rim
        Pixels at a window's border that are not used; half of the network's receptive field when
        not given, with which the result doesn't depend on the windows.
    batch
        Windows predicted at once.
    tta
        Average over the eight symmetries of the square.
    backend
        torch, onnxruntime, openvino, or auto: what is installed and fastest here.
    precision
        float32, bfloat16, int8, or auto: for large scenes the fastest that the processor has and
        that changes hardly any class of a sample of the scene. The file says which was used. int8
        is for the usual U-Net.
    likelihood
        Let the scene's own distributions weigh as much as the checkpoints say, see `relabel`.
    mixed_orbits
        Accept a pre-event scene of the other orbit direction.
    optical_names, optical_gap_days, optical_shift
        As for `tile`.
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
        If windows, overlap and rim don't fit together, a band is missing, the scenes' orbits
        differ, the back end isn't installed, the network can't be had in int8, or an optical image
        is given to networks that see none, or none that serves to such as need one; if `event` is
        no name.
    """
    require_events(event)
    ensemble = load_ensemble(checkpoint, threads=threads, fused=True)
    bands = optical_bands(ensemble)
    _require_what_is_seen(ensemble, bands, optical, checkpoint)
    store = open_store(scene, whole_rows=True)
    ensemble.recipe.require_scene(recipe_of(store), str(scene))
    rules = PairingRules(bands, tuple(optical_names), optical_gap_days, optical_shift)
    pairing = None if optical is None else companion(optical, store, rules)
    seen = _optical_tags(optical, pairing) if bands else {}
    if pairing is not None and pairing.refused:
        checkpoint = radar_checkpoint or checkpoint
        ensemble = load_ensemble(checkpoint, threads=threads, fused=True)
        bands = optical_bands(ensemble)
        _require_what_is_seen(ensemble, bands, None, checkpoint)
        ensemble.recipe.require_scene(recipe_of(store), str(scene))
    weighting = LikelihoodWeighting()
    if likelihood:
        weighting, ensemble = ensemble.likelihood, ensemble.with_joint_temperature()
    earlier = None if before is None else _earlier(before, store, ensemble.recipe, mixed_orbits)
    inputs = compose_inputs(store, ensemble.recipe, before=earlier)
    if not bands:
        looked_at = _by_chunks(scene, inputs, ensemble.recipe)
    else:
        inputs = with_optical(inputs, None if pairing is None else pairing.image, ensemble)
        looked_at = inputs
    windows = sample(precision, ensemble, looked_at, backend)
    with reading(inputs) as pieces:
        chosen = choose_precision(precision, ensemble, windows, backend)
        plan = plan_scene(
            inputs.sizes["y"],
            inputs.sizes["x"],
            tile=tile or LARGEST[chosen.name],
            field=ensemble.receptive_field(),
            overlap=overlap,
            rim=rim,
        )
        batch = min(batch, len(plan.cols))
        request = Request(backend, chosen.name, batch, *plan.size, plan.predicted_pixels, threads)
        running, runtime = accelerate(chosen.ensemble, request)
        get_logger(__name__).info(
            "%s: %d models, %s %s", scene, len(ensemble.models), runtime, chosen.name
        )
        network = water_network(running, tta=tta, precision=chosen.name)
        layers = min(ensemble.samples(tta), 2)
        facts = {
            "FLOODLOOM_PRODUCT": "water_probability",
            "FLOODLOOM_RECIPE": ensemble.recipe.fingerprint,
            "FLOODLOOM_EVENT": event,
            "FLOODLOOM_SCENE": Path(scene).stem,
            "FLOODLOOM_CHECKPOINT": ", ".join(Path(path).stem for path in checkpoint),
            "FLOODLOOM_BACKEND": runtime,
            **_said(chosen),
            "FLOODLOOM_LIKELIHOOD": f"{weighting.weight:g}",
            "FLOODLOOM_SAMPLES": str(ensemble.samples(tta)),
            "FLOODLOOM_WINDOWS": json.dumps(plan.as_dict()),
        }
        tags = {**facts, **seen, **_acquisition(store)}
        profile = CogProfile(geobox_of(store), "uint8", NODATA, layers, LAYERS[:layers], tags=tags)
        seams = SeamMeter(*window_borders(plan.as_dict()))
        predicted = predict_rows(pieces, network, plan, layers=layers, batch=batch)
        if weighting.weight:
            predicted = add_local_likelihood(predicted, inputs, weighting, threads=threads)
        with cog_writer(out, profile, threads=threads) as raster:
            for row, percent in predicted:
                window = Window(0, row, percent.shape[2], percent.shape[1])
                raster.write(percent, window=window)
                seams.add(percent[0])
            raster.update_tags(FLOODLOOM_SEAM_RATIO=_ratio_text(seams.ratio()))
    return Path(out)


def _require_what_is_seen(
    ensemble: Ensemble, bands: Sequence[str], optical: Path | None, checkpoint: Sequence[Path]
) -> None:
    """Check that an optical image is there for networks that need one, and for no others."""
    names = ", ".join(map(str, checkpoint))
    if optical is not None and not bands:
        raise InputError(f"{optical}: {names} sees radar alone; leave the optical image out")
    alone = all(one.works_without_optical for one in ensemble.checkpoints)
    if optical is None and bands and not alone:
        raise InputError(
            f"{names}: hasn't learnt to do without its optical image; give `optical`, or teach "
            "with `optical_drop`"
        )


def _optical_tags(optical: Path | None, pairing: Pairing | None) -> dict[str, str]:
    """What the networks saw beside radar."""
    if optical is None or pairing is None:
        return {"FLOODLOOM_OPTICAL": "none"}
    tags = {
        "FLOODLOOM_OPTICAL": Path(optical).stem,
        "FLOODLOOM_OPTICAL_CLEAR": f"{pairing.clear_share:.4f}",
    }
    return tags | ({"FLOODLOOM_OPTICAL_REFUSED": pairing.refused} if pairing.refused else {})


def _said(precision: Precision) -> dict[str, str]:
    tags = {"FLOODLOOM_PRECISION": precision.name}
    if precision.changed is not None:
        tags["FLOODLOOM_CLASSES_CHANGED"] = f"{precision.changed:.6f}"
    return tags


def _ratio_text(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.4f}"


def _earlier(path: Path, scene: xr.Dataset, recipe: Recipe, mixed_orbits: bool) -> xr.Dataset:
    before = open_store(path, whole_rows=True)
    recipe.require_scene(recipe_of(before), str(path))
    return before_on_grid(before, scene, name=str(path), mixed_orbits=mixed_orbits)


def _by_chunks(scene: Path, inputs: xr.DataArray, recipe: Recipe) -> xr.DataArray:
    """The same inputs by single chunks, for single windows, where composing them again is free."""
    alone = not any(band.startswith(BEFORE) for band in recipe.bands)
    if alone and recipe.normalisation == "fixed":
        return compose_inputs(open_store(scene), recipe)
    return inputs


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
