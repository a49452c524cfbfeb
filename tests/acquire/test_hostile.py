"""Servers and items that want something else than to give a product."""

import io
import json
import os
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from floodloom.acquire import download, item, web
from floodloom.errors import InputError
from floodloom.stages.acquire import acquire

from .conftest import answer
from .test_acquire import refused


@pytest.fixture(autouse=True)
def hurry(monkeypatch) -> None:
    """Minutes become fractions of a second."""
    monkeypatch.setattr(web, "SILENT_S", 0.6)
    monkeypatch.setattr("floodloom.acquire.web.SILENT_S", 0.6)
    monkeypatch.setattr(web, "_WINDOW_S", 0.4)


def asset_of(folder: Path, href: object, **facts: object) -> str:
    file = folder / "in" / "item.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"assets": {"product": {"href": href, **facts}}}))
    return str(file)


@pytest.mark.parametrize(
    "href",
    [
        "file:///{place}/own.zip",
        "file:/{place}/own.zip",
        "FILE:///{place}/own.zip",
        "file://localhost/{place}/own.zip",
        "ftp://host/own.zip",
        "s3://bucket/own.zip",
        "data:application/zip;base64,UEs=",
        "javascript:alert(1)",
        "/vsicurl/file:///{place}/own.zip",
        "http://[::1/x.zip",
    ],
)
def test_an_item_on_the_web_reaches_nothing_but_the_web(server, tmp_path, product, href) -> None:
    (tmp_path / "own.zip").write_bytes(product)
    named = {"product": {"href": href.format(place=str(tmp_path).lstrip("/"))}}
    server.answers["/items/x"] = answer(json.dumps({"assets": named}).encode())
    server.answers["/vsicurl/file:///" + f"{tmp_path}/own.zip".lstrip("/")] = answer(
        b"", status=404
    )
    refused(tmp_path, f"{server.address}/items/x", "(only http|valid address|can't be fetched)")


@pytest.mark.parametrize(
    "href",
    [
        *("../own.zip", "../../../{place}/own.zip", "{place}/own.zip", "sub/../../own.zip"),
        *("link.zip", "away/own.zip", "file://{place}/own.zip", "file:{place}/own.zip"),
        *("own.zip\0", "~/own.zip"),
    ],
)
def test_an_item_on_disk_reaches_nothing_outside_its_folder(tmp_path, product, href) -> None:
    (tmp_path / "own.zip").write_bytes(product)
    source = asset_of(tmp_path, href.format(place=tmp_path))
    (tmp_path / "in" / "link.zip").symlink_to(tmp_path / "own.zip")
    (tmp_path / "in" / "away").symlink_to(tmp_path)
    refused(tmp_path, source, "(outside the item's folder|only http|not found)")


@pytest.mark.parametrize("href", ["p.zip", "./sub/../p.zip", "{folder}/p.zip", "sub/p.zip"])
def test_an_item_on_disk_reaches_what_lies_beside_it(tmp_path, product, href) -> None:
    source = asset_of(tmp_path, href.format(folder=tmp_path / "in"))
    (tmp_path / "in" / "sub").mkdir()
    for place in ("p.zip", "sub/p.zip"):
        (tmp_path / "in" / place).write_bytes(product)
    assert acquire(source=source, out=tmp_path / "o.zip").read_bytes() == product


@pytest.mark.parametrize(
    "source", ["file://{}", "file:{}", "FILE://{}", "ftp://h{}", "gopher://h{}"]
)
def test_addresses_of_files_are_no_sources(tmp_path, product, source) -> None:
    (tmp_path / "own.zip").write_bytes(product)
    refused(tmp_path, source.format(tmp_path / "own.zip"), "can't be fetched; give an http")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"file:size": True}, "file:size is True, no number"),
        ({"file:size": -1}, "file:size is -1, no number"),
        ({"file:size": [[["x"]]]}, "file:size is .*, no number"),
        ({"file:checksum": "12" * 100_000}, "is no multihash"),
        ({"file:checksum": "ff" * 40}, "is no multihash"),
        ({"file:checksum": {"a": 1}}, "is no multihash"),
    ],
)
def test_facts_that_are_none_are_one_line(tmp_path, product, facts, message) -> None:
    source = asset_of(tmp_path, "p.zip", **facts)
    (tmp_path / "in" / "p.zip").write_bytes(product)
    assert len(refused(tmp_path, source, message)) < 1000


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"assets": []}', '{"assets": "product"}', '{"assets": null}', "\xff", "NaN"],
)
def test_texts_that_are_no_items_are_one_line(tmp_path, text) -> None:
    (tmp_path / "i.json").write_bytes(text.encode("latin-1"))
    refused(tmp_path, str(tmp_path / "i.json"), "not a STAC item")


