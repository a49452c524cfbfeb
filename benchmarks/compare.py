"""`python -m benchmarks.compare BEFORE AFTER`: two folders of results, value by value, bit for bit.

Rasters, Zarr stores and checkpoints are compared by what they hold, not by their files, whose
metadata change with the time of writing. A line per difference; the exit status is 1 if there is
one, and 2 if nothing could be compared.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
import zarr
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from safetensors import safe_open

from floodloom.errors import InputError

_PROFILE = ("dtype", "nodata", "width", "height", "count", "crs", "transform")
_STRIP = 512
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def differences(before: Path, after: Path) -> Iterator[str]:
    """Yield what differs between two folders of results.

    Parameters
    ----------
    before, after
        Such as `results/demo` of two copies of the project.

    Yields
    ------
    str
        File, relative to its folder, and what differs in it.

    Raises
    ------
    InputError
        If a folder holds nothing that can be compared.
    """
    one, other = _comparable(before), _comparable(after)
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            yield f"{name}: only in {before if name in one else after}"
            continue
        for found in _COMPARED[Path(name).suffix](before / name, after / name):
            yield f"{name}: {found}"


def _comparable(folder: Path) -> set[str]:
    found = {
        str(path.relative_to(folder))
        for suffix in _COMPARED
        for path in folder.rglob(f"*{suffix}")
        if not any(parent.suffix == ".zarr" for parent in path.relative_to(folder).parents)
    }
    if not found:
        raise InputError(f"{folder}: no raster, store or checkpoint; give the folder of a run")
    return found


def _rasters(before: Path, after: Path) -> Iterator[str]:
    with rasterio.open(before) as one, rasterio.open(after) as other:
        # By their texts: nodata may be NaN, which equals nothing.
        changed = [key for key in _PROFILE if str(one.profile[key]) != str(other.profile[key])]
        if changed:
            yield ", ".join(changed)
            return
        for band in one.indexes:
            count = sum(
                unequal(a, b) for a, b in zip(_strips(one, band), _strips(other, band), strict=True)
            )
            yield from _counted(f"band {band}", count, one.width * one.height)


def _strips(raster: DatasetReader, band: int) -> Iterator[np.ndarray]:
    for row in range(0, raster.height, _STRIP):
        rows = min(_STRIP, raster.height - row)
        yield raster.read(band, window=((row, row + rows), (0, raster.width)))


def _stores(before: Path, after: Path) -> Iterator[str]:
    one, other = (dict(zarr.open_group(path, mode="r").arrays()) for path in (before, after))
    yield from _arrays(one, other, lambda store: np.asarray(store[...]))


def _checkpoints(before: Path, after: Path) -> Iterator[str]:
    with safe_open(before, "pt") as first, safe_open(after, "pt") as second:
        one, other = map(_tensors, (first, second))
        yield from _arrays(one, other, _bits)


def _tensors(file: Any) -> dict[str, torch.Tensor]:
    return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it has no iterator


def _bits(tensor: torch.Tensor) -> np.ndarray:
    """Return the values as integers of the same bits: NumPy has no bfloat16."""
    return tensor.contiguous().view(_INTEGERS[tensor.element_size()]).numpy()


def _arrays(one: Any, other: Any, values: Callable[[Any], np.ndarray]) -> Iterator[str]:
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            yield f"{name} is in one only"
        elif (one[name].shape, one[name].dtype) != (other[name].shape, other[name].dtype):
            yield f"{name} has another shape or type"
        else:
            count = unequal(values(one[name]), values(other[name]))
            yield from _counted(name, count, math.prod(one[name].shape))


def unequal(one: np.ndarray, other: np.ndarray) -> int:
    """Return how many values have other bits: one NaN is another's equal, -0 isn't 0."""
    if one.dtype.hasobject or one.dtype.kind in "SUT":
        return int(np.count_nonzero(one != other))
    size = one.dtype.itemsize
    bits = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (one, other)]
    return int(np.count_nonzero((bits[0] != bits[1]).reshape(-1, size).any(axis=1)))


def _counted(name: str, count: int, total: int) -> Iterator[str]:
    if count:
        yield f"{name}: {count:,} of {total:,} values differ"


_COMPARED: dict[str, Callable[[Path, Path], Iterator[str]]] = {
    ".tif": _rasters,
    ".tiff": _rasters,
    ".zarr": _stores,
    ".safetensors": _checkpoints,
}


def main(arguments: list[str]) -> int:
    """Compare two folders and return the exit status."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    # Measurements lie in radar geometry.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    before, after = map(Path, arguments)
    try:
        found = list(differences(before, after))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(found) if found else f"{len(_comparable(before))} files, no difference")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
