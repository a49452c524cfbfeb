"""Logins of servers: from the environment or netrc, each for its own host and no other.

Sources: RFC 6750 (bearer tokens), RFC 7617 (basic authentication); curl(1), netrc.
"""

from __future__ import annotations

import base64
import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

from floodloom.errors import InputError

TOKENS = "FLOODLOOM_TOKENS"
"""Variable with bearer tokens: `host=token`, several with spaces between. A token is that of all
hosts below its own: that of dataspace.copernicus.eu of download.dataspace.copernicus.eu, too."""

_HERE = ("localhost", "127.0.0.1", "::1")


def authorization(address: str) -> str | None:
    """Return the header by which a server knows who asks.

    Parameters
    ----------
    address
        http(s):// address.

    Returns
    -------
    str or None
        Value of `Authorization`: the token of the host in the environment, or else its login in the
        file that NETRC names or ~/.netrc, whose `default` is left alone. None where there is
        neither, and without https, but for this machine.

    Raises
    ------
    InputError
        If the tokens or the file can't be read; the message holds nothing of them.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    if parts.scheme.lower() != "https" and host not in _HERE:
        return None
    tokens = _tokens()
    labels = host.split(".")
    for first in range(len(labels)):
        if token := tokens.get(".".join(labels[first:])):
            return f"Bearer {token}"
    return _of_netrc(host)


def _tokens() -> dict[str, str]:
    pairs = [text.partition("=") for text in os.environ.get(TOKENS, "").split()]
    if not all(host and token and token.isprintable() for host, _, token in pairs):
        raise InputError(f"{TOKENS}: not host=token, several with spaces between; correct it")
    return {host.lower(): token for host, _, token in pairs}


def _of_netrc(host: str) -> str | None:
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if not path.is_file():
        return None
    try:
        found = netrc.netrc(str(path)).hosts.get(host)
    except (OSError, UnicodeError, netrc.NetrcParseError):
        raise InputError(
            f"{path}: can't be read as a netrc file; check its form, and that nobody but you may "
            "read it"
        ) from None
    if found is None:
        return None
    login = f"{found[0]}:{found[2] or ''}".encode()
    return "Basic " + base64.b64encode(login).decode()
