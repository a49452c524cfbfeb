"""Requests that only go where they may, end in time and take no more than they must."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import time
from dataclasses import dataclass, field
from email.message import Message
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from floodloom.errors import InputError
from floodloom.texts import redact

SILENT_S = 30.0
"""Silence after which a download is given up."""
_WINDOW_S = 20.0
_SLOWEST = 1024  # bytes/s over a window; 1 GB then takes twelve days
_LONGEST_S = 86_400.0


class TooSlowError(Exception):
    """A server that sends, but not in the time that floodloom has; the text states its pace."""


@dataclass
class TimeLimits:
    """How long a download may still take, over all its requests.

    Attributes
    ----------
    began
        When it began, s on the clock of the machine.
    """

    began: float = field(default_factory=time.monotonic)
    _window: float | None = None
    _came: int = 0

    def wait(self) -> float:
        """Return how long the next bytes may take, s.

        Raises
        ------
        TooSlowError
            If the download takes too long.
        """
        left = self.began + _LONGEST_S - time.monotonic()
        if left <= 0:
            raise TooSlowError(f"not done after {_LONGEST_S / 3600:.0f} h")
        return min(left, SILENT_S)

    def note(self, count: int) -> None:
        """Note that bytes came.

        Raises
        ------
        TooSlowError
            If too few came in a while.
        """
        now = time.monotonic()
        if self._window is None:
            self._window = now
        self._came += count
        if now - self._window < _WINDOW_S:
            return
        if self._came < _SLOWEST * (now - self._window):
            raise TooSlowError(f"{self._came} bytes in {now - self._window:.0f} s")
        self._window, self._came = now, 0

    def pause(self) -> None:
        """Begin to count anew: nothing is awaited for a while."""
        self._window, self._came = None, 0

    def response(self, connection: socket.socket, *args: Any, **options: Any) -> Any:
        """Make the response of a connection, whose bytes are counted from its first line on."""
        made = http.client.HTTPResponse(connection, *args, **options)
        made.fp = io.BufferedReader(_Counted(made.fp.detach(), connection, self))
        return made


class _Counted(io.RawIOBase):
    def __init__(self, raw: Any, connection: socket.socket, limits: TimeLimits) -> None:
        self._raw, self._connection, self._limits = raw, connection, limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._limits.wait())
        try:
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            self._limits.wait()  # raises if it was the time of the whole that ran out
            raise
        self._limits.note(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


SCHEMES = ("http", "https")
_FAULT = "the server has a fault; try again later"
_REMEDIES = {
    401: "the server asks for a login; use an address with a token, or fetch the file by hand",
    403: "the server refuses; ask for access, or renew the token if it has expired",
    404: "there is nothing at this address; check it",
    407: "the proxy asks for a login; check HTTPS_PROXY",
    410: "there is nothing at this address any more; look for another",
    429: "too many requests; try again later",
}


def open_address(source: str, limits: TimeLimits, headers: dict[str, str] | None = None) -> Any:
    """Return the response of a server, open for reading.

    Parameters
    ----------
    source
        http(s):// address.
    limits
        How long the download may still take.
    headers
        Headers of the request beside its own.

    Raises
    ------
    InputError
        If the address isn't one, there is no response, or it is a refusal.
    """
    shown = redact(source)
    request = _request(source, headers or {})
    try:
        return _opener(limits).open(request, timeout=SILENT_S)
    except HTTPError as error:
        error.close()
        remedy = _REMEDIES.get(error.code, _FAULT if error.code >= 500 else "check the address")
        raise InputError(f"{shown}: can't be fetched (status {error.code}): {remedy}") from None
    except TooSlowError as error:
        raise InputError(f"{shown}: too slow ({error}); try again later") from None
    except URLError as error:
        raise InputError(
            f"{shown}: can't be fetched ({reason_of(error.reason)}); check the address and the "
            "network"
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(
            f"{shown}: can't be fetched ({reason_of(error)}); try again later"
        ) from None


def reason_of(error: Any) -> str:
    """Return what went wrong without the address, which the error's own text may repeat."""
    if isinstance(error, TimeoutError):
        return "silence"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return error if isinstance(error, str) else type(error).__name__


def _request(source: str, headers: dict[str, str]) -> Request:
    try:
        parts = urlsplit(source)
        port = parts.port
    except ValueError:
        raise InputError(f"{redact(source)}: not a valid address; check it") from None
    if parts.scheme.lower() not in SCHEMES or not parts.hostname:
        raise InputError(
            f"{redact(source)}: {parts.scheme} can't be fetched; give an http(s) address, or "
            "fetch the file by hand and give its path"
        )
    headers = {"User-Agent": "floodloom", **headers}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
    try:
        return Request(_ascii(parts, port), headers=headers)
    except UnicodeError:
        raise InputError(f"{redact(source)}: not a valid address; check it") from None


def _ascii(parts: SplitResult, port: int | None) -> str:
    """Return an address as it goes over the wire: no login, nothing but ASCII."""
    host = (parts.hostname or "").encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    place = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, place, _quoted(parts.path), _quoted(parts.query), ""))


def _quoted(text: str) -> str:
    """Escape what an address may not hold and keep what is escaped already."""
    return "".join(c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def _opener(limits: TimeLimits) -> OpenerDirector:
    """Open neither files nor ftp, so that no redirect leads there."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        _Http(limits),
        _Https(limits),
        _Redirects(),
        HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Http(HTTPHandler):
    def __init__(self, limits: TimeLimits) -> None:
        super().__init__()
        self._limits = limits

    def http_open(self, req: Request) -> Any:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPConnection:
        made = http.client.HTTPConnection(host, **options)
        made.response_class = self._limits.response  # type: ignore[assignment]
        return made


class _Https(HTTPSHandler):
    def __init__(self, limits: TimeLimits) -> None:
        super().__init__()
        self._limits = limits

    def https_open(self, req: Request) -> Any:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> http.client.HTTPSConnection:
        made = http.client.HTTPSConnection(host, **options)
        made.response_class = self._limits.response  # type: ignore[assignment]
        return made


class _Redirects(HTTPRedirectHandler):
    """Follow to http and https alone, and show a login to nobody but the host it is meant for."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        target = urlsplit(newurl)
        if target.scheme not in SCHEMES:
            raise URLError(f"redirected to {target.scheme}")
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if followed is not None and target[:2] != urlsplit(req.full_url)[:2]:
            followed.headers.pop("Authorization", None)
        return followed

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message
    ) -> Any:
        fp.close()  # the page that comes along may never end, and urllib reads it to its end
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)  # type: ignore[arg-type]

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
