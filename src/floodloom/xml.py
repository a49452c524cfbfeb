"""XML of others, read safely."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from floodloom.errors import InputError, library_text

LARGEST = 16 << 20
"""Bytes; precise orbits take 5 million, annotations less than 4. In memory they take 50 times as
much."""


def parse(content: bytes, source: str) -> ET.Element:
    """Parse an XML file.

    Parameters
    ----------
    content
        The file.
    source
        Its name, for messages.

    Raises
    ------
    InputError
        If it is damaged, larger than any such file, or has a document type.
    """
    if len(content) > LARGEST:
        raise InputError(
            f"{source}: XML of {len(content) / 1e6:.0f} MB, but such a file has at most "
            f"{LARGEST / 1e6:.0f}; fetch it again"
        )
    if b"\0" in content[:4] or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{source}: XML in UTF-16; these files are UTF-8, fetch it again")
    if b"<!DOCTYPE" in content:
        raise InputError(
            f"{source}: XML with a document type, which no such file has; don't use it"
        )
    try:
        return ET.fromstring(content)
    except (ET.ParseError, LookupError, ValueError) as error:  # of unknown encodings
        raise InputError(f"{source} is damaged ({library_text(error)}); fetch it again") from error
