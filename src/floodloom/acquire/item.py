"""STAC items: where an asset lies, and what its bytes must be.

Sources: STAC Item Specification 1.1; STAC File Info extension 2.1; multiformats, Multihash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from floodloom.acquire.download import open_source
from floodloom.acquire.web import SCHEMES
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.texts import brief, is_address, redact

_LARGEST = 16 << 20
"""Bytes of the largest item; most have a few thousand."""
_LONGEST_HASH = 256  # hexadecimal digits
_SOME = 20
PRODUCT = "product"
"""Key of the asset that is a scene's product."""

SHA256 = 0x12
"""Code of SHA-256."""

_DIGESTS: dict[int, Callable[[], Any]] = {
    0x11: hashlib.sha1,
    SHA256: hashlib.sha256,
    0x13: hashlib.sha512,
    0x14: hashlib.sha3_512,
    0x15: hashlib.sha3_384,
    0x16: hashlib.sha3_256,
    0x17: hashlib.sha3_224,
    0x20: hashlib.sha384,
    0xD5: hashlib.md5,
    0x1013: hashlib.sha224,
    0xB220: partial(hashlib.blake2b, digest_size=32),
    0xB240: hashlib.blake2b,
}
"""Functions of the table of multicodec by their code."""


@dataclass(frozen=True)
class Asset:
    """Where a file lies, and what is known of it.

    Attributes
    ----------
    source
        Path or address.
    size
        Bytes.
    digest
        Code of the function that makes it and digest, hexadecimal.
    """

    source: str
    size: int | None = None
    digest: tuple[int, str] | None = None


def hasher(code: int) -> Any:
    """Return a fresh object of hashlib that makes the digest of this code."""
    return _DIGESTS[code]()


def is_item(source: str) -> bool:
    """Whether a source is a STAC item: a .json file, or what an API returns."""
    path = redact(source)
    return path.lower().endswith((".json", ".geojson")) or (
        is_address(source) and "/items/" in path
    )


def read_asset(source: str, key: str) -> Asset:
    """Look up an asset of a STAC item.

    Parameters
    ----------
    source
        Path or address of the item.
    key
        Key of the asset.

    Raises
    ------
    InputError
        If the item can't be read, has no such asset, or states of it what can't be read.
    """
    shown = redact(source)
    assets = _assets(source, shown)
    asset = assets.get(key)
    if not isinstance(asset, Mapping) or not isinstance(asset.get("href"), str):
        known = ", ".join(sorted(assets)[:_SOME]) or "none"
        raise InputError(f"{shown}: no asset {key!r}; it has {known}: set `asset` to one of these")
    return Asset(_located(asset["href"], source, shown), *_facts(asset, f"{shown}: {key}"))


def _assets(source: str, shown: str) -> Mapping[str, Any]:
    with open_source(source, _LARGEST) as blocks:
        content = b""
        for block in blocks:
            content += block
            if len(content) > _LARGEST:
                raise InputError(f"{shown}: too large for a STAC item; give the address of an item")
    try:
        assets = json.loads(content)["assets"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{shown}: not a STAC item; give the address of an item") from error
    if not isinstance(assets, Mapping):
        raise InputError(f"{shown}: not a STAC item; give the address of an item")
    return assets


def _located(href: str, item: str, shown: str) -> str:
    """Return where an asset lies, which no item may name outside of the web or of its folder."""
    if is_address(item) or is_address(href):
        try:
            address = urljoin(item, href) if is_address(item) else href
            scheme = urlsplit(address).scheme
        except ValueError:
            raise InputError(f"{shown}: an asset without a valid address; check the item") from None
        if scheme not in SCHEMES:
            raise InputError(
                f"{shown}: its asset lies at {redact(address)}, but only http(s) addresses are "
                "fetched; get it by hand and give its path"
            )
        return address
    folder = Path(item).parent
    path = folder / href
    if "\0" in href or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"{shown}: its asset {brief(href)} lies outside the item's folder; put it there, or "
            "give its own path"
        )
    return str(path)


def _facts(asset: Mapping[str, Any], where: str) -> tuple[int | None, tuple[int, str] | None]:
    size, multihash = asset.get("file:size"), asset.get("file:checksum")
    if size is not None and (type(size) is not int or size < 0):
        raise InputError(
            f"{where}: file:size is {brief(size)}, no number of bytes; correct the item"
        )
    return size, None if multihash is None else _parsed(str(multihash), where)


def _parsed(multihash: str, where: str) -> tuple[int, str] | None:
    """Take a multihash apart: code of the function, length of the digest, digest."""
    try:
        content = bytes.fromhex(multihash if len(multihash) <= _LONGEST_HASH else "")
        code, rest = _varint(content)
        length, digest = _varint(rest)
    except (ValueError, StopIteration):
        code, length, digest = 0, -1, b""
    if length != len(digest):
        raise InputError(
            f"{where}: file:checksum {multihash[:_LONGEST_HASH]} is no multihash; correct the "
            "item, or give the asset's address and its SHA-256"
        )
    if code not in _DIGESTS:
        get_logger(__name__).warning("%s: its kind of checksum (0x%x) isn't checked", where, code)
        return None
    return code, digest.hex()


def _varint(content: bytes) -> tuple[int, bytes]:
    """Read a whole number of seven bits a byte, least first; return it and what follows."""
    end = next(at for at, byte in enumerate(content) if byte < 0x80) + 1
    return sum((byte & 0x7F) << 7 * at for at, byte in enumerate(content[:end])), content[end:]