@pytest.mark.parametrize("assets", [{"product": 5}, {"product": []}, {"product": {"href": ["x"]}}])
def test_assets_that_are_none_are_one_line(tmp_path, assets) -> None:
    (tmp_path / "i.json").write_text(json.dumps({"assets": assets}))
    refused(tmp_path, str(tmp_path / "i.json"), "no asset 'product'; it has product")


def test_damaged_directories_of_zips_are_one_line(tmp_path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("S1.SAFE/manifest.safe", "<xml/>")
    whole = made.getvalue()
    directory = whole.index(b"PK\1\2")
    chance = np.random.default_rng(0)
    refusals = []
    for _ in range(300):
        content = bytearray(whole)
        for place in chance.integers(directory, len(whole), 3):
            content[place] = chance.integers(0, 256)
        (tmp_path / "x.zip").write_bytes(content)
        try:
            acquire(source=str(tmp_path / "x.zip"), out=tmp_path / "o.zip")
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert not any("\n" in refusal for refusal in refusals)


def test_an_item_of_many_assets_names_some(tmp_path) -> None:
    (tmp_path / "i.json").write_text(json.dumps({"assets": {f"a{n}": {} for n in range(10_000)}}))
    assert len(refused(tmp_path, str(tmp_path / "i.json"), "no asset 'product'")) < 1000


def test_an_item_without_end_is_given_up(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(item, "_LARGEST", 100_000)
    server.answers["/items/x"] = unending(b" " * 10_000)
    refused(tmp_path, f"{server.address}/items/x", "more than the 100000 bytes")
    (tmp_path / "i.json").write_bytes(b" " * 200_000)
    refused(tmp_path, str(tmp_path / "i.json"), "too large for a STAC item")


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "linked"])
def test_only_files_are_read(tmp_path, kind) -> None:
    source = tmp_path / "x.zip"
    if kind == "pipe":
        os.mkfifo(source)
    elif kind == "device":
        source.symlink_to("/dev/zero")
    elif kind == "linked":
        os.mkfifo(tmp_path / "pipe")
        source.symlink_to(tmp_path / "pipe")
    else:
        socket.socket(socket.AF_UNIX).bind(str(source))
    refused(tmp_path, str(source), "a pipe or a device")


def unending(block: bytes, every_s: float = 0.0, head: bytes = b"") -> Callable[..., None]:
    """Answer with a block again and again, until nobody listens."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            handler.wfile.write(head)
            while True:
                handler.wfile.write(block)
                time.sleep(every_s)
        except OSError:
            pass

    return send


@pytest.mark.parametrize(
    ("block", "every_s", "head", "message"),
    [
        (b"x", 0.05, b"PK\3\4", "too slow"),
        (b"x", 0.05, b"", "too slow"),
        (b"PK" * 50_000, 0.0, b"", "more than the 1000000 bytes"),
        (b"<html>" * 1000, 0.0, b"", "a web page, no product"),
        (b"\0" * 10_000, 0.0, b"", "neither a zip nor a GeoTIFF"),
        (b"PK", 1.5, b"", r"broke off after \d+ bytes"),
    ],
)
def test_what_never_ends_is_given_up(
    server, tmp_path, monkeypatch, block, every_s, head, message
) -> None:
    monkeypatch.setattr("floodloom.acquire.fetch.LARGEST", 1_000_000)
    server.answers["/x.zip"] = unending(block, every_s, head)
    began = time.monotonic()
    refused(tmp_path, f"{server.address}/x.zip", message)
    assert time.monotonic() - began < 5


def test_a_product_larger_than_stated_is_given_up(server, tmp_path, product) -> None:
    named = {"product": {"href": "p.zip", "file:size": 1000}}
    server.answers["/items/x"] = answer(json.dumps({"assets": named}).encode())
    server.answers["/items/p.zip"] = answer(product)
    refused(tmp_path, f"{server.address}/items/x", "more than the 1000 bytes")


def test_the_whole_takes_no_longer_than_its_limit(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(web, "_LONGEST_S", 0.5)
    monkeypatch.setattr(web, "_SLOWEST", 0)
    server.answers["/x.zip"] = unending(b"PK" * 500, 0.02)
    refused(tmp_path, f"{server.address}/x.zip", "too slow .not done after")


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Start a server of which even the headers are the test's."""
    listening: list[socket.socket] = []

    def start(talk: Callable[[socket.socket], None]) -> str:
        door = socket.create_server(("127.0.0.1", 0))
        listening.append(door)

        def serve() -> None:
            try:
                while True:
                    guest, _ = door.accept()
                    with guest:
                        talk(guest)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{door.getsockname()[1]}/x.zip"

    yield start
    for door in listening:
        door.close()


def slow_headers(guest: socket.socket) -> None:
    guest.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        guest.sendall(b"x")
        time.sleep(0.05)


def silence(guest: socket.socket) -> None:
    time.sleep(2)


def nonsense(guest: socket.socket) -> None:
    guest.recv(1000)
    guest.sendall(b"\0\1\2 nonsense\r\n\r\n")


