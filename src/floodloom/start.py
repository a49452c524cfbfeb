"""How a process starts: with thousands of modules, which stay until it ends."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Keep the garbage collector away from what is imported while the context is open.

    It would walk through the modules again and again while more of them come, during the work, and
    when the process ends, and find nothing: a quarter of the time that a stage takes to start.
    """
    known, collecting = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if collecting:
            gc.enable()
