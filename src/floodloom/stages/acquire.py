"""A path, URL or STAC item → a product on disk, verified."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import urlopen

from floodloom.errors import InputError
from floodloom.files import atomic_path, require_file
from floodloom.log import track

_BLOCK = 1 << 20


def acquire(*, source: str, out: Path, sha256: str | None = None, asset: str = "product") -> Path:
    """Fetch a product and verify it; never leave half a file.

    Parameters
    ----------
    source
        Path of a file, http(s) URL, or path or URL of a STAC item (.json).
    out
        File to write.
    sha256
        Expected SHA-256 digest, hexadecimal.
    asset
        Key of the asset, when `source` is a STAC item.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the source can't be read or its digest differs.
    """
    if source.endswith(".json"):
        source = _asset_href(source, asset)
    digest = hashlib.sha256()
    with atomic_path(out) as temporary:
        with _open(source) as stream, temporary.open("wb") as target:
            for block in track(_blocks(stream), f"fetching {Path(source).name}"):
                digest.update(block)
                target.write(block)
        if sha256 is not None and digest.hexdigest() != sha256.lower():
            raise InputError(
                f"{source}: SHA-256 is {digest.hexdigest()} but {sha256} is expected; fetch it "
                "again or correct the scene sheet"
            )
    return Path(out)


def _open(source: str) -> IO[bytes]:
    if "://" not in source:
        return require_file(source, "product").open("rb")
    try:
        stream: IO[bytes] = urlopen(source, timeout=60)
    except (URLError, OSError, ValueError) as error:
        raise InputError(f"{source}: can't be fetched ({error}); check the address") from error
    return stream


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _asset_href(item: str, asset: str) -> str:
    with _open(item) as stream:
        content = json.load(stream)
    assets = content.get("assets", {})
    if asset not in assets:
        raise InputError(
            f"{item}: no asset {asset!r}; it has {', '.join(sorted(assets)) or 'none'}"
        )
    href: str = assets[asset]["href"]
    return urljoin(item, href) if "://" in item else str(Path(item).parent / href)
