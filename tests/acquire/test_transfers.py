"""Downloads over bad lines and from busy servers, and the logins that they take."""

import json
import random
import shutil
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest

from floodloom.acquire import web
from floodloom.acquire.credentials import TOKENS, authorization
from floodloom.acquire.item import read_asset
from floodloom.errors import InputError
from floodloom.stages.acquire import acquire

from .conftest import answer
from .test_acquire import refused

SECRET = "s3cret-t0ken"


@pytest.fixture(autouse=True)
def no_logins(monkeypatch, tmp_path) -> None:
    """Leave the logins of whoever runs the tests alone."""
    monkeypatch.delenv(TOKENS, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(autouse=True)
def as_many_pauses(short_pauses, monkeypatch) -> None:
    """As many as there are, but short."""
    monkeypatch.setattr(web, "PAUSES_S", (0.01,) * 5)


class Cut:
    """A server whose connections are cut at random places, also before the first byte."""

    def __init__(self, body: bytes, cuts: int, seed: int) -> None:
        self.body, self.left, self.chance = body, cuts, random.Random(seed)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        rest = self.body[start:]
        if start and self.left and self.chance.random() < 0.2:
            self.left -= 1
            handler.close_connection = True
            return
        handler.send_response(206 if start else 200)
        if start:
            size = len(self.body)
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        handler.send_header("ETag", '"a"')
        handler.send_header("Content-Length", str(len(rest)))
        handler.end_headers()
        if self.left:
            self.left -= 1
            rest = rest[: self.chance.randrange(len(self.body) // 12)]
        handler.wfile.write(rest)


@pytest.mark.parametrize("seed", range(5))
def test_a_connection_that_is_cut_twenty_times(server, tmp_path, product, seed) -> None:
    server.answers["/x.zip"] = cut = Cut(product, 20, seed)
    out = acquire(source=f"{server.address}/x.zip", out=tmp_path / "o.zip")
    assert out.read_bytes() == product
    assert cut.left == 0


def busy(status: int, times: int, body: bytes, **headers: str):
    """Answer with a refusal some times, then with the body."""
    left = [times]

    def send(handler: BaseHTTPRequestHandler) -> None:
        left[0] -= 1
        if left[0] >= 0:
            answer(b"later", status=status, **headers)(handler)
        else:
            answer(body)(handler)

    return send


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", ["number", "time"])
def test_a_busy_server_is_given_the_time_that_it_asks_for(
    server, tmp_path, product, status, asked
) -> None:
    after = "1" if asked == "number" else formatdate(time.time() + 2, usegmt=True)
    server.answers["/x.zip"] = busy(status, 1, product, **{"Retry-After": after})
    began = time.monotonic()
    out = acquire(source=f"{server.address}/x.zip", out=tmp_path / "o.zip")
    assert out.read_bytes() == product
    assert 0.9 < time.monotonic() - began < 5


def test_a_busy_server_that_states_no_time_is_asked_again(server, tmp_path, product) -> None:
    server.answers["/x.zip"] = busy(503, len(web.PAUSES_S), product)
    out = acquire(source=f"{server.address}/x.zip", out=tmp_path / "o.zip")
    assert out.read_bytes() == product


@pytest.mark.parametrize(
    ("times", "after", "message"),
    [(1, "3600", "asks to wait; try again in 3600 s"), (99, "soon", "too many requests")],
)
def test_no_server_is_waited_for_for_ever(server, tmp_path, product, times, after, message) -> None:
    server.answers["/x.zip"] = busy(429, times, product, **{"Retry-After": after})
    refused(tmp_path, f"{server.address}/x.zip", f"status 429.*{message}")
    assert len(server.requests) <= 1 + len(web.PAUSES_S)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_expires_midway_is_one_line(
    server, tmp_path, product, monkeypatch, status
) -> None:
    monkeypatch.setenv(TOKENS, f"127.0.0.1={SECRET}")
    whole = Cut(product, 1, 0)

    def send(handler: BaseHTTPRequestHandler) -> None:
        if "Range" in handler.headers:
            answer(b"expired", status=status)(handler)
        else:
            whole(handler)

    server.answers["/x.zip"] = send
    said = refused(tmp_path, f"{server.address}/x.zip", rf"status {status}.*{TOKENS}.*renew it")
    assert SECRET not in said
    assert [request["Authorization"] for request in server.requests] == [f"Bearer {SECRET}"] * 2


def test_what_the_disk_has_no_room_for_is_not_begun(server, tmp_path, product, monkeypatch) -> None:
    item = {"assets": {"product": {"href": "x.zip", "file:size": len(product)}}}
    server.answers["/items/a"] = answer(json.dumps(item).encode())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    refused(tmp_path, f"{server.address}/items/a", "has room for 0.0 GB; free some space")
    assert len(server.requests) == 1


def test_a_login_goes_to_its_host_and_no_other(server, tmp_path, product, monkeypatch) -> None:
    monkeypatch.setenv(TOKENS, f"example.org=other 127.0.0.1={SECRET}")
    elsewhere = server.address.replace("127.0.0.1", "localhost")
    server.answers["/x.zip"] = answer(b"", status=302, Location=f"{elsewhere}/y.zip")
    server.answers["/y.zip"] = answer(product)
    acquire(source=f"{server.address}/x.zip", out=tmp_path / "o.zip")
    assert [request.get("Authorization") for request in server.requests] == [
        f"Bearer {SECRET}",
        None,
    ]

    (tmp_path / "netrc").write_text(f"machine localhost login me password {SECRET}\n")
    acquire(source=f"{server.address}/x.zip", out=tmp_path / "p.zip")
    assert str(server.requests[-1]["Authorization"]).startswith("Basic ")


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("https://dataspace.org/x", True),
        ("https://download.dataspace.org:8443/x", True),
        ("http://dataspace.org/x", False),
        ("https://otherdataspace.org/x", False),
        ("https://dataspace.org.evil.net/x", False),
        ("https://org/x", False),
    ],
)
def test_whose_token_it_is(monkeypatch, address, known) -> None:
    monkeypatch.setenv(TOKENS, f"dataspace.org={SECRET}")
    assert authorization(address) == (f"Bearer {SECRET}" if known else None)


def test_the_default_of_netrc_is_nobodys(tmp_path) -> None:
    (tmp_path / "netrc").write_text(f"default login me password {SECRET}\n")
    assert authorization("https://example.org/x") is None


@pytest.mark.parametrize("given", [SECRET, f"={SECRET}", "example.org="])
def test_tokens_that_can_not_be_read_are_one_line(monkeypatch, tmp_path, given) -> None:
    monkeypatch.setenv(TOKENS, given)
    with pytest.raises(InputError, match="not host=token") as caught:
        authorization("https://example.org/x")
    assert SECRET not in str(caught.value)
    monkeypatch.delenv(TOKENS)
    (tmp_path / "netrc").write_text(f"machine example.org {SECRET}\n")
    with pytest.raises(InputError, match="can't be read as a netrc") as caught:
        authorization("https://example.org/x")
    assert SECRET not in str(caught.value)


OF_COPERNICUS = {"Product": {"href": "https://h/Products(1)/$value"}, "vv": {"href": "s3://e/vv"}}
OF_ASF = {"edu/GRD_HD/S1A": {"href": "https://h/a.zip"}, "edu/b": {"href": "https://h/b.jpg"}}
ELSEWHERE = {"product": {"href": "s3://b/a", "alternate": {"https": {"href": "https://h/c"}}}}


@pytest.mark.parametrize(
    ("assets", "found"), [(OF_COPERNICUS, "$value"), (OF_ASF, "a.zip"), (ELSEWHERE, "c")]
)
def test_products_under_the_names_of_catalogues(server, assets, found) -> None:
    server.answers["/items/a"] = answer(json.dumps({"assets": assets}).encode())
    assert read_asset(f"{server.address}/items/a").source.endswith(found)
