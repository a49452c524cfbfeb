"""Mutations of valid files, for property-based tests: of bytes, of numbers, and of structure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[Any], Any]
Mutation = Callable[[Draw, bytes], bytes]

NUMBERS = (
    "nan", "inf", "-inf", "-1", "0", "-0.0", "1e400", "1e-320", "1e30", "9" * 400, str(2**63),
    str(2**31), "0x10", "1_000", "abc", "", "٣", "1,5", "1e", "--1",
)  # fmt: skip
"""What may stand where a number is meant."""
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_LEAF = re.compile(rb"<([\w:]+)[^<>]*>([^<>]*)</\1>")
_SIGNS = ("\x00", "\n", "\x1b[2J", "\u202e", "{x}", "../", "\ud7ff", "💧", "<!DOCTYPE a>", "&e;")


def _place(draw: Draw, content: bytes) -> int:
    return int(draw(st.integers(0, max(len(content) - 1, 0))))


def flip(draw: Draw, content: bytes) -> bytes:
    """Change a bit."""
    changed = bytearray(content or b"\0")
    changed[_place(draw, bytes(changed))] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def truncate(draw: Draw, content: bytes) -> bytes:
    """Cut the end off."""
    return content[: _place(draw, content)]


def delete(draw: Draw, content: bytes) -> bytes:
    """Take a range out."""
    start = _place(draw, content)
    return content[:start] + content[start + draw(st.integers(1, 200)) :]


def insert(draw: Draw, content: bytes) -> bytes:
    """Put bytes in between."""
    start = _place(draw, content)
    return content[:start] + draw(st.binary(min_size=1, max_size=20)) + content[start:]


def repeat(draw: Draw, content: bytes) -> bytes:
    """Say a range twice."""
    start = _place(draw, content)
    end = start + draw(st.integers(1, 400))
    return content[:end] + content[start:]


def overwrite(draw: Draw, content: bytes) -> bytes:
    """Write over a range: zeros, ones, or a whole number in either order of bytes."""
    start = _place(draw, content)
    number = draw(st.sampled_from([0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**63 - 1]))
    order = draw(st.sampled_from(["little", "big"]))
    new = number.to_bytes(8, order)[-draw(st.sampled_from([1, 2, 4, 8])) :]
    return content[:start] + new + content[start + len(new) :]


def number(draw: Draw, content: bytes) -> bytes:
    """Put something else where a number stands in a text."""
    found = list(_NUMBER.finditer(content))
    if not found:
        return content
    where = draw(st.sampled_from(found))
    new = draw(st.sampled_from(NUMBERS)).encode()
    return content[: where.start()] + new + content[where.end() :]


def sign(draw: Draw, content: bytes) -> bytes:
    """Put a sign that means something to somebody into a text."""
    start = _place(draw, content)
    return content[:start] + draw(st.sampled_from(_SIGNS)).encode() + content[start:]


def element(draw: Draw, content: bytes) -> bytes:
    """Remove, double, empty or rename an element of an XML file."""
    found = list(_LEAF.finditer(content))
    if not found:
        return content
    where = draw(st.sampled_from(found))
    name, text = where[1], where[2]
    new = draw(
        st.sampled_from(
            [
                b"",
                where[0] * 2,
                b"<%s/>" % name,
                b"<a>%s</a>" % text,
                b"<%s>%s %s</%s>" % (name, text, text, name),
            ]
        )
    )
    return content[: where.start()] + new + content[where.end() :]


def field(draw: Draw, content: bytes) -> bytes:
    """Change a field, a line or the number of fields of a table."""
    rows = [row.split(b"\t") for row in content.split(b"\n")]
    row = draw(st.sampled_from(rows))
    at = draw(st.integers(0, len(row)))
    row[at : at + draw(st.integers(0, 1))] = [
        draw(st.sampled_from([b"", b'"', b"..", b"a b", b"-"]))
    ]
    return b"\n".join(b"\t".join(row) for row in rows)


BYTES: tuple[Mutation, ...] = (flip, truncate, delete, insert, repeat, overwrite)
TEXT: tuple[Mutation, ...] = (*BYTES, number, number, sign)
XML: tuple[Mutation, ...] = (*TEXT, element, element, element)
MARKUP: tuple[Mutation, ...] = (number, number, element)
"""What leaves an XML file well-formed."""
TABLE: tuple[Mutation, ...] = (*TEXT, field, field, field)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(NUMBERS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
"""What JSON and YAML can hold."""


def mutated(content: bytes, mutations: tuple[Mutation, ...]) -> st.SearchStrategy[bytes]:
    """Mutate a file one to four times."""

    @st.composite
    def make(draw: Draw) -> bytes:
        changed = content
        for _ in range(draw(st.integers(1, 4))):
            changed = draw(st.sampled_from(mutations))(draw, changed)
        return changed

    return make()


def restructured(value: Any) -> st.SearchStrategy[Any]:
    """Replace, add or remove something anywhere in what JSON or YAML holds."""

    @st.composite
    def make(draw: Draw) -> Any:
        changed = json.loads(json.dumps(value))
        for _ in range(draw(st.integers(1, 3))):
            changed = _changed(draw, changed)
        return changed

    return make()


def _changed(draw: Draw, value: Any) -> Any:
    """Go down to somewhere and change what is there."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    how = draw(st.integers(0, 8))
    if how == 0:
        del value[key]
    elif how == 1 and isinstance(value, dict):
        value[draw(st.text(max_size=8))] = draw(VALUES)
    elif how == 1:
        value.append(draw(VALUES))
    else:
        value[key] = _changed(draw, value[key])
    return value
