"""What networks take of a tile's optical image: channels, indices, and labels made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.errors import ConfigError, InputError, RecipeMismatchError
from floodloom.learning.data.samples import (
    Samples,
    Standardisation,
    radar_samples,
    tile_ids,
)
from floodloom.learning.data.zarr_tiles import iterate_blocks, replace_labels
from floodloom.log import get_logger
from floodloom.sentinel2.indices import mndwi, ndwi
from floodloom.tiles.inputs import BEFORE

INDICES = {"ndwi": (ndwi, "green", "nir"), "mndwi": (mndwi, "green", "swir")}
"""Index, and the two channels that it is made of."""
OPTICAL_DROP = 0.3
"""Probability that a tile loses its image in training, so that the network learns radar alone."""

_log = get_logger(__name__)
_DOUBT = 0.05  # the sign of an index nearer to 0 than this is uncertain


def has_optical(tiles: xr.Dataset) -> NDArray[np.bool_]:
    """Return for each tile whether any pixel of its optical image is clear."""
    if "optical" not in tiles:
        return np.zeros(tiles.sizes["tile"], dtype=np.bool_)
    seen = [np.isfinite(image).any(axis=(1, 2, 3)) for image in iterate_blocks(tiles, "optical")]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *seen])


def optical_channels(tiles: xr.Dataset, chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the channels that are chosen, all and the indices of them if none is.

    Raises
    ------
    InputError
        If no tile has an optical image, or not with such a channel.
    """
    images = iterate_blocks(tiles, "optical") if "optical" in tiles else ()
    if not any(np.isfinite(image).any() for image in images):
        raise InputError("tiles: none has an optical image; cut them with `--optical`")
    have = [str(name) for name in tiles["channel"].values]
    known = (*have, *_indices(have))
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise InputError(
            f"channels: {', '.join(unknown)} isn't in the optical images, which have "
            f"{', '.join(known)}"
        )
    return tuple(chosen) or known


def standardise_optical(tiles: xr.Dataset, channels: Sequence[str] = ()) -> Standardisation:
    """Return the statistics of the optical channels over all clear pixels.

    Raises
    ------
    InputError
        As `optical_channels`.
    """
    names, have = optical_channels(tiles, channels), _names(tiles)
    count, mean, squares = np.zeros((3, len(names)))
    for image in iterate_blocks(tiles, "optical"):
        values = channels_of(image, have, names).swapaxes(0, 1).reshape(len(names), -1)
        clear = np.isfinite(values)
        more = clear.sum(axis=1)
        # Chan et al. 1979, Updating formulae for computing sample variances, equations 2.1.
        own = np.where(clear, values, 0).sum(axis=1, dtype=np.float64) / np.maximum(more, 1)
        off = np.where(clear, values - own[:, np.newaxis], 0)
        together = np.maximum(count + more, 1)
        squares += np.square(off).sum(axis=1) + (own - mean) ** 2 * count * more / together
        mean += (own - mean) * more / together
        count += more
    deviation = np.maximum(np.sqrt(squares / np.maximum(count, 1)), 1e-6)
    return Standardisation(names, tuple(mean.tolist()), tuple(deviation.tolist()))


def optical_samples(tiles: xr.Dataset, standardisation: Standardisation) -> Samples:
    """Load tiles with the optical channels as the input; pixels under clouds aren't labelled."""
    optical = standardisation.apply(_values(tiles, standardisation.channels))
    return Samples.of(optical, tiles["label"].values, tile_ids(tiles))


def paired_samples(tiles: xr.Dataset, standardisation: Standardisation) -> Samples:
    """Load tiles with the radar bands as the input and the optical channels as the companion."""
    radar = radar_samples(tiles)
    optical = standardisation.apply(_values(tiles, standardisation.channels))
    seen = np.asarray(np.isfinite(optical).all(axis=1))
    both = torch.from_numpy(seen & np.isfinite(tiles["image"].values).all(axis=1))
    blanked = np.where(seen[:, np.newaxis], optical, np.float32(0))
    return replace(radar, optical=torch.from_numpy(blanked), clear=both)


def fused_samples(tiles: xr.Dataset, standardisation: Standardisation) -> Samples:
    """Load tiles with radar bands and optical channels as the input, 0 where the latter miss."""
    return fuse_optical(paired_samples(tiles, standardisation))


def fuse_optical(samples: Samples) -> Samples:
    """Return tiles whose companion has become a part of the input."""
    if samples.optical is None:
        raise InputError("tiles: no optical image to fuse; cut them with `--optical`")
    image = torch.cat([samples.image, samples.optical], dim=1)
    valid = torch.cat([samples.valid, _optical_valid(samples, samples.optical)], dim=1)
    return Samples(image, samples.label, ids=samples.ids, valid=valid)


def drop_optical(samples: Samples) -> Samples:
    """Return tiles without their companion."""
    return replace(samples, optical=None, clear=None)


def drop_optical_image(samples: Samples) -> Samples:
    """Return tiles without their companion, but with where it was clear."""
    return replace(samples, optical=None)


def network_input(samples: Samples, inputs: str) -> Samples:
    """Return tiles with companions as a network takes them: optical, or fused with the radar."""
    if inputs == "fused":
        return fuse_optical(samples)
    if samples.optical is None:
        raise InputError("tiles: no optical image to look at; cut them with `--optical`")
    valid = _optical_valid(samples, samples.optical)
    return Samples(samples.optical, samples.label, ids=samples.ids, valid=valid)