def endless_headers(guest: socket.socket) -> None:
    guest.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        guest.sendall(b"X: y\r\n" * 100)


@pytest.mark.parametrize(
    ("talk", "message"),
    [
        (slow_headers, "too slow"),
        (silence, "can't be fetched"),
        (nonsense, "can't be fetched"),
        (endless_headers, "can't be fetched"),
    ],
)
def test_servers_that_speak_no_http_are_one_line(raw, tmp_path, talk, message) -> None:
    began = time.monotonic()
    refused(tmp_path, raw(talk), message)
    assert time.monotonic() - began < 4


def test_the_page_of_a_redirect_is_not_read(server, tmp_path, product) -> None:
    server.answers["/x.zip"] = answer(product)

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/x.zip")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 100_000)
        except OSError:
            pass

    server.answers["/away"] = send
    out = acquire(source=f"{server.address}/away", out=tmp_path / "o.zip")
    assert out.read_bytes() == product


@pytest.mark.parametrize("target", ["/away", "/x/../away", "?again"])
def test_redirects_in_circles_are_one_line(server, tmp_path, target) -> None:
    server.answers["/away"] = answer(b"", status=302, Location=target)
    server.answers["/x/../away"] = server.answers["/away"]
    refused(tmp_path, f"{server.address}/away", "can't be fetched")


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://h/x", "data:,x", "/%00", "http://"]
)
def test_redirects_out_of_the_web_are_one_line(server, tmp_path, target) -> None:
    server.answers["/away"] = answer(b"", status=301, Location=target)
    server.answers["/%00"] = answer(b"", status=404)
    refused(tmp_path, f"{server.address}/away?s3cret", "can't be fetched|not a valid address")


class Broken:
    """A server that breaks off after `share` of what is asked for, and tells what was asked."""

    def __init__(self, body: bytes, share: float, mark: dict[str, str], lie: str = "") -> None:
        self.body, self.share, self.mark, self.lie = body, share, mark, lie
        self.asked: list[str] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if self.lie == "whole again":
            start, wanted = 0, ""
        handler.send_response(206 if wanted else 200)
        if wanted:
            said = start + 1 if self.lie == "another place" else start
            total = len(self.body) + (self.lie == "another size")
            handler.send_header("Content-Range", f"bytes {said}-{len(self.body) - 1}/{total}")
            assert handler.headers["If-Range"] == next(iter(self.mark.values()))
        for name, value in self.mark.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.body) - start))
        handler.end_headers()
        rest = self.body[start:]
        handler.wfile.write(rest[: max(int(self.share * len(self.body)), 1)])


@pytest.mark.parametrize("mark", [{"ETag": '"a"'}, {"Last-Modified": "Mon, 01 Jan 2024"}])
def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path, product, mark) -> None:
    server.answers["/x.zip"] = broken = Broken(product, 0.4, mark)
    out = acquire(source=f"{server.address}/x.zip", out=tmp_path / "o.zip")
    assert out.read_bytes() == product
    first, second, third = broken.asked
    assert first == ""
    assert 0 < int(second[6:-1]) < int(third[6:-1]) < len(product)


@pytest.mark.parametrize(
    ("mark", "share", "lie", "requests"),
    [
        ({}, 0.4, "", 1),
        ({"ETag": 'W/"a"'}, 0.4, "", 1),
        ({"ETag": '"a"'}, 0.0001, "", 4),
        ({"ETag": '"a"'}, 0.4, "whole again", 2),
        ({"ETag": '"a"'}, 0.4, "another place", 2),
        ({"ETag": '"a"'}, 0.4, "another size", 2),
    ],
)
def test_what_can_not_go_on_is_refused(
    server, tmp_path, product, mark, share, lie, requests
) -> None:
    server.answers["/x.zip"] = broken = Broken(product, share, mark, lie)
    refused(tmp_path, f"{server.address}/x.zip", r"bytes came but the server states|broke off")
    assert len(broken.asked) == requests


def test_a_download_that_makes_way_may_break_off_often(
    server, tmp_path, product, monkeypatch
) -> None:
    monkeypatch.setattr(download, "_PROGRESS", len(product) // 20)
    server.answers["/x.zip"] = broken = Broken(product, 0.1, {"ETag": '"a"'})
    out = acquire(source=f"{server.address}/x.zip", out=tmp_path / "o.zip")
    assert out.read_bytes() == product
    assert len(broken.asked) > 9


def test_what_goes_on_is_verified_as_a_whole(server, tmp_path, product) -> None:
    server.answers["/x.zip"] = Broken(product, 0.6, {"ETag": '"a"'})
    with pytest.raises(InputError, match=r"sha256 is .* but 0{64} is expected"):
        acquire(source=f"{server.address}/x.zip", out=tmp_path / "o.zip", sha256="00" * 32)
