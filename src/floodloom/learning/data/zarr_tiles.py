"""Tiles as they lie in stores, read when they are taken."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
import zarr
from numpy.typing import NDArray
from torch import Tensor
from zarr.core.sync import sync

from floodloom.arrays import IGNORE
from floodloom.learning.data.samples import Samples, Tiles, evenly_spaced, radar_samples
from floodloom.log import get_logger
from floodloom.raster.store import FAST_CODECS

_log = get_logger(__name__)
Load = Callable[[xr.Dataset], Samples]
"""From a tile store, or some tiles of one, to what a network is given."""
_STORE, _ROW, _OWN = "tile_store", "tile_row", "tile_label_is_stored"
_VARIABLES = ("image", "label", "optical")
_AT_ONCE = 64


def locate_tiles(tiles: xr.Dataset, paths: str | Path | Sequence[str | Path]) -> xr.Dataset:
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
    own = np.ones(len(rows), dtype=np.bool_)
    return tiles.assign_coords(
        {_STORE: ("tile", stores), _ROW: ("tile", rows), _OWN: ("tile", own)}
    )


def unlocated(tiles: xr.Dataset) -> xr.Dataset:
    """Return tiles without where they lie, which another store of them must not hold."""
    return tiles.drop_vars([_STORE, _ROW, _OWN], errors="ignore")


def replace_labels(tiles: xr.Dataset, label: NDArray[np.uint8]) -> xr.Dataset:
    """Return tiles, located or not, with labels (tile, y, x) of another origin."""
    tiles = tiles.assign(label=(("tile", "y", "x"), label, tiles["label"].attrs))
    if _OWN not in tiles.coords:
        return tiles
    return tiles.assign_coords({_OWN: ("tile", np.zeros(len(label), dtype=np.bool_))})


class ZarrTiles:
    """Tiles read from their stores when they are taken.

    Parameters
    ----------
    tiles
        Any selection from what `locate_tiles` returned. Of `image`, `label` and `optical` those are
        read that it has; labels that aren't the store's (`replace_labels`) are held in memory.
    load
        What is made of the tiles that are read.
    """

    def __init__(self, tiles: xr.Dataset, load: Load = radar_samples) -> None:
        self._load = load
        columns = [name for name, column in tiles.coords.items() if "tile" in column.dims]
        self._index = tiles.drop_vars([*tiles.data_vars, *(set(columns) - {"tile_id"})])
        self._rows = np.asarray(tiles[_ROW].values, dtype=np.int64)
        paths, self._stores = np.unique(tiles[_STORE].values, return_inverse=True)
        self._recipe = str(tiles.attrs.get("recipe"))
        held = "label" in tiles and not tiles[_OWN].values.all()
        self._label = tiles["label"].values if held else None
        self._variables = {
            name: _Variable.of(tiles[name], [str(path) for path in paths])
            for name in _VARIABLES
            if name in tiles and not (held and name == "label")
        }

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, chosen: NDArray[np.int64]) -> xr.Dataset:
        """Return the tiles of `chosen` in its order, in memory."""
        places = list(zip(self._stores[chosen].tolist(), self._rows[chosen].tolist(), strict=True))
        found = sync(_read(list(self._variables.values()), places))
        read = {
            name: (variable.dims, values)
            for (name, variable), values in zip(self._variables.items(), found, strict=True)
        }
        if self._label is not None:
            read["label"] = (("tile", "y", "x"), self._label[chosen])
        return self._index.isel(tile=chosen).assign(read)

    def take(self, index: Tensor) -> Samples:
        """Read the tiles of `index` in its order."""
        return self._load(self.read(index.numpy()))

    def identity(self) -> str:
        """Return a digest of the recipe, the tiles' names and places, and a sample of them."""
        names = [str(name) for name in self._index["tile_id"].values]
        few = evenly_spaced(self, 16)
        text = f"{self._recipe}{names}{self._rows.tolist()}{few.identity()}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _Variable:
    """One variable in all stores; None stands for one without optical images.

    `channels` holds for each store which of its channels are read, None where all are, in order.
    """

    dims: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    arrays: list[zarr.Array[Any] | None]
    channels: list[list[int] | None]

    @classmethod
    def of(cls, variable: xr.DataArray, paths: Sequence[str]) -> _Variable:
        there = [Path(path) / str(variable.name) for path in paths]
        needed = variable.name != "optical"
        with zarr.config.set(FAST_CODECS):
            arrays = [
                zarr.open_array(folder, mode="r") if needed or folder.exists() else None
                for folder in there
            ]
        channels: list[list[int] | None] = [None] * len(there)
        if not needed:
            wanted = variable["channel"].values.tolist()
            channels = [
                _places(wanted, folder.parent) if array is not None else None
                for folder, array in zip(there, arrays, strict=True)
            ]
        return cls(variable.dims, variable.shape[1:], variable.dtype, arrays, channels)

    @property
    def none(self) -> NDArray[Any]:
        """No tile."""
        return np.zeros((0, *self.shape), dtype=self.dtype)

    async def tile(self, store: int, row: int) -> NDArray[Any]:
        array = self.arrays[store]
        if array is None:
            return np.full((1, *self.shape), np.nan, dtype=self.dtype)
        values = np.asarray(await array.async_array.getitem(slice(row, row + 1)))
        chosen = self.channels[store]
        return values if chosen is None else values[:, chosen]


