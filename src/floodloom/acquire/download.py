"""Reading what lies behind a path or an address, without showing what opens it.

Addresses carry secrets: tokens in the query, a password before the host. None of them is repeated
in a message, a progress bar or a name; they are shown as `redacted` shows them.

Source: RFC 9110, HTTP Semantics, sections 8.6 (Content-Length), 11 (authentication) and 15.
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, url2pathname

from floodloom.errors import InputError

_BLOCK = 1 << 20
_TIMEOUT_S = 60
_FAULT = "the server has a fault; try again later"
_REMEDIES = {
    401: "the server asks for a login; use an address with a token, or fetch the file by hand",
    403: "the server refuses; ask for access, or renew the token if it has expired",
    404: "there is nothing at this address; check it",
    407: "the proxy asks for a login; check HTTPS_PROXY",
    410: "there is nothing at this address any more; look for another",
    429: "too many requests; try again later",
}


def is_remote(source: str) -> bool:
    """Whether a source is an address and not a path."""
    return "://" in source and not source.startswith("file://")


def redacted(source: str) -> str:
    """Return an address without what may open it: user, password, query and fragment.

    Parameters
    ----------
    source
        An address, or a path, which is returned as it is.
    """
    if "://" not in source:
        return source
    scheme, _, rest = source.partition("://")
    place = rest.partition("?")[0].partition("#")[0]
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


@contextmanager
def opened(source: str) -> Iterator[Iterator[bytes]]:
    """Give the blocks of a file or of what an address answers.

    Parameters
    ----------
    source
        Path, file:// or http(s):// address.

    Yields
    ------
    Iterator
        Blocks of bytes, at most 1 MiB each.

    Raises
    ------
    InputError
        If it can't be read, or ends before or after its Content-Length.
    """
    stream = _requested(source) if is_remote(source) else _file(source)
    with stream:
        yield _blocks(stream, source)


def _file(source: str) -> IO[bytes]:
    path = Path(url2pathname(urlsplit(source).path) if source.startswith("file://") else source)
    if not path.exists():
        raise InputError(f"{path}: product not found; check the path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; use it where it lies, or give a zip of it")
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check it") from error


def _requested(source: str) -> Any:
    shown = redacted(source)
    try:
        return build_opener(_Redirects).open(_request(source), timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        remedy = _REMEDIES.get(error.code, _FAULT if error.code >= 500 else "check the address")
        raise InputError(f"{shown}: can't be fetched (status {error.code}): {remedy}") from None
    except URLError as error:
        reason = _reason(error.reason)
        raise InputError(
            f"{shown}: can't be fetched ({reason}); check the address and the network"
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(f"{shown}: can't be fetched ({_reason(error)}); try again later") from None


def _request(source: str) -> Request:
    try:
        parts = urlsplit(source)
        port = parts.port
    except ValueError:
        raise InputError(f"{redacted(source)}: not a valid address; check it") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"{redacted(source)}: {parts.scheme} can't be fetched; give an http(s) address, or "
            "fetch the file by hand and give its path"
        )
    headers = {"User-Agent": "floodloom"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
    return Request(_ascii(parts, port), headers=headers)


def _ascii(parts: SplitResult, port: int | None) -> str:
    """Return an address as it goes over the wire: no login, nothing but ASCII."""
    host = (parts.hostname or "").encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    place = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, place, _quoted(parts.path), _quoted(parts.query), ""))


def _quoted(text: str) -> str:
    """Escape what an address may not hold and keep what is escaped already."""
    return "".join(c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


class _Redirects(HTTPRedirectHandler):
    """Follow to http and https alone, and show a login to nobody but the host it is meant for."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        target = urlsplit(newurl)
        if target.scheme not in ("http", "https"):
            raise URLError(f"redirected to {target.scheme}")
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if followed is not None and target[:2] != urlsplit(req.full_url)[:2]:
            followed.headers.pop("Authorization", None)
        return followed


def _blocks(stream: Any, source: str) -> Iterator[bytes]:
    shown = redacted(source)
    headers = getattr(stream, "headers", {})
    expected = headers.get("Content-Length") if not headers.get("Content-Encoding") else None
    received = 0
    while True:
        try:
            block = stream.read(_BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise InputError(
                f"{shown}: broke off after {received} bytes ({_reason(error)}); try again"
            ) from None
        if not block:
            break
        received += len(block)
        yield block
    if expected is not None and expected.isdigit() and received != int(expected):
        raise InputError(
            f"{shown}: {received} bytes came but the server states {expected}; try again"
        )


def _reason(error: Any) -> str:
    """Say what went wrong without the address, which the error's own text may repeat."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return error if isinstance(error, str) else type(error).__name__
