"""What is fetched is whole and is what was asked for, or nothing is left of it."""

import hashlib
import io
import json
import logging
import shutil
import zipfile
from urllib.parse import urlsplit

import pytest

from floodloom.cli import main
from floodloom.errors import InputError
from floodloom.stages.acquire import acquire
from floodloom.texts import redact

from .conftest import answer

PAGE = b"<!DOCTYPE html><html><body>Please sign in</body></html>"


def refused(folder, source: str, message: str, **options: str) -> str:
    """Check that a source is refused in one line and that nothing is left."""
    out = folder / "out" / "x.zip"
    with pytest.raises(InputError, match=message) as caught:
        acquire(source=source, out=out, **options)
    assert "\n" not in str(caught.value)
    assert not list(out.parent.glob("*")) + list(out.parent.glob(".*"))
    return str(caught.value)


@pytest.mark.parametrize("kind", ["product", "geotiff"])
def test_products_come_as_they_are(server, tmp_path, request, kind) -> None:
    body = request.getfixturevalue(kind)
    server.answers["/a b.zip"] = server.answers["/a%20b.zip"] = answer(body)
    (tmp_path / "local").write_bytes(body)
    for source in (f"{server.address}/a b.zip", str(tmp_path / "local")):
        out = acquire(
            source=source, out=tmp_path / "o.zip", sha256=hashlib.sha256(body).hexdigest().upper()
        )
        assert out.read_bytes() == body


@pytest.mark.parametrize("kind", ["product", "geotiff"])
@pytest.mark.parametrize("share", [0, 0.01, 0.4, 0.999])
def test_less_than_the_stated_length_is_refused(server, tmp_path, request, kind, share) -> None:
    body = request.getfixturevalue(kind)
    server.answers["/x"] = answer(body[: int(share * len(body))], stated=len(body))
    refused(tmp_path, f"{server.address}/x", rf"bytes came but the server states {len(body)}")


@pytest.mark.parametrize("kind", ["product", "geotiff"])
@pytest.mark.parametrize("share", [0.4, 0.8, 0.999])
def test_what_is_cut_short_is_refused_without_a_length(tmp_path, request, kind, share) -> None:
    body = request.getfixturevalue(kind)
    (tmp_path / "x.zip").write_bytes(body[: int(share * len(body))])
    refused(tmp_path, str(tmp_path / "x.zip"), r"x\.zip: the (zip|GeoTIFF) is cut short")


def test_a_chunked_answer_that_breaks_off_is_refused(server, tmp_path, product) -> None:
    def send(handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n" % len(product) + product[:100_000])
        handler.close_connection = True

    server.answers["/x"] = send
    refused(tmp_path, f"{server.address}/x", r"broke off after \d+ bytes")


def archive_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (PAGE, "a web page, no product; the address may ask for a login"),
        (b"\xef\xbb\xbf\n  <html>", "a web page, no product"),
        (b'{"detail": "expired"}', "a JSON text, no product"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "an XML text, no product"),
        (b"", "an empty file, no product"),
        (b"\x89HDF\r\n", "neither a zip nor a GeoTIFF, no product"),
        (archive_of("scene_VV.tif"), "a zip without manifest.safe"),
        (b"II*\0", "the GeoTIFF is cut short or damaged"),
    ],
)
def test_what_is_no_product_is_refused_by_its_content(server, tmp_path, body, message) -> None:
    server.answers["/x.zip"] = answer(body)
    refused(tmp_path, f"{server.address}/x.zip", message)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "asks for a login"),
        (403, "renew it if it has expired"),
        (404, "nothing at this address"),
        (410, "nothing at this address any more"),
        (418, "check the address"),
        (429, "try again later"),
        (500, "try again later"),
        (503, "try again later"),
    ],
)
def test_refusals_of_the_server_say_what_to_do(server, tmp_path, status, remedy) -> None:
    server.answers["/x.zip"] = answer(PAGE, status=status)
    said = refused(tmp_path, f"{server.address}/x.zip?token=s3cret", f"status {status}.*{remedy}")
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://127.0.0.1:9/x.zip?token=s3cret", "can't be fetched .* check the address"),
        ("http://me:s3cret@127.0.0.1:9/x.zip", "can't be fetched"),
        ("http://me:s3cret@127.0.0.1:port/x.zip", "not a valid address"),
        ("http://[me:s3cret@x/x.zip", "not a valid address"),
        ("https:///x.zip?s3cret", "https can't be fetched; give an http"),
        ("s3://bucket/x.zip?s3cret", "not of the form s3://bucket/key"),
        ("ftp://me:s3cret@host/x.zip", "ftp can't be fetched; give an http"),
    ],
)
def test_addresses_that_lead_nowhere(tmp_path, source, message) -> None:
    assert "s3cret" not in refused(tmp_path, source, message)


