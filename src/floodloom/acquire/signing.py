"""Addresses that a service gives the right to be read, for a while, to whoever asks."""

from __future__ import annotations

import json
from urllib.parse import urlencode, urlsplit

from floodloom.acquire.bucket import in_bucket, presigned
from floodloom.acquire.catalogues import SIGNERS
from floodloom.acquire.item import read_text
from floodloom.errors import InputError
from floodloom.texts import redact


def signed(address: str) -> str:
    """Return an address with a signature, if it lies in a bucket or on a host that wants one.

    Parameters
    ----------
    address
        Address or path. One that has a query already is returned as it is.

    Returns
    -------
    str
        To be read at once, and shown to nobody.

    Raises
    ------
    InputError
        If the service can't be asked, or answers something else; if an object of a bucket can't be
        signed.
    """
    if in_bucket(address):
        return presigned(address)
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:  # no address, which is refused where it is read
        return address
    service = next(
        (s for end, s in SIGNERS.items() if host == end or host.endswith(f".{end}")), None
    )
    if service is None or parts.query:
        return address
    answer = read_text(f"{service}?{urlencode({'href': address})}", "the answer of a signature")
    try:
        href = str(json.loads(answer)["href"])
        same = urlsplit(href)[:3] == parts[:3]
    except (ValueError, KeyError, TypeError, RecursionError):
        same = False
    if not same:
        raise InputError(f"{redact(address)}: {service} gave no signature for it; try again later")
    return href
