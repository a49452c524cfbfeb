"""An optical image beside radar, for networks that see both."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.data.optical import bands_behind, channels_of
from floodloom.learning.data.samples import Standardisation
from floodloom.learning.inference import Ensemble
from floodloom.log import get_logger
from floodloom.tiles.inputs import BEFORE

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
    rows = {} if inputs.chunks is None else {"y": inputs.chunksizes["y"]}
    image = optical.chunk({"channel": -1, "x": -1, **rows}) if rows else optical
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
