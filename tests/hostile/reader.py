"""What a reader of given files is to fuzzing: valid files, mutations of them, and how it is read.

Both kinds of fuzzing, that of properties (`test_fuzz.py`) and that by coverage
(`fuzz_coverage.py`), go through the one list that the modules `readers_*` make here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unicodedata import category

import numpy as np
from hypothesis import strategies as st

from floodloom.errors import FloodloomError, one_line

from .harness import Trial
from .mutations import Mutation, mutated

LONGEST = 1000
"""Characters that a line of refusal may have."""


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of file that users give.

    Attributes
    ----------
    seeds
        Small valid files.
    read
        Reads a file of this content, and checks what its caller relies on of the result. It may
        raise a FloodloomError and nothing else.
    mutations
        Sets of mutations, of which one is taken at a time.
    is_slow
        Whether a test takes a quarter of the usual number of examples.
    """

    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    mutations: tuple[tuple[Mutation, ...], ...]
    is_slow: bool = False

    @property
    def examples(self) -> st.SearchStrategy[bytes]:
        """Mutations of the seeds, for property-based tests."""
        return st.one_of([mutated(seed, kind) for seed in self.seeds for kind in self.mutations])


Maker = Callable[[Trial], Reader]
READERS: dict[str, Maker] = {}
"""All readers by their names."""


def reader(name: str) -> Callable[[Maker], Maker]:
    """Add a reader to the list; the function is given a folder of the reader's own."""

    def add(make: Maker) -> Maker:
        if name in READERS:
            raise ValueError(f"{name}: two readers of this name")
        READERS[name] = make
        return make

    return add


def refused(read: Callable[[bytes], object], content: bytes) -> bool:
    """Read a file; whether it is refused in one line. Nothing else may be raised."""
    try:
        read(content)
    except FloodloomError as error:
        line = one_line(error)
        # Spaces of any width are shown as they are.
        assert all(one.isprintable() or category(one) == "Zs" for one in line), ascii(line)
        assert 0 < len(line) <= LONGEST, line
        return True
    return False


def names(place: Trial) -> list[str]:
    """Return what lies in a reader's folder, of which reading may change nothing."""
    return sorted(str(path) for path in place.folder.rglob("*"))


def require_finite(*numbers: Any) -> None:
    """Check that arrays and numbers are finite."""
    for value in numbers:
        assert np.isfinite(np.asarray(value, dtype=float)).all()
