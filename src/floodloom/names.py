"""Names that become files and folders: events, scenes, items of catalogues; and digests."""

from __future__ import annotations

import re

from floodloom.errors import FloodloomError, InputError
from floodloom.texts import brief

LONGEST = 100
PATTERN = rf"[^\W_](?:[\w .,+%()'&-]{{0,{LONGEST - 2}}}[\w+%()'&-])?"
"""A name: letters and digits of any script, and what else is harmless in a path, table and page.
It begins with a letter or digit; it doesn't end in a dot or a space, which some systems drop."""

_NAME = re.compile(PATTERN)
_OTHERS = re.compile(r"[^\w .,+%()'&-]+")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_LONGEST_BYTES = 200  # file systems take 255, with what is put before and after
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_OURS = re.compile(r"pseudo-\d+", re.IGNORECASE)
"""Tile stores of the rounds of relabelling lie beside those of the events."""


def require_name(name: str, what: str, error: type[FloodloomError] = InputError) -> str:
    """Return a name if a file may have it.

    Parameters
    ----------
    name
        Name of an event, a scene or an item.
    what
        What it names, and where it stands, for the message.
    error
        Kind of the error.

    Raises
    ------
    FloodloomError
        Of that kind: one line that states what a name is made of.
    """
    if not _NAME.fullmatch(name):
        raise error(
            f"{what} {brief(name)} is no name; take at most {LONGEST} letters, digits, spaces and "
            "any of . _ - , + % ( ) ' &, first a letter or digit, last no space or dot"
        )
    if len(name.encode()) > _LONGEST_BYTES:
        raise error(f"{what} {brief(name)} is too long for the name of a file; take a shorter one")
    if _DEVICE.fullmatch(name) or _OURS.fullmatch(name):
        raise error(f"{what} {brief(name)} has a meaning of its own as a name; take another")
    return name


def require_events(*names: str) -> None:
    """Check the names of events that a stage was given; an empty one stands for none.

    Raises
    ------
    InputError
        For the first that is no name.
    """
    for name in filter(None, names):
        require_name(name, "event")


def require_sha256(text: str, what: str, error: type[FloodloomError] = InputError) -> None:
    """Check that a text is a SHA-256 digest, hexadecimal.

    Parameters
    ----------
    text, what, error
        As for `require_name`.

    Raises
    ------
    FloodloomError
        Of that kind.
    """
    if not _SHA256.fullmatch(text):
        raise error(f"{what} {brief(text)} is no digest; give its 64 hexadecimal digits")


def as_name(text: str) -> str:
    """Return a name that is like a text, such as that of a folder that someone else has chosen."""
    made = _OTHERS.sub("-", text)[:LONGEST].encode()[:_LONGEST_BYTES].decode(errors="ignore")
    made = re.sub(r"^[\W_]+|[ .]+$", "", made)
    try:
        return require_name(made, "")
    except InputError:
        return f"map {made}".rstrip()
