"""Whether the chunks of a Zarr store are all there, and are what was written.

Zarr reads a chunk that was lost as one that was never written, and reports nothing. How many files
the chunks of each array took, and how many bytes, stands in an empty group of the store, where
nothing but floodloom looks. What was altered within a file the checksums show when it is read.

Source: Zarr v3, core specification, "Groups" and "Chunk key encoding"; codec crc32c.
"""

from __future__ import annotations

import json
import lzma
import os
import struct
import zlib
from pathlib import Path

from floodloom.errors import InputError, explain, library_text

DAMAGED = (
    OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
    EOFError, MemoryError, struct.error, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What the libraries of Zarr and of its codecs raise of damaged metadata and chunks."""

_NOTED = "chunks_written"
_METADATA = "zarr.json"


def note_chunks(store: Path) -> None:
    """Note in a store that was written how many chunk files it has, and how large they are."""
    arrays = sorted(file.parent.name for file in store.glob(f"*/{_METADATA}"))
    noted = {name: _chunks(store / name) for name in arrays}
    group = {"zarr_format": 3, "node_type": "group", "attributes": noted}
    (store / _NOTED).mkdir()
    (store / _NOTED / _METADATA).write_text(json.dumps(group, indent=2), encoding="utf-8")


def require_chunks(store: Path) -> None:
    """Check that a store has the chunks that were written; one without their number passes.

    Raises
    ------
    InputError
        If chunks were lost or cut short, or an array is a link to somewhere else.
    """
    linked = next((path for path in store.iterdir() if path.is_symlink()), None)
    if linked is not None:
        raise InputError(f"{store}: {linked.name} is a link; copy what it names into its place")
    file = store / _NOTED / _METADATA
    if not file.is_file():
        return
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))["attributes"]
        expected = {str(name): (int(files), int(size)) for name, (files, size) in noted.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(_again(store, f"{_NOTED} can't be read")) from error
    for name, (files, size) in expected.items():
        if not (store / name / _METADATA).is_file():
            raise InputError(_again(store, f"{name} is lost"))
        found, bytes_found = _chunks(store / name)
        if found != files:
            raise InputError(_again(store, f"{name} has {found} of {files} chunk files"))
        if bytes_found != size:
            raise InputError(
                _again(store, f"the chunks of {name} are {bytes_found} of {size} bytes")
            )


def damage(store: Path) -> str | None:
    """Read a store to the end; return in one line what of it can't be read, None if all can."""
    if not (store / _METADATA).is_file():
        return None
    import zarr  # slow, and every stage's outputs need this module

    for folder in sorted(file.parent for file in store.glob(f"*/{_METADATA}")):
        if folder.name == _NOTED:
            continue
        try:
            array = zarr.open_array(folder, mode="r")
            rows = (array.shards or array.chunks or (1,))[0]
            for row in range(0, array.shape[0] if array.shape else 1, rows):
                array[row : row + rows] if array.shape else array[()]
        except Exception as error:
            if explain(error) is not None:
                raise
            reason = library_text(error)
            return _again(store, f"{folder.name} can't be read ({reason})")
    return None


def _again(store: Path, reason: str) -> str:
    return f"{store}: {reason}; run the stage that made it again"


def _chunks(array: Path) -> tuple[int, int]:
    """Count the files of an array's chunks, and their bytes."""
    chunks = array / "c"
    if chunks.is_file():  # that of an array without dimensions
        return 1, chunks.stat().st_size
    files = [Path(folder, name) for folder, _, names in os.walk(chunks) for name in names]
    return len(files), sum(file.stat().st_size for file in files)
