"""Two directories change places in one step, so that nobody ever finds neither."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_HERE = -100  # AT_FDCWD: paths start from the working directory
_EXCHANGE = 2  # RENAME_EXCHANGE, linux/fs.h


def swap(one: Path, other: Path) -> None:
    """Let two paths of one file system change places.

    Where the system can't do that in one step, `other` is put aside first: a kill in between leaves
    it beside its place, under the name of `one` with the ending .old.
    """
    library = ctypes.CDLL(None, use_errno=True)
    exchange = getattr(library, "renameat2", None)
    if exchange is not None:
        names = os.fsencode(one), os.fsencode(other)
        if exchange(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0:
            return
    aside = one.with_name(f"{one.name}.old")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
