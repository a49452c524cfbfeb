"""The inputs of a scene, radar and optical."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.data.optical import bands_behind, channels_of
from floodloom.learning.data.samples import Standardisation
from floodloom.learning.inference import Ensemble, load_ensemble
from floodloom.learning.relabelling.local_likelihood import LikelihoodWeighting
from floodloom.log import get_logger
from floodloom.mapping.predict import MOST_COLUMNS
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.raster.placing import before_on_grid
from floodloom.raster.store import open_store, recipe_of
from floodloom.sentinel2.pair import Pairing
from floodloom.sentinel2.settings import PairingSettings
from floodloom.tiles.inputs import BEFORE, compose_inputs, lacking_bands
from floodloom.tiles.overlay import companion
from floodloom.tiles.terrain import sees_terrain, with_terrain

_log = get_logger(__name__)


def optical_bands(ensemble: Ensemble) -> tuple[str, ...]:
    """Return the bands that an ensemble's optical image must have, none if it sees radar alone.

    Raises
    ------
    InputError
        If it needs images of two dates.
    """
    channels = ensemble.bands[len(ensemble.recipe.bands) :]
    if any(name.startswith(BEFORE) for name in channels):
        raise InputError(
            f"optical: the networks see {', '.join(channels)}, so images of two dates; a scene has "
            "one, teach with channels of that"
        )
    return bands_behind(channels)


def with_optical(
    inputs: xr.DataArray, optical: xr.DataArray | None, ensemble: Ensemble
) -> xr.DataArray:
    """Return a scene's radar bands, and behind them what its networks see of an optical image.

    Parameters
    ----------
    inputs
        (band, y, x) float32 normalised radar bands, NaN = no data.
    optical
        (channel, y, x) float32 reflectance on the same grid, NaN = cloud or missing, with
        `optical_bands`; None: nothing is seen.
    ensemble
        Networks that see both.

    Returns
    -------
    xr.DataArray
        (band, y, x) float32, cut into chunks as `inputs` are. The optical channels are 0 where one
        of them isn't seen, so that only radar's NaN marks where there are no data.
    """
    standardisation = Standardisation(**ensemble.checkpoints[0].statistics)
    names = ensemble.bands[len(ensemble.recipe.bands) :]

    def standardised(values: NDArray[np.float32], have: list[str]) -> NDArray[np.float32]:
        channels = channels_of(np.moveaxis(values, -1, 0)[np.newaxis], have, names)
        scaled = standardisation.apply(channels)[0]
        seen = np.isfinite(scaled).all(axis=0)
        return np.moveaxis(np.where(seen, scaled, np.float32(0)), 0, -1)

    if optical is None:
        blank = xr.zeros_like(inputs.isel(band=0, drop=True)).expand_dims(band=len(names))
        return _behind(inputs, blank.fillna(0), names)
    image = optical
    if inputs.chunks is not None:
        image = optical.chunk({"channel": -1, **{name: inputs.chunksizes[name] for name in "yx"}})
    found = xr.apply_ufunc(
        standardised,
        image,
        kwargs={"have": [str(name) for name in optical["channel"].values]},
        input_core_dims=[["channel"]],
        output_core_dims=[["band"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"band": len(names)}},
    )
    return _behind(inputs, found.transpose("band", "y", "x"), names)


def _behind(inputs: xr.DataArray, more: xr.DataArray, names: tuple[str, ...]) -> xr.DataArray:
    radar = [str(name) for name in inputs["band"].values]
    plain = more.drop_vars(list(more.coords)).astype(np.float32)
    both = xr.concat([inputs.drop_vars("band"), plain], dim="band", join="override")
    return both.assign_coords(band=[*radar, *names])


@dataclass(frozen=True)
class SceneInputs:
    """What is predicted from what.

    Attributes
    ----------
    scene
        The scene's store.
    store
        What it holds.
    ensemble, checkpoint
        The networks, and the files that they come from.
    inputs
        (band, y, x) float32, NaN = no data, by rows of some columns.
    by_chunks
        The same, for reading single windows.
    weighting
        What the scene's own distributions weigh.
    tags
        What is seen beside radar, for the file.
    lacking
        Bands of `inputs` that the scene lacks, which are 0 wherever there are data.
    """

    scene: Path
    store: xr.Dataset
    ensemble: Ensemble
    checkpoint: Sequence[Path]
    inputs: xr.DataArray
    by_chunks: xr.DataArray
    weighting: LikelihoodWeighting
    tags: dict[str, str]
    lacking: Sequence[str] = ()

    def own_bands(self) -> list[int]:
        """Return the places of the bands of `inputs` that the scene doesn't lack."""
        names = [str(name) for name in self.inputs["band"].values]
        return [place for place, name in enumerate(names) if name not in self.lacking]


