"""What STAC items state of files: where they lie, how large they are and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from floodloom.acquire.bucket import SCHEME as BUCKET
from floodloom.acquire.catalogues import PRODUCT, asset_key, href_of
from floodloom.acquire.download import open_source
from floodloom.acquire.web import SCHEMES
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.texts import brief, is_address, redact

_LARGEST = 16 << 20
"""Bytes of the largest item; most have a few thousand."""
_LONGEST_HASH = 256  # hexadecimal digits
_SOME = 20
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


def read_asset(source: str, key: str = PRODUCT) -> Asset:
    """Look up an asset of a STAC item.

    Parameters
    ----------
    source
        Path or address of the item.
    key
        Key of the asset; `product` and bands of Sentinel-2, such as `green`, are found under the
        names that catalogues give them, too.

    Raises
    ------
    InputError
        If the item can't be read, has no such asset, or states of it what can't be read.
    """
    return asset_of(read_item(source)["assets"], source, key)


def asset_of(assets: Mapping[str, Any], source: str, key: str = PRODUCT) -> Asset:
    """Look up an asset among those of a STAC item.

    Parameters
    ----------
    assets
        As the item has them.
    source, key
        As for `read_asset`.

    Raises
    ------
    InputError
        If there is no such asset, or what is stated of it can't be read.
    """
    shown = redact(source)
    asset = assets.get(asset_key(assets, key) or key)
    if not isinstance(asset, Mapping) or (href := href_of(asset)) is None:
        known = ", ".join(sorted(assets)[:_SOME]) or "none"
        raise InputError(f"{shown}: no asset {key!r}; it has {known}: set `asset` to one of these")
    return Asset(_located(href, source, shown), *_facts(asset, f"{shown}: {key}"))


def read_item(source: str) -> Mapping[str, Any]:
    """Read a STAC item, which has assets.

    Raises
    ------
    InputError
        If it can't be read or is something else.
    """
    text = read_text(source, "a STAC item; give the address of an item")
    try:
        item = json.loads(text)
        assets = item["assets"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{redact(source)}: not a STAC item; give the address of an item"
        ) from error
    if not isinstance(item, Mapping) or not isinstance(assets, Mapping):
        raise InputError(f"{redact(source)}: not a STAC item; give the address of an item")
    return item


def read_text(source: str, what: str) -> bytes:
    """Read a small file, or what an address answers.

    Parameters
    ----------
    source
        Path or address.
    what
        What it should be, and what to do if it is too large for that.

    Raises
    ------
    InputError
        If it can't be read, or has more than 16 MiB.
    """
    with open_source(source, _LARGEST) as blocks:
        content = b""
        for block in blocks:
            content += block
            if len(content) > _LARGEST:
                raise InputError(f"{redact(source)}: too large for {what}")
    return content


def _located(href: str, item: str, shown: str) -> str:
    """Return where an asset lies, which no item may name outside of the web or of its folder."""
    if is_address(item) or is_address(href):
        try:
            address = urljoin(item, href) if is_address(item) else href
            scheme = urlsplit(address).scheme
        except ValueError:
            raise InputError(f"{shown}: an asset without a valid address; check the item") from None
        # Credentials of buckets are for what an own item names, not for one of the web.
        if scheme not in (SCHEMES if is_address(item) else (*SCHEMES, BUCKET)):
            raise InputError(
                f"{shown}: its asset lies at {redact(address)}, but only http(s) addresses, and "
                "s3 in an item on disk, are fetched; get it by hand and give its path"
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
