"""Tiles that stay on disk and are read from their Zarr stores as they are drawn."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from torch import Tensor
from zarr.core.sync import sync

from floodloom.learning.data import Samples, Tiles, radar_samples, spread_out, without_nan
from floodloom.log import get_logger

_log = get_logger(__name__)
_STORE, _ROW = "tile_store", "tile_row"
_QUICKLY = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}
"""A tile is a chunk of a shard; zarr's own pipeline takes 2.5 ms of Python for each, this .3 ms."""


def located(tiles: xr.Dataset, paths: str | Path | Sequence[str | Path]) -> xr.Dataset:
    """Return the tiles with the store and the row that each of them lies in.

    Parameters
    ----------
    tiles
        As `floodloom.tiles.store.open_tiles(paths)` gives them.
    paths
        The same store or stores.
    """
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    counts = [zarr.open_array(Path(path) / "label", mode="r").shape[0] for path in several]
    stores = np.repeat([str(path) for path in several], counts)
    rows = np.concatenate([np.arange(count) for count in counts])
    return tiles.assign_coords({_STORE: ("tile", stores), _ROW: ("tile", rows)})


class StoredTiles:
    """Radar tiles read from their stores when they are taken.

    Parameters
    ----------
    tiles
        Any selection from what `located` returned.
    """

    def __init__(self, tiles: xr.Dataset) -> None:
        self._ids = [str(name) for name in tiles["tile_id"].values]
        self._rows = np.asarray(tiles[_ROW].values, dtype=np.int64)
        names, self._stores = np.unique(tiles[_STORE].values, return_inverse=True)
        with zarr.config.set(_QUICKLY):
            self._images = [zarr.open_array(Path(name) / "image", mode="r") for name in names]
            self._labels = [zarr.open_array(Path(name) / "label", mode="r") for name in names]
        self._recipe = str(tiles.attrs.get("recipe"))

    def __len__(self) -> int:
        return len(self._ids)

    def take(self, index: Tensor) -> Samples:
        """Read the tiles of `index` in its order."""
        chosen = index.numpy()
        places = list(zip(self._stores[chosen].tolist(), self._rows[chosen].tolist(), strict=True))
        image, label = sync(_read((self._images, self._labels), places))
        ids = tuple(self._ids[i] for i in chosen)
        return Samples(*without_nan(image, label), ids=ids)

    def identity(self) -> str:
        """Return a digest of the recipe, the tiles' names and places, and a sample of labels."""
        few = spread_out(self, 16)
        text = f"{self._recipe}{self._ids}{self._rows.tolist()}{few.identity()}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def nbytes(self) -> int:
        """Size in memory if all tiles were read."""
        pixels = int(np.prod(self._images[0].shape[1:])) * 4 + int(
            np.prod(self._labels[0].shape[1:])
        )
        return pixels * len(self)


async def _read(
    kinds: Sequence[list[zarr.Array[Any]]], places: list[tuple[int, int]]
) -> list[NDArray[Any]]:
    """Read tiles by store and row from arrays of several kinds.

    All are asked for at once: one after the other takes twice as long, a list of rows in one
    request ten times.
    """
    rows = [
        arrays[store].async_array.getitem(slice(row, row + 1))
        for arrays in kinds
        for store, row in places
    ]
    read = iter(await asyncio.gather(*rows))
    return [np.concatenate(list(itertools.islice(read, len(places)))) for _ in kinds]


def radar_tiles(tiles: xr.Dataset, memory_gib: float) -> Tiles:
    """Return radar tiles, in memory if they fit there.

    Parameters
    ----------
    tiles
        Selection from what `located` returned.
    memory_gib
        Greatest size of tiles held in memory, GiB.
    """
    size = (tiles["image"].nbytes + tiles["label"].nbytes) / 2**30
    if size <= memory_gib:
        return radar_samples(tiles)
    _log.info("%.1f GiB of tiles are read from disk as they are drawn", size)
    return StoredTiles(tiles)
