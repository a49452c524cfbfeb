"""A path, URL or STAC item → a product on disk, verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from floodloom.acquire.content import from_product, require_product
from floodloom.acquire.item import (
    LARGEST,
    PRODUCT,
    SHA256,
    Asset,
    hasher,
    is_item,
    open_source,
    read_asset,
)
from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.log import track
from floodloom.names import require_sha256
from floodloom.outputs import writes
from floodloom.texts import redact


@writes("out", reads=("source",))
def acquire(*, source: str, out: Path, sha256: str | None = None, asset: str = PRODUCT) -> Path:
    """Fetch a product and verify it; never leave half a file.

    Parameters
    ----------
    source
        Path of a file, http(s) URL, or path or URL of a STAC item. User, password and query of a
        URL are sent and never shown. A download that breaks off goes on where it was, if the server
        can do that; one that is slower than 1 kB/s, or larger than 10 GiB, is given up.
    out
        File to write.
    sha256
        Expected SHA-256 digest, hexadecimal.
    asset
        Key of the asset, when `source` is a STAC item, which may state its size and digest.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the source can't be read to its end, is neither a zip of a SAFE folder nor a GeoTIFF, or
        its size or digest differs; if an item on the web names what isn't there, or one on disk
        what lies outside its folder.
    """
    wanted = read_asset(source, asset) if is_item(source) else Asset(source)
    shown = redact(wanted.source)
    digests = [] if wanted.digest is None else [wanted.digest]
    if sha256 is not None:
        require_sha256(sha256.strip(), "sha256")
        digests.append((SHA256, sha256.strip().lower()))
    made = [hasher(kind) for kind, _ in digests]

    with atomic_path(out) as temporary:
        most = LARGEST if wanted.size is None else min(LARGEST, wanted.size)
        with open_source(wanted.source, most) as blocks, temporary.open("wb") as target:
            blocks = from_product(blocks, shown)
            for block in track(blocks, f"fetching {shown.rpartition('/')[2]}"):
                target.write(block)
                for digest in made:
                    digest.update(block)

        require_product(temporary, shown)  # before the digests: a page of a login has a cause
        _require_size(temporary, wanted.size, shown)
        for digest, (_, expected) in zip(made, digests, strict=True):
            _require_digest(digest, expected, shown)
    return Path(out)


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
