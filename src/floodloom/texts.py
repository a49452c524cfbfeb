"""Text from outside as it may be shown: without secrets, and with nothing but letters.

Names, tags, messages of libraries and responses of servers end in logs, on terminals, in pages and
in tables. There a line break forges a line, an escape sequence moves the cursor, a sign of
direction reverses what is read, a formula runs, and the address of a download opens it. All that
floodloom shows passes through here on its way out.

Sources: Unicode Standard Annex 9 (bidirectional text); OWASP, CSV Injection; RFC 3986, section 3.2.
"""

from __future__ import annotations

import re
import reprlib
import unicodedata
from typing import Any

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:/+)(.*)", re.DOTALL)
"""A scheme of at least two letters, so that the drives of Windows are paths."""
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s\"<>]*[^\s\"<>)\]}',;:.]")
"""An address in a sentence, without the sign that ends a part of it."""
_HOST = re.compile(r"(\[[^\]@]*\]|[^\[\]@:]*)(:\d*)?")
_FORMULA = re.compile(r"(^|;)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""What begins a formula, in full width too; spreadsheets of half of Europe part cells at ;."""
_LONGEST = 2000  # characters of a line


def is_address(source: str) -> bool:
    """Whether a source is an address and not a path."""
    return _ADDRESS.match(source) is not None


def redact(source: str) -> str:
    """Return an address without what may open it: user, password, query and fragment.

    Parameters
    ----------
    source
        An address, or a path, which is returned as it is. Where an address is written wrongly, so
        that a part of a password may stand in the place of something else, more is left out.
    """
    found = _ADDRESS.match(source)
    if found is None:
        return source
    scheme, rest = found.groups()
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    bare = host.rpartition("@")[2]
    beyond = rest[len(host) :]
    if not _HOST.fullmatch(bare) or (":" in host and "@" not in host and "@" in beyond):
        _, at, bare = rest.rpartition("@")
        return f"{scheme}{re.split(r'[?#]', bare, maxsplit=1)[0] if at else '…'}"
    return f"{scheme}{bare}{re.split(r'[?#]', beyond, maxsplit=1)[0]}"


def printable(text: object) -> str:
    r"""Return a text as it may be shown: one line of visible signs, without secrets.

    Parameters
    ----------
    text
        Any text, or what has one. Line breaks, control characters, signs of direction and half
        surrogates become escapes such as ``\n`` and ``\u202e``; addresses lose what `redact`
        takes from them.
    """
    plain = str(text)
    if "://" in plain:
        plain = _IN_TEXT.sub(lambda found: redact(found[0]), plain)
    if plain.isprintable():
        return plain
    return "".join(letter if _is_visible(letter) else _escape(letter) for letter in plain)


def line(text: object) -> str:
    """Return a text as `printable` does, cut where it is longer than anybody reads."""
    return shorten(printable(text), _LONGEST)


def shorten(text: str, most: int = 80) -> str:
    """Return a text, cut where it has more than some characters."""
    return text if len(text) <= most else f"{text[:most]}…"


def brief(value: Any) -> str:
    """Return a value as Python writes it, cut short, however much it holds and how deep."""
    return printable(_SHORT.repr(value))


def cell(text: object) -> str:
    """Return a text for a table that a spreadsheet may open: printable, and never a formula."""
    plain = printable(text)
    return plain if _is_number(plain) else _FORMULA.sub(r"\1'", plain)


def _is_visible(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Short(reprlib.Repr):
    """What aliases repeat in a parsed text may be written out to more than memory holds."""

    def repr_instance(self, x: Any, level: int) -> str:
        return self.repr_dict(x, level) if isinstance(x, dict) else super().repr_instance(x, level)


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 80, 80, 40
