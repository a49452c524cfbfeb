"""Chunked Zarr stores between the stages."""

from __future__ import annotations

import asyncio
import math
import os
import warnings
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import xarray as xr
import zarr
from pydantic import ValidationError
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.core.sync import sync

from floodloom.errors import InputError, library_text
from floodloom.files import atomic_path
from floodloom.raster.chunks import DAMAGED, note_chunks, require_chunks
from floodloom.raster.cog import write_cog as write_cog  # scripts of users take it from here
from floodloom.raster.conventions import follow_conventions
from floodloom.raster.progress import dask_progress
from floodloom.raster.recipe import Accepted, Recipe
from floodloom.raster.threads import threads_that_end

FAST_CODECS = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}
"""A tile is a chunk of a shard; zarr's own pipeline takes 2.5 ms of Python for each, this .3 ms."""
_STACK_SHARD = 64
_COMPRESSOR = BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle")


def write_store(
    dataset: xr.Dataset,
    path: str | Path,
    *,
    chunk: int = 512,
    shard: int = 2048,
    progress: str | None = None,
) -> Path:
    """Write a dataset as a sharded Zarr v3 store, whole or not at all.

    Parameters
    ----------
    dataset
        Variables on two trailing spatial dimensions (others are stored whole); numpy or dask.
    path
        Where the store goes; an existing one is replaced.
    chunk
        Side of the chunks that are read at once, px.
    shard
        Side of the files that hold them, px; a multiple of `chunk`.
    progress
        What to call the work while it is shown; None shows nothing.

    Returns
    -------
    Path
        `path`.
    """
    rechunked = dataset.chunk(_shard_chunks(dataset, shard)) if dataset.chunks else dataset.copy()
    encoding = {
        str(name): _encoding(variable, chunk, shard) for name, variable in dataset.variables.items()
    }
    for name in dataset.coords:  # CF allows no unknown coordinates
        encoding[str(name)]["_FillValue"] = None
    for name, column in list(rechunked.variables.items()):
        column.encoding.clear()
        if column.dtype.kind == "U":  # fixed-length text has no Zarr v3 specification
            rechunked[name] = dataset.variables[name].load().astype(object)
    if "spatial_ref" in dataset.variables:
        for variable in rechunked.data_vars.values():
            if variable.dims[-2:] == ("y", "x"):
                variable.attrs["grid_mapping"] = "spatial_ref"
    shown = nullcontext() if progress is None else dask_progress(progress)
    follow_conventions(rechunked)
    _keep_threads()
    one_thread = {"threading.max_workers": 1}  # else the chunks lie in a file as they get ready
    with atomic_path(path) as temporary, shown, zarr.config.set(FAST_CODECS | one_thread):
        with threads_that_end():
            rechunked.to_zarr(
                temporary, mode="w", zarr_format=3, consolidated=False, encoding=encoding
            )
        note_chunks(temporary)
    return Path(path)


def scratch_array(path: Path, shape: tuple[int, ...], dtype: str) -> zarr.Array[Any]:
    """Return an array on disk that is read and written some of its first axis at a time.

    Parameters
    ----------
    path
        Folder that it gets, in one that is removed when the work is done.
    shape
        Its shape; 64 of the first axis are a chunk.
    dtype
        Its numbers.
    """
    chunks = tuple(max(length, 1) for length in (min(shape[0], _STACK_SHARD), *shape[1:]))
    with zarr.config.set(FAST_CODECS):
        return zarr.create_array(
            path, shape=shape, chunks=chunks, dtype=dtype, compressors=_COMPRESSOR
        )


@cache
def _keep_threads() -> None:
    """Let zarr have its usual threads for reading: it keeps the number of its first use."""
    with zarr.config.set({"threading.max_workers": min(32, (os.cpu_count() or 1) + 4)}):
        sync(asyncio.sleep(0))


def _shard_chunks(dataset: xr.Dataset, shard: int) -> dict[Any, int]:
    sizes: dict[Any, int] = {}
    for variable in dataset.variables.values():
        for axis, dim in enumerate(variable.dims if variable.ndim >= 2 else ()):
            limit = shard if axis >= variable.ndim - 2 else _STACK_SHARD
            sizes[dim] = max(min(limit, dataset.sizes[dim]), 1)
    return sizes


