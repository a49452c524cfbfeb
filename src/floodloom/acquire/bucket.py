"""Buckets of S3 and of servers that offer the same: credentials, signed addresses.

What is read comes over a signed address and the requests of `floodloom.acquire.web`, with its
limits and new tries; nothing is listed. Credentials, region and endpoint are those of the
environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
AWS_ENDPOINT_URL, AWS_ALLOW_HTTP), of a service account or of the machine's role.

Source: Amazon S3, Authenticating requests: using query parameters (AWS Signature Version 4).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from floodloom.errors import InputError
from floodloom.texts import redact

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3"
_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]+[a-z0-9])/([^?#]*)")
_VALID_FOR = timedelta(hours=6)
"""How long a signed address can be read: longer than the largest product takes."""


def in_bucket(address: str) -> bool:
    """Whether an address is that of an object in a bucket."""
    return address.startswith(f"{SCHEME}://")


def parts_of(address: str) -> tuple[str, str]:
    """Return bucket and key of an address.

    Parameters
    ----------
    address
        s3://bucket/key; the key may be that of a prefix.

    Raises
    ------
    InputError
        If it isn't one, or its key leads elsewhere (`..`, empty parts, signs that can't be seen).
    """
    found = _ADDRESS.fullmatch(address)
    key = found[2].rstrip("/") if found else ""
    if found is None or not key.isprintable() or {"", ".", ".."} & {*key.split("/")}:
        raise InputError(f"{redact(address)}: not of the form s3://bucket/key; correct it")
    return found[1], key


def open_bucket(name: str) -> S3Store:
    """Return a bucket, of which nothing is asked yet.

    Parameters
    ----------
    name
        Of the bucket.

    Raises
    ------
    InputError
        If obstore isn't installed, or a variable of the environment is wrong.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError as error:
        raise InputError("s3:// needs obstore; pip install 'floodloom[s3]'") from error
    try:
        return S3Store(name)
    except (BaseError, ValueError) as error:
        raise InputError(f"s3://{name}: {reason_of(error)}; check the AWS_ variables") from None


def presigned(address: str) -> str:
    """Return an http(s) address by which an object can be read for some hours.

    Parameters
    ----------
    address
        s3://bucket/key.

    Returns
    -------
    str
        To be read at once, and shown to nobody.

    Raises
    ------
    InputError
        If the address isn't one, or there are no credentials.
    """
    bucket, key = parts_of(address)
    store = open_bucket(bucket)
    import obstore
    from obstore.exceptions import BaseError

    try:
        return str(obstore.sign(store, "GET", key, _VALID_FOR))
    except BaseError as error:
        raise InputError(
            f"{address}: can't be signed ({reason_of(error)}); give credentials by "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role"
        ) from None


def reason_of(error: Any) -> str:
    """Return the first line of what obstore has to say, which holds no credentials."""
    return str(error).strip().partition("\n")[0][:200]
