"""Requests that only go where they may, end in time and take no more than they must."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import time
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPCookieProcessor,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from floodloom.acquire.credentials import TOKENS, authorization
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.texts import redact

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses before what failed for a while is tried again."""
_LONGEST_WAIT_S = 300.0
"""Longest pause that a server may ask for."""
_LOGINS = (401, 403)
"""Statuses of a server that wants to know who asks."""
_WAITING = (429, 503)
"""Statuses of a server that will answer later."""

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
    404: "there is nothing at this address; check it",
    407: "the proxy asks for a login; check HTTPS_PROXY",
    410: "there is nothing at this address any more; look for another",
    429: "too many requests; try again later",
}


class UnreachableError(InputError):
    """A server that can't be reached, or hangs up; it may be back in a while."""


def open_address(source: str, limits: TimeLimits, headers: dict[str, str] | None = None) -> Any:
    """Return the response of a server, open for reading.

    A server that is busy (status 429 or 503) is asked again: after the pause that it asks for, at
    most five minutes, or pauses of floodloom's own.

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
        If the address isn't one, or the answer is a refusal.
    UnreachableError
        If there is no answer.
    """
    request = _request(source, headers or {})
    pauses = iter(PAUSES_S)
    while True:
        try:
            return _opener(limits).open(request, timeout=SILENT_S)
        except HTTPError as error:
            error.close()
            wait = _wait(error, next(pauses, None))
            if wait is None:
                raise _refusal(redact(source), error) from None
        except Exception as error:
            raise _failure(redact(source), error) from None
        get_logger(__name__).info("%s: the server is busy; waiting %.0f s", redact(source), wait)
        limits.pause()
        time.sleep(wait)


def _wait(error: HTTPError, pause: float | None) -> float | None:
    """Return how long to wait before the next request, s; None where there is none."""
    if error.code not in _WAITING or pause is None:
        return None
    asked = _asked(error.headers.get("Retry-After", ""))
    wait = pause if asked is None else asked
    return wait if wait <= _LONGEST_WAIT_S else None


def _asked(text: str) -> float | None:
    """Return the seconds that Retry-After states, as a number or as a time."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError, OSError):  # no time, or none that this machine can count
        return None


def _refusal(shown: str, error: HTTPError) -> InputError:
    if error.code in _LOGINS:
        host = urlsplit(error.url).hostname
        refusal = "asks for a login" if error.code == 401 else "refuses"
        return InputError(
            f"{shown}: can't be fetched (status {error.code}): {host} {refusal}; give its token in "
            f"{TOKENS}, or its login in netrc, or renew it if it has expired"
        )
    remedy = _REMEDIES.get(error.code, _FAULT if error.code >= 500 else "check the address")
    asked = _asked(error.headers.get("Retry-After", "")) if error.code in _WAITING else None
    if asked is not None:
        remedy = f"the server asks to wait; try again in {asked:.0f} s"
    return InputError(f"{shown}: can't be fetched (status {error.code}): {remedy}")


def _failure(shown: str, error: Exception) -> Exception:
    """Return what is raised in place of an error of a request, whose text may hold the address."""
    if isinstance(error, TooSlowError):
        return InputError(f"{shown}: too slow ({error}); try again later")
    if isinstance(error, URLError):
        return UnreachableError(
            f"{shown}: can't be fetched ({reason_of(error.reason)}); check the address and the "
            "network"
        )
    if isinstance(error, (OSError, ValueError, http.client.HTTPException)):
        return UnreachableError(f"{shown}: can't be fetched ({reason_of(error)}); try again later")
    return error


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
    elif known := authorization(source):
        headers["Authorization"] = known
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
        HTTPCookieProcessor(),  # of one request and what it is redirected to, such as to a login
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
            if known := authorization(newurl):
                followed.add_header("Authorization", known)
        return followed

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message
    ) -> Any:
        fp.close()  # the page that comes along may never end, and urllib reads it to its end
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)  # type: ignore[arg-type]

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
