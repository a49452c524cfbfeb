"""Workers on other machines, by dask.distributed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import dask

from floodloom.errors import ConfigError, FloodloomError

if TYPE_CHECKING:
    from distributed import Client

_CONNECTING = "distributed.comm.timeouts.connect"


class ClusterError(FloodloomError):
    """A cluster went away while a stage computed on it."""


@contextmanager
def cluster_workers(address: str) -> Iterator[None]:
    """Compute dask's graphs by the workers of a scheduler while the context is open.

    Parameters
    ----------
    address
        The scheduler's, such as tcp://10.0.0.1:8786.

    Raises
    ------
    ConfigError
        If nothing answers there within `distributed.comm.timeouts.connect` of dask's own
        configuration, it has no workers by then, one of them doesn't see the files of this folder,
        or dask.distributed isn't installed.
    ClusterError
        If the scheduler goes away meanwhile, or takes workers with it.
    """
    try:
        from distributed import CancelledError, Client, KilledWorker
    except ImportError as error:
        raise ConfigError(
            f"dask.scheduler: {address} needs dask.distributed; pip install 'floodloom[cluster]'"
        ) from error
    try:
        client = Client(address)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"dask.scheduler: nothing answers at {address} ({error}); start it or use threads"
        ) from error
    with client:
        _require_workers(client, address)
        try:
            yield
        except CancelledError as error:
            raise ClusterError(
                f"dask.scheduler: {address} went away; start it again, then this run"
            ) from error
        except KilledWorker as error:
            raise ClusterError(
                f"dask.scheduler: workers of {address} died again and again of the same block; "
                "give them more memory"
            ) from error


def _require_workers(client: Client, address: str) -> None:
    """Raise ConfigError unless there are workers, all of which see the files of this folder."""
    limit = dask.config.get(_CONNECTING)
    try:
        client.wait_for_workers(1, timeout=limit)
    except TimeoutError as error:
        raise ConfigError(
            f"dask.scheduler: {address} has no workers after {limit}; start some"
        ) from error
    with NamedTemporaryFile(dir=".", prefix=".floodloom-") as probe:
        name = Path(probe.name).name
        seen = client.run(os.path.exists, name, on_error="return")
    blind = sorted(worker for worker, sees in seen.items() if sees is False)
    if blind:
        raise ConfigError(
            f"dask.scheduler: worker {blind[0]} doesn't see the files of {Path.cwd()}; start "
            "workers in that folder, on a file system that all machines share"
        )
