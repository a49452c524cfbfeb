"""Threads that compute."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import dask
from dask.base import get_scheduler, named_schedulers
from dask.system import CPU_COUNT


@contextmanager
def threads_that_end() -> Iterator[None]:
    """Compute by threads that end here; dask's own write on after one of them has failed."""
    given = dask.config.get("pool", None)
    used = get_scheduler()  # type: ignore[no-untyped-call]
    if given is not None or used not in (None, named_schedulers["threads"]):
        yield
        return
    workers = dask.config.get("num_workers", None) or CPU_COUNT
    with ThreadPoolExecutor(workers) as pool, dask.config.set(pool=pool):
        yield