def test_local_sources_that_can_not_be_read(tmp_path) -> None:
    (tmp_path / "a.SAFE").mkdir()
    refused(tmp_path, str(tmp_path / "a.SAFE"), r"a\.SAFE: is a folder; use it where it lies")
    refused(tmp_path, str(tmp_path / "none.zip"), r"none\.zip: product not found")


def test_a_wrong_digest_is_refused_and_keeps_what_was_there(tmp_path, product) -> None:
    (tmp_path / "x").write_bytes(product)
    refused(
        tmp_path, str(tmp_path / "x"), f"sha256 is .* but {'0f' * 32} is expected", sha256="0f" * 32
    )
    kept = acquire(source=str(tmp_path / "x"), out=tmp_path / "kept.zip")
    with pytest.raises(InputError, match="is expected"):
        acquire(source=str(tmp_path / "x"), out=kept, sha256="00" * 32)
    assert kept.read_bytes() == product


def multihash(code: str, name: str, body: bytes, **options: int) -> str:
    digest = hashlib.new(name, body, **options).digest()
    return code + f"{len(digest):02x}" + digest.hex()


@pytest.mark.parametrize(
    ("code", "name", "options"),
    [
        ("12", "sha256", {}),
        ("13", "sha512", {}),
        ("11", "sha1", {}),
        ("16", "sha3_256", {}),
        ("d501", "md5", {}),
        ("a0e402", "blake2b", {"digest_size": 32}),
    ],
)
def test_an_item_states_what_the_asset_must_be(tmp_path, product, code, name, options) -> None:
    (tmp_path / "p.zip").write_bytes(product)
    asset = {"href": "./p.zip", "file:size": len(product)}
    checksum = multihash(code, name, product, **options)
    item = tmp_path / "item.json"
    item.write_text(json.dumps({"assets": {"product": {**asset, "file:checksum": checksum}}}))
    out = acquire(source=str(item), out=tmp_path / "out.zip")
    assert out.read_bytes() == product
    wrong = checksum[:-2] + f"{int(checksum[-2:], 16) ^ 1:02x}"
    item.write_text(json.dumps({"assets": {"product": {**asset, "file:checksum": wrong}}}))
    refused(tmp_path, str(item), f"{name} is .* is expected")


@pytest.mark.parametrize(
    ("asset", "message"),
    [
        ({"href": "p.zip", "file:size": 7}, "bytes but the STAC item states 7"),
        ({"href": "p.zip", "file:size": "7 MB"}, "file:size is '7 MB', no number"),
        ({"href": "p.zip", "file:checksum": "1220abcd"}, "1220abcd is no multihash"),
        ({"href": "p.zip", "file:checksum": "sha256:abc"}, "sha256:abc is no multihash"),
        ({"href": "p.zip", "file:checksum": ""}, "is no multihash"),
        ({"title": "?"}, "no asset 'product'; it has product"),
        ({"href": "gone.zip"}, r"gone\.zip: product not found"),
    ],
)
def test_items_that_do_not_fit(tmp_path, product, asset, message) -> None:
    (tmp_path / "p.zip").write_bytes(product)
    (tmp_path / "item.json").write_text(json.dumps({"assets": {"product": asset}}))
    refused(tmp_path, str(tmp_path / "item.json"), message)