def _optical_valid(samples: Samples, optical: Tensor) -> Tensor:
    """Return (tile, channel, y, x) bool, where the companion is clear."""
    if samples.clear is None:
        return torch.ones_like(optical, dtype=torch.bool)
    return samples.clear.unsqueeze(1).expand_as(optical)


def unlabelled_pairs(tiles: xr.Dataset, most: int) -> xr.Dataset:
    """Return tiles of the split `target` with an optical image, their labels hidden.

    Parameters
    ----------
    tiles
        Tile store.
    most
        How many are returned at most, spread evenly over the store.
    """
    target = np.flatnonzero(tiles["split"].values == "target")
    pairs = target[has_optical(tiles.isel(tile=target))]
    if len(pairs) > most:
        pairs = pairs[np.linspace(0, len(pairs), most, endpoint=False).astype(int)]
    if len(pairs):
        _log.info("%d tiles without labels teach by their optical images, too", len(pairs))
    chosen = tiles.isel(tile=pairs)
    return replace_labels(chosen, np.full(chosen["label"].shape, IGNORE, dtype=np.uint8))


def choose_labels(tiles: xr.Dataset, labels: str) -> xr.Dataset:
    """Return tiles with labels of a source: `given`, or `water_index`.

    Raises
    ------
    ConfigError
        If the choice is neither.
    """
    if labels == "given":
        return tiles
    if labels != "water_index":
        raise ConfigError(f"labels {labels!r}: choose given or water_index")
    return label_by_index(tiles)


def label_by_index(tiles: xr.Dataset) -> xr.Dataset:
    """Return tiles whose labels come from the optical image alone: 1 = water, 0 = dry.

    The label is the sign of MNDWI, of NDWI where there is no short-wave infrared; pixels under
    clouds and with an index near 0 are ignored. Tiles of the split `target` become training tiles:
    their labels aren't read.

    Raises
    ------
    InputError
        If the optical images have neither index.
    """
    known = [name for name in ("mndwi", "ndwi") if name in _indices(_names(tiles))]
    if not known:
        raise InputError(
            f"labels: a water index needs green and swir or nir, the tiles have {_names(tiles)}; "
            "give labels"
        )
    have = _names(tiles)
    images = iterate_blocks(tiles, "optical")
    label = np.concatenate([_sign(channels_of(image, have, known[:1])[:, 0]) for image in images])
    split = np.where(tiles["split"].values == "target", "train", tiles["split"].values)
    named = tiles.assign_coords(split=("tile", split))
    return replace_labels(named, label)


def _sign(index: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return 1 where an index (tile, y, x) is positive, 0 where negative, 255 where uncertain."""
    known = np.isfinite(index) & (np.abs(index) > _DOUBT)
    return np.where(known, (index > 0).astype(np.uint8), np.uint8(IGNORE))


def _names(tiles: xr.Dataset) -> list[str]:
    return [str(name) for name in tiles["channel"].values] if "optical" in tiles else []


def _indices(have: Sequence[str]) -> tuple[str, ...]:
    """Return the indices of each date that can be made of the channels."""
    return tuple(
        prefix + name
        for prefix in (BEFORE, "")
        for name, (_, *parts) in INDICES.items()
        if all(prefix + part in have for part in parts)
    )


def _values(tiles: xr.Dataset, channels: Sequence[str]) -> NDArray[np.float32]:
    """Return (tile, channel, y, x) of the store's channels and of indices made of them."""
    have = _names(tiles)
    missing = [name for name in channels if name not in (*have, *_indices(have))]
    if missing:
        raise RecipeMismatchError(
            f"tiles: optical channels are {have} but {list(channels)} are needed; teach "
            "with `channels` that all images have"
        )
    stored: NDArray[np.float32] = tiles["optical"].values
    return stored if list(channels) == have else channels_of(stored, have, channels)


def channels_of(
    stored: NDArray[np.float32], have: Sequence[str], channels: Sequence[str]
) -> NDArray[np.float32]:
    """Return channels, and indices made of them.

    Parameters
    ----------
    stored
        (n, channel, y, x) float32 reflectance, NaN = cloud or missing.
    have
        Names of its channels.
    channels
        Names of those that are wanted: some of these, and indices that can be made of them.

    Returns
    -------
    ndarray
        (n, channel, y, x) float32.
    """

    def channel(name: str) -> NDArray[np.float32]:
        if name in have:
            return stored[:, have.index(name)]
        index, *parts = _parts(name)
        return index(*map(channel, parts))

    return np.stack([channel(name) for name in channels], axis=1)


def bands_behind(channels: Sequence[str]) -> tuple[str, ...]:
    """Return the bands that channels are, or are made of."""
    found: list[str] = []
    for name in channels:
        is_index = name.removeprefix(BEFORE) in INDICES
        found += _parts(name)[1:] if is_index else (name,)
    return tuple(dict.fromkeys(found))


def _parts(name: str) -> tuple[Callable[..., NDArray[np.float32]], str, str]:
    """Return what makes an index of a date, and the two bands of that date."""
    prefix = BEFORE if name.startswith(BEFORE) else ""
    index, one, other = INDICES[name.removeprefix(prefix)]
    return index, prefix + one, prefix + other
