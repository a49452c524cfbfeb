"""Two results change places in one step, so that nobody ever finds neither."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_HERE = -100  # AT_FDCWD: paths start from the working directory
_EXCHANGE = 2  # RENAME_EXCHANGE, linux/fs.h


def swap(one: Path, other: Path) -> None:
    """Let two files, or two directories, of one file system change places.

    Where the system can't do that in one step, a directory `other` is put aside first: a kill in
    between leaves it beside its place, under the name of `one` with the ending .old. A file is in
    its place at any time even so.
    """
    library = ctypes.CDLL(None, use_errno=True)
    exchange = getattr(library, "renameat2", None)
    if exchange is not None:
        names = os.fsencode(one), os.fsencode(other)
        if exchange(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0:
            return
    aside = one.with_name(f"{one.name}.old")
    if other.is_dir():
        other.rename(aside)
    else:
        os.link(other, aside, follow_symlinks=False)
    one.replace(other)
    aside.rename(one)