def _places(wanted: Sequence[str], store: Path) -> list[int] | None:
    """Return where channels lie in a store; None where they are all of its, in order."""
    have = [str(name) for name in np.asarray(zarr.open_array(store / "channel", mode="r")[:])]
    return None if have == list(wanted) else [have.index(name) for name in wanted]


async def _read(
    variables: Sequence[_Variable], places: list[tuple[int, int]]
) -> list[NDArray[Any]]:
    """Read tiles of several variables by store and row.

    All are requested at once: one after the other takes twice as long, a list of rows in one
    request ten times.
    """
    rows = [variable.tile(store, row) for variable in variables for store, row in places]
    read = iter(await asyncio.gather(*rows))
    return [
        np.concatenate([variable.none, *itertools.islice(read, len(places))])
        for variable in variables
    ]


def iterate_blocks(tiles: xr.Dataset, name: str) -> Iterator[NDArray[Any]]:
    """Yield the values of one variable, 64 tiles at a time, so that never all are in memory."""
    alone = tiles[[name]]
    stored = ZarrTiles(alone) if _STORE in tiles.coords else None
    for first in range(0, tiles.sizes["tile"], _AT_ONCE):
        index = np.arange(first, min(first + _AT_ONCE, tiles.sizes["tile"]))
        yield (stored.read(index) if stored else alone.isel(tile=index))[name].values


def load_tiles(tiles: xr.Dataset, memory_gib: float, load: Load) -> Tiles:
    """Return what `load` makes of tiles, in memory if they fit there.

    Parameters
    ----------
    tiles
        Selection from what `locate_tiles` returned.
    memory_gib
        Greatest size of what is held in memory, GiB.
    load
        What is made of them, tile by tile.
    """
    stored = ZarrTiles(tiles, load)
    size = len(stored) * stored.take(torch.arange(min(len(stored), 1))).nbytes / 2**30
    if size > memory_gib:
        _log.info("%.1f GiB of tiles are read from disk as they are drawn", size)
        return stored
    parts = torch.split(torch.arange(len(stored)), _AT_ONCE)
    return Samples.filled(map(stored.take, parts), len(stored))


def load_radar_tiles(tiles: xr.Dataset, memory_gib: float) -> Tiles:
    """Return radar tiles; parameters as of `load_tiles`."""
    return load_tiles(tiles.drop_vars("optical", errors="ignore"), memory_gib, radar_samples)


def radar_tiles(tiles: xr.Dataset) -> Tiles:
    """Return radar tiles, of a store read as they are taken, whatever their number."""
    if _STORE not in tiles.coords:
        return radar_samples(tiles)
    return ZarrTiles(tiles.drop_vars("optical", errors="ignore"))


View = Callable[[Samples], Samples]
"""A change of tiles that leaves their number and their order."""


def map_tiles(tiles: Tiles, view: View) -> Tiles:
    """Return tiles as `view` changes them: at once in memory, else when they are taken."""
    return view(tiles) if isinstance(tiles, Samples) else _MappedTiles(tiles, view)


def select_tiles(tiles: Tiles, index: Tensor) -> Tiles:
    """Return the tiles of `index` (N,) int64 in its order."""
    return tiles.take(index) if isinstance(tiles, Samples) else _SelectedTiles(tiles, index)


def labelled_tiles(tiles: Tiles) -> Tensor:
    """Return (N,) int64, the numbers of the tiles of which any pixel is labelled."""
    parts = torch.split(torch.arange(len(tiles)), _AT_ONCE)
    known = [(tiles.take(part).label != IGNORE).any(dim=(1, 2)) for part in parts if len(part)]
    return torch.nonzero(torch.cat([torch.zeros(0, dtype=torch.bool), *known]))[:, 0]


@dataclass(frozen=True)
class _MappedTiles:
    tiles: Tiles
    view: View

    def __len__(self) -> int:
        return len(self.tiles)

    def take(self, index: Tensor) -> Samples:
        return self.view(self.tiles.take(index))

    def identity(self) -> str:
        return self.tiles.identity()


@dataclass(frozen=True)
class _SelectedTiles:
    tiles: Tiles
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: Tensor) -> Samples:
        return self.tiles.take(self.index[index])

    def identity(self) -> str:
        text = f"{self.tiles.identity()}{self.index.tolist()}"
        return hashlib.sha256(text.encode()).hexdigest()
