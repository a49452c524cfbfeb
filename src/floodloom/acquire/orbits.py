"""Orbit files that are published: where they are listed, and what is there.

Sources: ASF, Sentinel-1 Precise Orbit Determination products, bucket s1-orbits of the Registry of
Open Data on AWS; Amazon S3, ListObjectsV2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote, urljoin

from floodloom.acquire.catalogues import file_name
from floodloom.acquire.item import read_text
from floodloom.acquire.web import SCHEMES
from floodloom.errors import InputError
from floodloom.texts import redact

KINDS = ("POEORB", "RESORB")
"""Precise orbits, 20 days later, within 1 cm; restituted ones, three hours later, within 5 cm."""
LISTING = "FLOODLOOM_ORBIT_LISTING"
"""Variable with the address of another listing, such as that of a mirror: a page on which the names
of orbit files stand, with {kind} (POEORB, RESORB), {mission} (S1A) and {day} (20230514) where its
address has them."""
_OF_ASF = (
    "https://s1-orbits.s3.us-west-2.amazonaws.com/?list-type=2"
    "&prefix=AUX_{kind}/{mission}_OPER_AUX_{kind}_OPOD_"
    "&start-after=AUX_{kind}/{mission}_OPER_AUX_{kind}_OPOD_{day}"
)
"""Names there begin with when a file was made, which is after the day that it covers."""
_NEXT = re.compile(r"<NextContinuationToken>([^<]{1,2000})</NextContinuationToken>")
_MOST_PAGES = 50
_WEB = tuple(f"{scheme}://" for scheme in SCHEMES)
_NAME = r"[^\s\"'<>=]*{mission}_OPER_AUX_{kind}_[A-Za-z0-9_]+\.EOF(?:\.zip)?(?![\w.])"


def listed_orbits(kind: str, mission: str, day: str) -> dict[str, str]:
    """Look up which orbit files are published.

    Parameters
    ----------
    kind
        One of `KINDS`.
    mission
        Such as S1A.
    day
        Day that they are to cover, such as 20230514; files that were made before may be left out.

    Returns
    -------
    dict
        Addresses by name.

    Raises
    ------
    InputError
        If the listing can't be read.
    """
    facts = {"kind": kind, "mission": mission, "day": day}
    listing = _address(facts)
    pattern = re.compile(_NAME.format(**facts), re.IGNORECASE)
    found: dict[str, str] = {}
    for text in _pages(listing):
        for place in pattern.findall(text):
            try:
                address = urljoin(listing, unescape(place))
                name = file_name(address)
            except ValueError:  # brackets that hold no address
                continue
            if address.lower().startswith(_WEB) and address.isprintable():
                found.setdefault(name, address)
    return found


def _address(facts: dict[str, str]) -> str:
    template = os.environ.get(LISTING) or _OF_ASF
    try:
        return template.format(**facts)
    except (LookupError, ValueError) as error:
        raise InputError(
            f"{LISTING}: {redact(template)}: not an address with {{kind}}, {{mission}} and {{day}} "
            "alone in braces; correct it"
        ) from error


def _pages(listing: str) -> Iterator[str]:
    """Yield the text of each page of a listing: a bucket has a thousand files on one."""
    address = listing
    for _ in range(_MOST_PAGES):
        text = read_text(address, "a listing of orbit files; give another one").decode(
            "utf-8", "replace"
        )
        yield text
        following = _NEXT.search(text)
        if following is None:
            return
        address = f"{listing}&continuation-token={quote(unescape(following[1]), safe='')}"