def _encoding(variable: xr.Variable, chunk: int, shard: int) -> dict[str, Any]:
    if variable.ndim < 2 or variable.dtype.kind not in "fiub":
        return {"compressors": (ZstdCodec(), Crc32cCodec())}
    chunks, shards = [], []
    for axis, length in enumerate(variable.shape):
        spatial = axis >= variable.ndim - 2
        stacked = axis == 0 and not spatial  # one tile, with all its bands, is read at once
        inner = 1 if stacked else max(min(chunk if spatial else length, length), 1)
        outer = max(min(shard if spatial else _STACK_SHARD, length), 1)
        chunks.append(inner)
        shards.append(math.ceil(outer / inner) * inner)
    return {
        "chunks": tuple(chunks),
        "shards": tuple(shards),
        "compressors": (_COMPRESSOR, Crc32cCodec()),
        **_unknown(variable),
    }


def _unknown(variable: xr.Variable) -> dict[str, Any]:
    """What chunks read as that aren't there: no data, as floating numbers do by themselves."""
    meanings = str(variable.attrs.get("flag_meanings", "")).split()
    if "nodata" in meanings:
        return {"fill_value": variable.attrs["flag_masks"][meanings.index("nodata")]}
    return {"fill_value": variable.attrs["ignore"]} if "ignore" in variable.attrs else {}


def open_store(
    path: str | Path,
    *,
    lazily: bool = True,
    whole_rows: bool = False,
    columns: int | None = None,
) -> xr.Dataset:
    """Open a Zarr store with its grid.

    Parameters
    ----------
    path
        The store.
    lazily
        Give dask arrays; without, an array is read when its values are asked for.
    whole_rows
        Let a dask chunk be a whole row of the store's, for what goes through it from top to bottom:
        one request each takes a third of the time.
    columns
        Let a dask chunk be so many columns of a row of the store's: as quick, and of one size
        however wide the store is.

    Raises
    ------
    InputError
        If `path` isn't a Zarr store, or chunks of it are lost.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: store not found; check the path or run the stage that makes it")
    if not (path / "zarr.json").exists():
        raise InputError(f"{path}: not a Zarr v3 store; give a store written by floodloom")
    require_chunks(path)
    chunks = {"x": -1} if whole_rows else {} if columns is None else {"x": columns}
    try:
        with warnings.catch_warnings():  # a workflow may keep files of its own beside the arrays
            warnings.filterwarnings("ignore", "Object at .* is not recognized as a component")
            store: xr.Dataset = xr.open_zarr(
                path, consolidated=False, decode_coords="all", chunks=chunks if lazily else None
            )
    except DAMAGED as error:
        reason = library_text(error)
        raise InputError(
            f"{path}: can't be read ({reason}); run the stage that made it again"
        ) from error
    return store


def stamp(dataset: xr.Dataset, recipe: Recipe) -> xr.Dataset:
    """Return the dataset with its recipe and fingerprint among the attributes."""
    return dataset.assign_attrs(recipe=recipe.model_dump_json(), fingerprint=recipe.fingerprint)


def recipe_of(dataset: xr.Dataset) -> Recipe:
    """Return the recipe that a store carries.

    Raises
    ------
    InputError
        If the store carries none that can be read.
    """
    source = dataset.encoding.get("source", "dataset")
    if "recipe" not in dataset.attrs:
        raise InputError(f"{source}: no recipe among the attributes; write it with floodloom")
    try:
        return Recipe.model_validate_json(dataset.attrs["recipe"])
    except ValidationError as error:
        raise InputError(
            f"{source}: its recipe can't be read ({error.error_count()} faults); write it with "
            "floodloom"
        ) from error


def accepted_of(tiles: xr.Dataset) -> Accepted | None:
    """Return which other scenes the tiles of a store stand for, None for none.

    Raises
    ------
    InputError
        If what the store states can't be read.
    """
    stated = tiles.attrs.get("accepts")
    if stated is None:
        return None
    try:
        return Accepted.model_validate_json(stated)
    except ValidationError as error:
        source = tiles.encoding.get("source", "dataset")
        raise InputError(
            f"{source}: what scenes it accepts can't be read ({error.error_count()} faults); write "
            "it with floodloom"
        ) from error
