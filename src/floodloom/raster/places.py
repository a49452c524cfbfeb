"""Coordinate transformations, kept for the next block: making one takes longer than using it."""

from __future__ import annotations

import threading
from functools import lru_cache

from pyproj import Transformer

_OF_THREAD = threading.local()


def transformer(source: str, target: str) -> Transformer:
    """Return the transformation between two reference systems, x before y.

    Parameters
    ----------
    source, target
        Anything that PROJ understands.

    Returns
    -------
    Transformer
        This thread's own: transformers aren't shared between threads.
    """
    made = getattr(_OF_THREAD, "made", None)
    if made is None:
        made = _OF_THREAD.made = lru_cache(maxsize=16)(_make)
    found: Transformer = made(source, target)
    return found


def _make(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)
