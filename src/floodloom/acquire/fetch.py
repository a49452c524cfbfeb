"""A file from wherever it lies, whole and what it should be."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floodloom.acquire.content import from_product, require_product
from floodloom.acquire.download import LARGEST, open_source
from floodloom.acquire.item import Asset, hasher
from floodloom.errors import InputError
from floodloom.log import track
from floodloom.texts import redact


def fetch(wanted: Asset, path: Path, digests: Sequence[tuple[int, str]] = ()) -> None:
    """Write a zip of a SAFE folder or a GeoTIFF, verified.

    Parameters
    ----------
    wanted
        Where it lies, and what is known of it.
    path
        File to write; half of it may be there after an error.
    digests
        Code of the function and hexadecimal digest, beside that of `wanted`.

    Raises
    ------
    InputError
        If it can't be read to its end, is something else, is larger than the disk has room for, or
        its size or a digest differs.
    """
    shown = redact(wanted.source)
    expected = [*([] if wanted.digest is None else [wanted.digest]), *digests]
    made = [hasher(kind) for kind, _ in expected]
    most = LARGEST if wanted.size is None else min(LARGEST, wanted.size)
    require_space(path.parent, wanted.size or 0, shown)

    with open_source(wanted.source, most) as blocks, path.open("wb") as target:
        blocks = from_product(blocks, shown)
        for block in track(blocks, f"fetching {shown.rpartition('/')[2]}"):
            target.write(block)
            for digest in made:
                digest.update(block)

    require_product(path, shown)  # before the digests: a page of a login has a cause
    _require_size(path, wanted.size, shown)
    for digest, (_, stated) in zip(made, expected, strict=True):
        _require_digest(digest, stated, shown)


def require_space(folder: Path, size: int, shown: str) -> None:
    """Check that a folder has room for some bytes; InputError that names `shown`."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{shown}: {size / 1e9:.1f} GB, but {folder} has room for {free / 1e9:.1f} GB; free "
            "some space, or use another folder"
        )


def _require_size(path: Path, expected: int | None, shown: str) -> None:
    found = path.stat().st_size
    if expected is not None and found != expected:
        raise InputError(
            f"{shown}: {found} bytes but the STAC item states {expected}; fetch it again"
        )


def _require_digest(made: Any, expected: str, shown: str) -> None:
    if made.hexdigest() != expected:
        raise InputError(
            f"{shown}: {made.name} is {made.hexdigest()} but {expected} is expected; fetch it "
            "again, or correct the scene sheet or STAC item"
        )
