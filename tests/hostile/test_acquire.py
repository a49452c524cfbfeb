"""Downloads, catalogues and files that aren't what they should be."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .harness import Trial

Words = tuple[str, ...]
Handler = BaseHTTPRequestHandler
Answer = Callable[[Handler, bytes], None]


class Web:
    """A server on this machine that answers every request alike."""

    def __init__(self, good: bytes) -> None:
        self.good, self.seen = good, []
        self.answer: Answer = whole
        web = self

        class Own(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.seen.append({"path": self.path, **self.headers})
                try:
                    web.answer(self, web.good)
                except OSError:
                    self.close_connection = True  # the client has had enough

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Own)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        threading.Thread(target=self.http.serve_forever, args=[0.02], daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def web(event) -> Iterator[Web]:
    made = Web((event / "after.zip").read_bytes())
    yield made
    made.http.shutdown()
    made.http.server_close()


def sent(handler: Handler, body: bytes, *, status: int = 200, **headers: object) -> None:
    handler.send_response(status)
    for name, value in {"Content_Length": len(body), **headers}.items():
        if value is not None:
            handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler: Handler, good: bytes) -> None:
    sent(handler, good)


def body(content: bytes, **headers: object) -> Answer:
    return lambda handler, good: sent(handler, content, **headers)


def stated(length: object) -> Answer:
    def answer(handler: Handler, good: bytes) -> None:
        sent(handler, good, Content_Length=length)
        handler.close_connection = True

    return answer


def status(number: int) -> Answer:
    return lambda handler, good: sent(handler, b"no", status=number)


def moved(target: str) -> Answer:
    return lambda handler, good: sent(handler, b"", status=302, Location=target)


def around(handler: Handler, good: bytes) -> None:
    sent(handler, b"", status=302, Location=handler.path + "x")


def chunks_cut(handler: Handler, good: bytes) -> None:
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n100\r\nabc"
    )
    handler.close_connection = True


def no_http(handler: Handler, good: bytes) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9\r\n")
    handler.close_connection = True


def nothing(handler: Handler, good: bytes) -> None:
    handler.close_connection = True


def long_headers(handler: Handler, good: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 200_000 + b"\r\n\r\n")
    handler.close_connection = True


def packed(handler: Handler, good: bytes) -> None:
    sent(handler, good[: len(good) // 2], Content_Encoding="gzip")


def cut(handler: Handler, good: bytes) -> None:
    """Without a length, so that nothing but the file says that it is cut short."""
    sent(handler, good[: len(good) // 2], Content_Length=None)
    handler.close_connection = True


DOWNLOADS: dict[str, tuple[Answer, Words]] = {
    "less than stated": (stated(10**6), ("x.zip", "1000000")),
    "more than stated": (stated(1000), ("x.zip",)),
    "a length of 10^15": (stated(10**15), ("x.zip",)),
    "cut short without a length": (cut, ("x.zip", "cut short")),
    "chunks that break off": (chunks_cut, ("x.zip", "broke off")),
    "nothing": (nothing, ("x.zip",)),
    "another protocol": (no_http, ("x.zip",)),
    "headers without end": (long_headers, ("x.zip",)),
    "packed, which nobody asked for": (packed, ("x.zip",)),
    "an empty file": (body(b""), ("x.zip", "empty")),
    "a page of a login": (body(b"<!DOCTYPE html><html>log in"), ("x.zip", "web page")),
    "JSON": (body(b'{"detail": "expired"}'), ("x.zip", "JSON")),
    "a program": (body(b"\x7fELF" + bytes(900)), ("x.zip", "neither")),
    "not there": (status(404), ("x.zip", "404")),
    "not allowed": (status(403), ("x.zip", "403")),
    "a login": (status(401), ("x.zip", "401", "login")),
    "a fault": (status(500), ("x.zip", "500")),
    "a status of no meaning": (status(299), ("x.zip",)),
    "a part that nobody asked for": (status(206), ("x.zip",)),
    "a redirect to a file": (moved("file:///etc/hostname"), ("x.zip", "302")),
    "a redirect to another scheme": (moved("ftp://127.0.0.1:9/x.zip"), ("x.zip", "ftp")),
    "a redirect to nowhere": (moved("http://"), ("x.zip",)),
    "redirects without end": (around, ("x.zip",)),
}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_bad_download_is_refused(name: str, trial: Trial, web: Web) -> None:
    web.answer, words = DOWNLOADS[name]
    source = f"{web.address}/x.zip?token=SECRET"
    outcome = trial.refuses(
        "acquire", "--source", source, "--out", trial.out / "p.zip", words=words
    )
    assert "SECRET" not in outcome.said


def test_a_server_that_trickles_is_given_up(trial: Trial, web: Web, monkeypatch) -> None:
    def trickle(handler: Handler, good: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(good)))
        handler.end_headers()
        for byte in good:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.05)

    web.answer = trickle
    monkeypatch.setattr("floodloom.acquire.web._WINDOW_S", 1.5)
    source = f"{web.address}/x.zip"
    trial.refuses("acquire", "--source", source, "--out", trial.out / "p.zip", words=("x.zip",))


SOURCES: dict[str, tuple[str, Words]] = {
    "no such file": ("{in}/none.zip", ("none.zip", "not found")),
    "a folder": ("{in}", ("folder",)),
    "a device": ("/dev/zero", ("/dev/zero",)),
    "a file's address": ("file://{beside}/precious.txt", ("file",)),
    "another scheme": ("ftp://127.0.0.1:9/x.zip", ("ftp",)),
    "a scheme of GDAL's": ("/vsicurl/http://127.0.0.1:9/x.zip", ("/vsicurl",)),
    "a program's address": ("javascript://x", ("javascript",)),
    "no host": ("http:///x.zip", ("http",)),
    "a port of no number": ("http://127.0.0.1:port/x.zip", ("not a valid address",)),
    "a port that is too large": ("http://127.0.0.1:99999/x.zip", ("not a valid address",)),
    "a host with a line end": ("http://127.0.0.1\r\nX: y/x.zip", ("http",)),
    "a host of 300 letters": (f"http://{'h' * 300}.example/x.zip", ("http",)),
    "nobody listens": ("http://alice:SECRET@127.0.0.1:9/x.zip?sig=SECRET", ("127.0.0.1:9/x.zip",)),
    "an empty source": ("", ("folder",)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_can_not_be_read_is_refused(name: str, trial: Trial) -> None:
    source, words = SOURCES[name]
    places = {"in": trial.given, "beside": trial.folder / "beside"}
    text = source.format(**places) if "{" in source else source
    outcome = trial.refuses("acquire", "--source", text, "--out", trial.out / "p.zip", words=words)
    assert "SECRET" not in outcome.said


def test_a_pipe_is_refused(trial: Trial) -> None:
    os.mkfifo(trial.given / "x.zip")
    source, out = trial.given / "x.zip", trial.out / "p.zip"
    trial.refuses("acquire", "--source", source, "--out", out, words=("x.zip",))


ITEMS: dict[str, tuple[str, Words]] = {
    "empty": ("", ("i.json", "STAC")),
    "a web page": ("<html>", ("i.json", "STAC")),
    "a list": ("[]", ("i.json", "STAC")),
    "a number": ("7", ("i.json", "STAC")),
    "zeros": ("\0" * 99, ("i.json", "STAC")),
    "no assets": ('{"id": "a"}', ("i.json", "STAC")),
    "assets in a list": ('{"assets": []}', ("i.json",)),
    "assets of nothing": ('{"assets": {"product": null}}', ("i.json", "product")),
    "an asset in words": ('{"assets": {"product": "x.zip"}}', ("i.json", "product")),
    "an asset without an address": ('{"assets": {"product": {}}}', ("i.json", "product")),
    "an address of a number": ('{"assets": {"product": {"href": 5}}}', ("i.json", "product")),
    "an empty address": ('{"assets": {"product": {"href": ""}}}', ("folder",)),
    "another asset": ('{"assets": {"thumbnail": {"href": "x.png"}}}', ("i.json", "thumbnail")),
    "a file's address": (
        '{"assets": {"product": {"href": "file://{beside}/precious.txt"}}}',
        ("file",),
    ),
    "a folder above": (
        '{"assets": {"product": {"href": "../beside/precious.txt"}}}',
        ("i.json", "../beside"),
    ),
    "a path from the root": (
        '{"assets": {"product": {"href": "{beside}/precious.txt"}}}',
        ("precious.txt",),
    ),
    "a path of GDAL's": ('{"assets": {"product": {"href": "/vsizip/x.zip"}}}', ("/vsizip",)),
    "another scheme": ('{"assets": {"product": {"href": "ftp://127.0.0.1:9/x"}}}', ("ftp",)),
    "a size in words": (
        '{"assets": {"product": {"href": "x.zip", "file:size": "big"}}}',
        ("i.json", "file:size", "big"),
    ),
    "a size below 0": (
        '{"assets": {"product": {"href": "x.zip", "file:size": -1}}}',
        ("file:size", "-1"),
    ),
    "another size": ('{"assets": {"product": {"href": "x.zip", "file:size": 7}}}', ("x.zip", "7")),
    "a digest in words": (
        '{"assets": {"product": {"href": "x.zip", "file:checksum": "secret"}}}',
        ("i.json", "secret"),
    ),
    "a digest of a list": (
        '{"assets": {"product": {"href": "x.zip", "file:checksum": [1]}}}',
        ("i.json", "file:checksum"),
    ),
    "another digest": (
        '{"assets": {"product": {"href": "x.zip", "file:checksum": "1220' + "0" * 64 + '"}}}',
        ("x.zip", "sha256"),
    ),
    "a digest of 10^6 digits": (
        '{"assets": {"product": {"href": "x.zip", "file:checksum": "' + "f" * 10**6 + '"}}}',
        ("i.json", "file:checksum"),
    ),
    "100,000 deep": ('{"assets": ' * 100_000 + "{}" + "}" * 100_000, ("i.json", "STAC")),
    "a number of 10,000 digits": (
        '{"assets": {"product": {"href": "x.zip", "file:size": ' + "9" * 10_000 + "}}}",
        ("i.json",),
    ),
    "keys that move a terminal": (
        '{"assets": {"\\u001b[2J\\u202e": {"href": "x.png"}}}',
        ("i.json",),
    ),
    "an address that moves a terminal": ('{"assets": {"product": {"href": "\\u001b[2J.zip"}}}', ()),
}


@pytest.mark.parametrize("name", ITEMS)
def test_a_mistaken_item_is_refused(name: str, trial: Trial) -> None:
    content, words = ITEMS[name]
    trial.copy("after.zip", "x.zip")
    item = trial.file("i.json", content.replace("{beside}", str(trial.folder / "beside")))
    trial.refuses("acquire", "--source", item, "--out", trial.out / "p.zip", words=words)


REMOTE = {
    "a file's address": ("file:///etc/hostname", ("file",)),
    "a file's address without slashes": ("file:/etc/hostname", ("file",)),
    "a path from the root": ("/etc/hostname", ()),
    "a path of GDAL's": ("/vsicurl/http://127.0.0.1:9/x", ()),
    "another scheme": ("gopher://127.0.0.1:9/x", ("gopher",)),
}


@pytest.mark.parametrize("name", REMOTE)
def test_an_item_of_a_server_reaches_no_file_of_this_machine(
    name: str, trial: Trial, web: Web
) -> None:
    href, words = REMOTE[name]
    good = json.dumps({"assets": {"product": {"href": href}}}).encode()

    def answer(handler: Handler, _: bytes) -> None:
        is_item = handler.path == "/items/i.json"
        sent(handler, good if is_item else b"", status=200 if is_item else 404)

    web.answer = answer
    source = f"{web.address}/items/i.json"
    trial.refuses("acquire", "--source", source, "--out", trial.out / "p.zip", words=words)


def test_an_item_of_a_server_without_end_is_refused(trial: Trial, web: Web) -> None:
    def answer(handler: Handler, good: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(400):
            handler.wfile.write(b" " * 1_000_000)

    web.answer = answer
    source = f"{web.address}/items/i.json"
    trial.refuses("acquire", "--source", source, "--out", trial.out / "p.zip", words=("i.json",))


def test_a_login_goes_to_nobody_else(trial: Trial, web: Web) -> None:
    other = Web(web.good)
    web.answer = moved(f"{other.address}/y.zip")
    source = web.address.replace("//", "//alice:SECRET@") + "/x.zip"
    outcome = trial.accepts("acquire", "--source", source, "--out", trial.out / "p.zip")
    other.http.shutdown()
    assert "SECRET" not in outcome.said
    assert "Authorization" in web.seen[0]
    assert not [request for request in other.seen if "Authorization" in request]


@pytest.mark.parametrize("digest", ["0" * 64, "zz", "é", "0" * 10_000])
def test_another_digest_is_refused(digest: str, trial: Trial) -> None:
    source = trial.copy("after.zip", "x.zip")
    command = ("acquire", "--source", source, "--sha256", digest, "--out", trial.out / "p.zip")
    trial.refuses(*command, words=("sha256",))


def test_good_sources_come_as_they_are(trial: Trial, web: Web) -> None:
    good = trial.copy("after.zip", "x.zip")
    digest = hashlib.sha256(web.good).hexdigest()
    facts: dict[str, Any] = {
        "href": "x.zip",
        "file:size": len(web.good),
        "file:checksum": f"1220{digest}",
    }
    item = trial.file("i.json", json.dumps({"assets": {"product": facts}}))
    for source in (good, item, f"{web.address}/x.zip?token=SECRET"):
        out = trial.out / "p.zip"
        outcome = trial.accepts("acquire", "--source", source, "--sha256", digest, "--out", out)
        assert "SECRET" not in outcome.said
        assert out.read_bytes() == web.good


def test_what_was_there_stays_until_the_new_is_whole(trial: Trial, web: Web) -> None:
    old = shutil.copy(trial.event / "flood.tif", trial.out / "p.zip")
    before = Path(old).read_bytes()
    web.answer = stated(10**6)
    trial.refuses("acquire", "--source", f"{web.address}/x.zip", "--out", old, words=("1000000",))
    assert Path(old).read_bytes() == before
