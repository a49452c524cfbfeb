"""A path, URL or STAC item → a product on disk, verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from floodloom.acquire.catalogues import PRODUCT
from floodloom.acquire.fetch import fetch
from floodloom.acquire.item import SHA256, Asset, is_item, read_asset
from floodloom.acquire.signing import signed
from floodloom.files import atomic_path
from floodloom.names import require_sha256
from floodloom.outputs import writes


@writes("out", reads=("source",))
def acquire(*, source: str, out: Path, sha256: str | None = None, asset: str = PRODUCT) -> Path:
    """Fetch a product and verify it; never leave half a file.

    Parameters
    ----------
    source
        Path of a file, http(s) URL, or path or URL of a STAC item. User, password and query of a
        URL are sent and never shown, nor are logins from the environment or netrc
        (`floodloom.acquire.credentials`). A download that breaks off goes on where it was, if the
        server can do that; one that is slower than 1 kB/s, or larger than 10 GiB, is given up.
    out
        File to write.
    sha256
        Expected SHA-256 digest, hexadecimal.
    asset
        Key of the asset, when `source` is a STAC item, which may state its size and digest;
        `product` finds what known catalogues call otherwise, too.

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
    digests = []
    if sha256 is not None:
        require_sha256(sha256.strip(), "sha256")
        digests.append((SHA256, sha256.strip().lower()))
    with atomic_path(out) as temporary:
        fetch(replace(wanted, source=signed(wanted.source)), temporary, digests)
    return Path(out)
