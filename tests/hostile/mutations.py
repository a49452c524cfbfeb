"""Mutations of valid files: of bytes, of numbers, and of structure.

What is changed, and how, is chosen by Hypothesis in property-based tests, whose failures it then
shortens, and by a generator of random numbers in fuzzing by coverage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Draw = Callable[[Any], Any]


class Choices(Protocol):
    """Where choices come from."""

    def integer(self, low: int, high: int) -> int:
        """Choose a whole number between two, both included."""

    def one_of(self, values: Sequence[T]) -> T:
        """Choose a value of several."""

    def value(self) -> Any:
        """Choose a value that JSON can hold."""

    def text(self) -> str:
        """Choose a short text."""


Mutation = Callable[[Choices, bytes], bytes]


class Drawn:
    """Choices of Hypothesis."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        """Choose a whole number between two, both included."""
        return int(self._draw(st.integers(low, high)))

    def one_of(self, values: Sequence[T]) -> T:
        """Choose a value of several."""
        chosen: T = self._draw(st.sampled_from(values))
        return chosen

    def value(self) -> Any:
        """Choose a value that JSON can hold."""
        return self._draw(VALUES)

    def text(self) -> str:
        """Choose a short text."""
        return str(self._draw(st.text(max_size=8)))


class Randomly:
    """Choices of a generator of random numbers."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def integer(self, low: int, high: int) -> int:
        """Choose a whole number between two, both included."""
        return self._random.randint(low, high)

    def one_of(self, values: Sequence[T]) -> T:
        """Choose a value of several."""
        return self._random.choice(values)

    def value(self) -> Any:
        """Choose a value that JSON can hold."""
        plain = self.one_of([*_PLAIN, *NUMBERS, self.integer(-(2**40), 2**40), self.text()])
        return self.one_of([plain, plain, [plain], {self.text(): plain}, [[plain], plain]])

    def text(self) -> str:
        """Choose a short text."""
        return "".join(self.one_of(_LETTERS) for _ in range(self.integer(0, 8)))


NUMBERS = (
    "nan", "inf", "-inf", "-1", "0", "-0.0", "1e400", "1e-320", "1e30", "9" * 400, str(2**63),
    str(2**31), "0x10", "1_000", "abc", "", "٣", "1,5", "1e", "--1",
)  # fmt: skip
"""What may stand where a number is meant."""
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_LEAF = re.compile(rb"<([\w:]+)[^<>]*>([^<>]*)</\1>")
_PLAIN = (None, True, False, 0, -1, 1e400, -1e400, 1e-320, float("nan"), [], {}, 2**63, 0.5)
_LETTERS = "ab/.:-_ \t\n\0\"'{}<&\u202e\ud7ff💧é0١"
_SIGNS = ("\x00", "\n", "\x1b[2J", "\u202e", "{x}", "../", "\ud7ff", "💧", "<!DOCTYPE a>", "&e;")


def _place(choose: Choices, content: bytes) -> int:
    return choose.integer(0, max(len(content) - 1, 0))


def _found(choose: Choices, content: bytes, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """Find the first match beyond some place, or else the first; long files have thousands."""
    return pattern.search(content, _place(choose, content)) or pattern.search(content)


def flip(choose: Choices, content: bytes) -> bytes:
    """Change a bit."""
    changed = bytearray(content or b"\0")
    changed[_place(choose, bytes(changed))] ^= 1 << choose.integer(0, 7)
    return bytes(changed)


def truncate(choose: Choices, content: bytes) -> bytes:
    """Cut the end off."""
    return content[: _place(choose, content)]


def delete(choose: Choices, content: bytes) -> bytes:
    """Take a range out."""
    start = _place(choose, content)
    return content[:start] + content[start + choose.integer(1, 200) :]


def insert(choose: Choices, content: bytes) -> bytes:
    """Put bytes in between."""
    start = _place(choose, content)
    new = bytes(choose.integer(0, 255) for _ in range(choose.integer(1, 20)))
    return content[:start] + new + content[start:]


def repeat(choose: Choices, content: bytes) -> bytes:
    """Say a range twice."""
    start = _place(choose, content)
    end = start + choose.integer(1, 400)
    return content[:end] + content[start:]


def overwrite(choose: Choices, content: bytes) -> bytes:
    """Write over a range: zeros, ones, or a whole number in either order of bytes."""
    start = _place(choose, content)
    number = choose.one_of([0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**63 - 1])
    order = choose.one_of(["little", "big"])
    new = number.to_bytes(8, order)[-choose.one_of([1, 2, 4, 8]) :]
    return content[:start] + new + content[start + len(new) :]


def number(choose: Choices, content: bytes) -> bytes:
    """Put something else where a number stands in a text."""
    where = _found(choose, content, _NUMBER)
    if where is None:
        return content
    new = choose.one_of(NUMBERS).encode()
    return content[: where.start()] + new + content[where.end() :]


def sign(choose: Choices, content: bytes) -> bytes:
    """Put a sign that means something to somebody into a text."""
    start = _place(choose, content)
    return content[:start] + choose.one_of(_SIGNS).encode() + content[start:]


def element(choose: Choices, content: bytes) -> bytes:
    """Remove, double, empty or rename an element of an XML file."""
    where = _found(choose, content, _LEAF)
    if where is None:
        return content
    name, text = where[1], where[2]
    new = choose.one_of(
        [
            b"",
            where[0] * 2,
            b"<%s/>" % name,
            b"<a>%s</a>" % text,
            b"<%s>%s %s</%s>" % (name, text, text, name),
        ]
    )
    return content[: where.start()] + new + content[where.end() :]


def field(choose: Choices, content: bytes) -> bytes:
    """Change a field, a line or the number of fields of a table."""
    rows = [row.split(b"\t") for row in content.split(b"\n")]
    row = choose.one_of(rows)
    at = choose.integer(0, len(row))
    row[at : at + choose.integer(0, 1)] = [choose.one_of([b"", b'"', b"..", b"a b", b"-"])]
    return b"\n".join(b"\t".join(row) for row in rows)


def structure(choose: Choices, content: bytes) -> bytes:
    """Replace, add or remove something anywhere in what a JSON file holds."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return json.dumps(restructured(choose, value)).encode()


def restructured(choose: Choices, value: Any) -> Any:
    """Go down to somewhere in what JSON holds and change what is there."""
    if not isinstance(value, dict | list) or not value or choose.integer(0, 5) == 0:
        return choose.value()
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = choose.one_of(keys)
    how = choose.integer(0, 8)
    if how == 0:
        del value[key]
    elif how == 1 and isinstance(value, dict):
        value[choose.text()] = choose.value()
    elif how == 1:
        value.append(choose.value())
    else:
        value[key] = restructured(choose, value[key])
    return value


BYTES: tuple[Mutation, ...] = (flip, truncate, delete, insert, repeat, overwrite)
TEXT: tuple[Mutation, ...] = (*BYTES, number, number, sign)
XML: tuple[Mutation, ...] = (*TEXT, element, element, element)
MARKUP: tuple[Mutation, ...] = (number, number, element)
"""What leaves an XML file well-formed."""
JSON: tuple[Mutation, ...] = (structure,)
"""What leaves a JSON file one; together with `TEXT` also what doesn't."""
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
        return mutate(Drawn(draw), content, mutations)

    return make()


def mutate(choose: Choices, content: bytes, mutations: tuple[Mutation, ...]) -> bytes:
    """Mutate a file one to four times."""
    for _ in range(choose.integer(1, 4)):
        content = choose.one_of(mutations)(choose, content)
    return content
