"""Files that want an address with a signature, as those of Planetary Computer do."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from floodloom.acquire.signing import signed
from floodloom.errors import InputError
from floodloom.stages.acquire import acquire
from floodloom.stages.gather import gather
from tests.acquire.conftest import Server, answer
from tests.privacy import telling

SIGNATURE = "sv=2023&sig=s3cret"


@pytest.fixture
def store(server: Server, geotiff: bytes, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose file is sent to those who were given a signature alone."""
    monkeypatch.setattr("floodloom.acquire.signing.SIGNERS", {"127.0.0.1": f"{server.address}/s"})

    def sign(handler) -> None:
        href = parse_qs(urlsplit(handler.path).query)["href"][0]
        answer(json.dumps({"href": f"{href}?{SIGNATURE}", "msft:expiry": "…"}).encode())(handler)

    def tile(handler) -> None:
        whole = urlsplit(handler.path).query == SIGNATURE
        answer(geotiff if whole else b"no", status=200 if whole else 403)(handler)

    server.answers |= {"/s": sign, "/tile.tif": tile}
    return server


def test_what_is_fetched_is_signed_and_the_signature_shown_nowhere(
    store: Server, geotiff: bytes, tmp_path: Path
) -> None:
    item = tmp_path / "item.json"
    item.write_text(json.dumps({"assets": {"map": {"href": f"{store.address}/tile.tif"}}}))
    gather(tiles=[str(item)], out=tmp_path / "cover", asset=["map"])
    assert (tmp_path / "cover" / "tile.tif").read_bytes() == geotiff
    acquire(source=f"{store.address}/tile.tif", out=tmp_path / "t.tif")
    assert (tmp_path / "t.tif").read_bytes() == geotiff
    assert telling(tmp_path, ["s3cret"]) == []


def test_other_places_and_signed_addresses_are_left_as_they_are(store: Server) -> None:
    kept = ("/data/tile.tif", "https://h/tile.tif", f"{store.address}/tile.tif?sig=own")
    assert [signed(address) for address in kept] == list(kept)
    assert store.requests == []
    assert signed(f"{store.address}/tile.tif") == f"{store.address}/tile.tif?{SIGNATURE}"


@pytest.mark.parametrize(
    "said", [b"not json", b"[]", b'{"href": 1}', b'{"href": "https://elsewhere/tile.tif?sig=1"}']
)
def test_an_answer_that_is_no_signature_is_one_line(store: Server, said: bytes) -> None:
    store.answers["/s"] = answer(said)
    with pytest.raises(InputError, match=r"tile\.tif: .*/s gave no signature for it; try again"):
        signed(f"{store.address}/tile.tif")
