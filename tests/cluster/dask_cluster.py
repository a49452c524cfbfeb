"""A scheduler and workers of dask.distributed as processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

from tests.conftest import REPOSITORY


@dataclass
class DaskCluster:
    """Its processes, and where the scheduler answers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def add_worker(self, name: str, folder: Path, source: Path, before: Sequence[str] = ()) -> None:
        """Start a worker in a folder, with the package of `source`, by the command `before`."""
        self.workers[name] = subprocess.Popen(
            [
                *before, sys.executable, "-m", "distributed.cli.dask_worker", self.address,
                "--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{source}:{REPOSITORY}"},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip


@contextmanager
def dask_cluster(folder: Path, source: Path, workers: int = 2) -> Iterator[DaskCluster]:
    """Run a scheduler and workers, which begin in `folder`, while the context is open."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    scheduler = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(source)},
        stderr=subprocess.DEVNULL,
    )
    cluster = DaskCluster(f"tcp://127.0.0.1:{port}", scheduler)
    try:
        for number in range(workers):
            cluster.add_worker(f"worker-{number}", folder, source)
        with Client(cluster.address, timeout=60, set_as_default=False) as client:
            if workers:
                client.wait_for_workers(workers, timeout=60)
        yield cluster
    finally:
        for process in (*cluster.workers.values(), scheduler):
            process.kill()
            process.wait()