def scene_inputs(
    scene: Path,
    checkpoint: Sequence[Path],
    files: PredictFiles,
    settings: PredictSettings,
    pairing: PairingSettings,
    threads: int,
) -> SceneInputs:
    """Open a scene, the networks that map it, and what these see of it.

    Parameters
    ----------
    scene
        Scene store.
    checkpoint
        Checkpoints of the ensemble; those of radar alone take their place if the optical image is
        refused.
    files
        What else there is.
    settings
        How to predict.
    pairing
        What makes an optical image the scene's companion.
    threads
        CPU threads.

    Raises
    ------
    RecipeMismatchError
        If the scene was not made the way the model's data were.
    InputError
        If networks and optical image don't fit, a band is missing or the scenes' orbits differ.
    """
    ensemble = load_ensemble(checkpoint, threads=threads, fused=True)
    bands = optical_bands(ensemble)
    _require_what_is_seen(ensemble, bands, files.optical, checkpoint)
    store = open_store(scene, columns=MOST_COLUMNS)
    ensemble.recipe.require_scene(recipe_of(store), str(scene), ensemble.accepts)
    if recipe_of(store).quantity == "display" and ensemble.recipe.quantity != "display":
        _log.warning(
            "%s: display values, whose stretch isn't known, are mapped as if they were the "
            "decibels of a usual scene; give backscatter where there is any",
            scene,
        )

    pair = None if files.optical is None else companion(files.optical, store, pairing, bands)
    tags = _optical_tags(files.optical, pair) if bands else {}
    if pair is not None and pair.refused:
        checkpoint = files.radar_checkpoint or checkpoint
        ensemble = load_ensemble(checkpoint, threads=threads, fused=True)
        bands = optical_bands(ensemble)
        _require_what_is_seen(ensemble, bands, None, checkpoint)
        ensemble.recipe.require_scene(recipe_of(store), str(scene), ensemble.accepts)

    if not settings.calibrate:
        ensemble = ensemble.uncalibrated()
    weighting, ensemble = ensemble.likelihood, ensemble.with_joint_temperature()
    before = None
    if files.before is not None and any(b.startswith(BEFORE) for b in ensemble.recipe.bands):
        before = _earlier(files.before, store, ensemble, settings.mixed_orbits)
    seen = with_terrain(store, ensemble.recipe.bands, files.dem)
    absent = _absent(ensemble)
    inputs = compose_inputs(seen, ensemble.recipe, before=before, absent=absent)
    lacking = lacking_bands(seen, ensemble.recipe, before, absent)
    if bands:
        inputs = with_optical(inputs, None if pair is None else pair.image, ensemble)
    is_joined = bool(bands) or before is not None  # with another image, not read by single chunks
    by_chunks = inputs if is_joined else _by_chunks(scene, inputs, ensemble)
    return SceneInputs(
        scene, store, ensemble, checkpoint, inputs, by_chunks, weighting, tags, lacking
    )


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
            "with `teach.radar`"
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


def _absent(ensemble: Ensemble) -> tuple[str, ...]:
    """Bands that the scene may lack."""
    return () if ensemble.accepts is None else ensemble.accepts.absent


def _earlier(path: Path, scene: xr.Dataset, ensemble: Ensemble, mixed_orbits: bool) -> xr.Dataset:
    before = open_store(path, columns=MOST_COLUMNS)
    ensemble.recipe.require_scene(recipe_of(before), str(path), ensemble.accepts)
    return before_on_grid(before, scene, name=str(path), mixed_orbits=mixed_orbits)


def _by_chunks(scene: Path, inputs: xr.DataArray, ensemble: Ensemble) -> xr.DataArray:
    """The same inputs by single chunks, for single windows, where composing them again is free."""
    recipe = ensemble.recipe
    if not sees_terrain(recipe.bands) and recipe.normalisation == "fixed":
        return compose_inputs(open_store(scene), recipe, absent=_absent(ensemble))
    return inputs
