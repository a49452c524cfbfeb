"""Whether the files and addresses that a configuration names are there, or may be fetched."""

from __future__ import annotations

import re
from pathlib import Path

from floodloom.acquire.bucket import in_bucket, parts_of
from floodloom.errors import ConfigError, InputError
from floodloom.texts import is_address, redact

_WILDCARD = re.compile(r"\{\s*\w+\s*(,[^{}]*)?\}")


def require_web(source: str, where: str) -> None:
    """Refuse addresses that aren't fetched; ConfigError that begins with `where`."""
    if not source.isprintable():
        raise ConfigError(f"{where} {redact(source)}: signs that can't be seen; take them out")
    if in_bucket(source):
        try:
            parts_of(source)
        except InputError as error:
            raise ConfigError(f"{where} {error}") from None
    elif not source.lower().startswith(("http://", "https://")):
        raise ConfigError(
            f"{where} {redact(source)}: only http, https and s3 are fetched; give such an "
            "address, or the path of a file"
        )


def require_item(source: str, folder: Path, where: str) -> None:
    """Refuse STAC items that aren't there, and addresses with what opens them.

    Snakemake records settings. Raises ConfigError that begins with `where`.
    """
    if not is_address(source):
        require_path(source, folder, where)
        return
    require_web(source, where)
    if redact(source) != source:
        raise ConfigError(
            f"{where} {redact(source)}: with a login or a query, which may be secret; give an "
            "address without, and the login in the environment or netrc"
        )


def require_path(path: str, folder: Path, where: str) -> None:
    """Refuse a path that isn't there, or that Snakemake misreads; ConfigError as above."""
    try:
        found = (folder / path).exists()
    except (OSError, ValueError):  # a name that no file system takes
        found = False
    if not found:
        raise ConfigError(f"{where} {path} not found; check the path")
    if _WILDCARD.search(path):
        raise ConfigError(
            f"{where} {path}: Snakemake takes what stands in braces for a wildcard; rename it, or "
            "give a link to it"
        )
