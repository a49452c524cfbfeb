"""The mean of what a network of radar and one of optical images predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.windows import Window

from floodloom.arrays import NODATA, Bytes
from floodloom.errors import InputError
from floodloom.files import scratch_beside
from floodloom.learning.data.optical import bands_behind, channels_of
from floodloom.learning.data.samples import Standardisation
from floodloom.learning.inference import load_ensemble
from floodloom.mapping.mosaic import write_probability
from floodloom.mapping.probability import LAYERS, probability_profile
from floodloom.mapping.scene_inputs import SceneInputs
from floodloom.mapping.settings import PredictSettings
from floodloom.raster.cog import cog_writer
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store
from floodloom.sentinel2.settings import PairingSettings
from floodloom.tiles.overlay import companion

_ROWS = 1024


def optical_inputs(
    scene: Path,
    optical: Path,
    checkpoint: Sequence[Path],
    pairing: PairingSettings,
    threads: int,
) -> SceneInputs:
    """Open what networks of optical images see on a scene's grid.

    Raises
    ------
    CheckpointError
        If they see radar.
    InputError
        If the image is no companion of the scene.
    """
    ensemble = load_ensemble(checkpoint, threads=threads, optical=True)
    store = open_store(scene, whole_rows=True)
    pair = companion(optical, store, pairing, bands_behind(ensemble.bands))
    if pair.image is None or pair.refused:
        raise InputError(
            f"{optical}: {pair.refused or 'shows nothing of the scene'}; map the scene by `predict`"
        )
    standardisation = Standardisation(**ensemble.checkpoints[0].statistics)
    have = [str(name) for name in pair.image["channel"].values]

    def standardised(values: NDArray[np.float32]) -> NDArray[np.float32]:
        channels = channels_of(np.moveaxis(values, -1, 0)[np.newaxis], have, ensemble.bands)
        return np.moveaxis(standardisation.apply(channels)[0], 0, -1)

    rows = {} if pair.image.chunks is None else {"channel": -1, "x": -1}
    inputs = xr.apply_ufunc(
        standardised,
        pair.image.chunk(rows) if rows else pair.image,
        input_core_dims=[["channel"]],
        output_core_dims=[["band"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"band": len(ensemble.bands)}},
    ).transpose("band", "y", "x")
    tags = {
        "FLOODLOOM_OPTICAL": Path(optical).stem,
        "FLOODLOOM_OPTICAL_CLEAR": f"{pair.clear_share:.4f}",
    }
    weighting, ensemble = ensemble.likelihood, ensemble.with_joint_temperature()
    return SceneInputs(scene, store, ensemble, checkpoint, inputs, inputs, weighting, tags)


def mean_percent(radar: Bytes, optical: Bytes) -> Bytes:
    """Return the mean of two probabilities where the optical one is known, else radar's.

    Parameters
    ----------
    radar, optical
        (y, x) uint8 percent, 255 = no data.

    Returns
    -------
    ndarray
        (y, x) uint8 percent, 255 where radar has no data; halves are rounded up.
    """
    mean = (radar.astype(np.uint16) + optical + 1) // 2
    both = (radar != NODATA) & (optical != NODATA)
    return np.where(both, mean, radar).astype(np.uint8)


def write_combined(
    radar: SceneInputs, optical: SceneInputs, out: Path, settings: PredictSettings, threads: int
) -> Path:
    """Predict by both, each by itself, and write the mean, see `mean_percent`.

    Raises
    ------
    InputError
        If their classes differ.
    """
    ours, theirs = (list(seen.ensemble.classes) for seen in (radar, optical))
    if ours != theirs:
        raise InputError(
            f"{optical.checkpoint[0]}: classes are {theirs}, but the radar network's {ours}; "
            "combine networks of the same classes"
        )
    with scratch_beside(out) as folder:
        parts = [folder / f"{name}.tif" for name in ("radar", "optical")]
        for seen, part in zip((radar, optical), parts, strict=True):
            write_probability(seen, part, settings, threads)
        return _write_mean(parts, radar, optical, out, threads)


def _write_mean(
    parts: Sequence[Path], radar: SceneInputs, seen: SceneInputs, out: Path, threads: int
) -> Path:
    """Write the mean of two mosaics of the scene's grid, strip by strip."""
    with rasterio.open(parts[0]) as first, rasterio.open(parts[1]) as second:
        names = [Path(path).stem for path in (*radar.checkpoint, *seen.checkpoint)]
        tags = {k: v for k, v in first.tags().items() if k not in _OF_ONE}
        tags |= {**seen.tags, "FLOODLOOM_CHECKPOINT": ", ".join(names)}
        grid = geobox_of(radar.store)
        profile = probability_profile(grid, LAYERS[:1], tags)
        with cog_writer(out, profile, threads=threads) as raster:
            for row in range(0, first.height, _ROWS):
                window = Window(0, row, first.width, min(_ROWS, first.height - row))
                strips = [one.read(1, window=window) for one in (first, second)]
                raster.write(mean_percent(*strips)[np.newaxis], window=window)
    return out


_OF_ONE = ("FLOODLOOM_SEAM_RATIO", "FLOODLOOM_WINDOWS", "FLOODLOOM_SAMPLES", "AREA_OR_POINT")
"""Tags of a mosaic that are true of a single prediction alone."""
