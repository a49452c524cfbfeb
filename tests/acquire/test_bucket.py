"""Addresses of objects, and what signs them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from floodloom.acquire.bucket import parts_of
from floodloom.acquire.signing import signed
from floodloom.errors import InputError


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    names |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)


def test_bucket_and_key() -> None:
    assert parts_of("s3://floods/a/b.zip") == ("floods", "a/b.zip")
    assert parts_of("s3://floods/a/") == ("floods", "a")


@pytest.mark.parametrize(
    "address",
    [
        *("s3://floods", "s3://floods/", "s3://floods/a/../b", "s3://floods/a//b"),
        *("s3://floods//b", "s3:///a", "s3://floods/a\nb"),
        *("s3://me:s3cret@floods/a", "s3://floods/a?s3cret"),
    ],
)
def test_what_is_no_object_is_refused_without_its_secrets(address: str) -> None:
    with pytest.raises(InputError, match="not of the form s3://bucket/key") as caught:
        parts_of(address)
    assert "s3cret" not in str(caught.value)


def test_an_address_is_signed_without_a_request_and_without_the_secret() -> None:
    found = signed("s3://floods/given/after.zip")
    assert urlsplit(found).path == "/floods/given/after.zip"
    assert "X-Amz-Signature=" in found
    assert "s3cret" not in found