def test_an_unknown_kind_of_checksum_is_said(tmp_path, product, caplog) -> None:
    (tmp_path / "p.zip").write_bytes(product)
    asset = {"href": "p.zip", "file:checksum": "1e20" + 32 * "00"}
    (tmp_path / "item.json").write_text(json.dumps({"assets": {"product": asset}}))
    acquire(source=str(tmp_path / "item.json"), out=tmp_path / "out.zip")
    assert "kind of checksum (0x1e) isn't checked" in caplog.text


@pytest.mark.parametrize("body", [PAGE, b"[]", b"{}", b'{"assets": 3}'])
def test_what_is_no_item_is_refused(server, tmp_path, body) -> None:
    server.answers["/items/x"] = answer(body)
    said = refused(tmp_path, f"{server.address}/items/x?sig=s3cret", "not a STAC item")
    assert "s3cret" not in said


def test_an_item_on_a_server_names_an_asset_elsewhere(server, tmp_path, product) -> None:
    server.answers["/p.zip"] = answer(product)
    elsewhere = {"product": {"href": f"{server.address}/p.zip"}, "near": {"href": "../p.zip"}}
    server.answers["/items/x"] = answer(json.dumps({"assets": elsewhere}).encode())
    (tmp_path / "item.json").write_text(json.dumps({"assets": elsewhere}))
    for source, asset in ((f"{server.address}/items/x", "near"), (f"{tmp_path}/item.json", None)):
        options = {} if asset is None else {"asset": asset}
        assert acquire(source=source, out=tmp_path / "o", **options).read_bytes() == product


def test_redirects_keep_to_the_web_and_keep_logins_to_their_host(server, tmp_path, product) -> None:
    port = urlsplit(server.address).port
    server.answers["/x"] = answer(product)
    server.answers["/same"] = answer(b"", status=302, Location="/x")
    server.answers["/other"] = answer(b"", status=302, Location=f"http://localhost:{port}/x")
    for path, sent in (("same", True), ("other", False)):
        server.requests.clear()
        source = f"http://me:s3%40cret@127.0.0.1:{port}/{path}"
        acquire(source=source, out=tmp_path / "o.zip")
        first, second = server.requests
        assert first["Authorization"] == "Basic bWU6czNAY3JldA=="
        assert ("Authorization" in second) == sent
    for target in ("ftp://127.0.0.1/x", "file:///etc/hostname"):
        server.answers["/away"] = answer(b"", status=302, Location=target)
        refused(tmp_path, f"{server.address}/away", "can't be fetched")


@pytest.mark.parametrize("ending", ["x.zip?token=s3cret", "x.zip?a=1#s3cret", "none?sig=s3cret"])
def test_secrets_are_never_shown(server, tmp_path, product, capsys, caplog, ending) -> None:
    server.answers |= {"/x.zip": answer(product), "/none": answer(PAGE, status=403)}
    source = f"{server.address}/{ending}".replace("//", "//me:s3cret@")
    caplog.set_level(logging.DEBUG)
    main(["acquire", "--source", source, "--out", str(tmp_path / "o.zip")])
    shown = capsys.readouterr()
    assert "s3cret" not in shown.out + shown.err + caplog.text
    assert server.requests


def test_redaction() -> None:
    assert redact("https://me:pw@host:8/a/b.zip?token=1#2") == "https://host:8/a/b.zip"
    assert redact("https://me:p@w@host/a@b") == "https://host/a@b"
    assert redact("https://host?token=1") == "https://host"
    assert redact("data/a?b#c.zip") == "data/a?b#c.zip"


def test_a_full_disk_leaves_nothing(tmp_path, product, monkeypatch) -> None:
    (tmp_path / "x").write_bytes(product)
    monkeypatch.setattr("floodloom.acquire.fetch.require_product", _full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        acquire(source=str(tmp_path / "x"), out=tmp_path / "out" / "x.zip")
    assert caught.value.filename == str(tmp_path / "out" / "x.zip")
    assert not list((tmp_path / "out").iterdir())
    assert shutil.disk_usage(tmp_path).free > 0


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")
