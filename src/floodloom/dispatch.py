"""From a Snakemake job to the stage function of the same name."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from dask.base import named_schedulers

from floodloom.errors import ConfigError, FloodloomError
from floodloom.log import get_logger, set_up_logging

_CONNECT_S = 20


def run_stage(job: Any) -> int:
    """Run the stage of a job.

    Parameters
    ----------
    job
        Snakemake's script object: rule, input, output, params, threads, log.

    Returns
    -------
    int
        0, or 1 after an error; an error that floodloom raises on purpose is one line in the log.
    """
    _send_output_to(job.log)
    set_up_logging()
    logger = get_logger(f"floodloom.{job.rule}")
    stage = getattr(importlib.import_module(f"floodloom.stages.{job.rule}"), job.rule)
    arguments = {**_paths(job.input), **_paths(job.output), **dict(job.params.items())}
    arguments.pop("digest", None)
    if "threads" in inspect.signature(stage).parameters:
        arguments["threads"] = job.threads
    try:
        with dask_workers(_scheduler(job), job.threads):
            stage(**arguments)
    except FloodloomError as error:
        logger.error("%s", error)
        return 1
    except Exception:
        logger.error("unexpected error\n%s", traceback.format_exc())
        return 1
    return 0


def _scheduler(job: Any) -> str:
    return str((job.config.get("dask") or {}).get("scheduler", "threads"))


@contextmanager
def dask_workers(scheduler: str, threads: int) -> Iterator[None]:
    """Compute dask's graphs by the given workers while the context is open.

    Parameters
    ----------
    scheduler
        threads, processes or synchronous on this machine, or the address of a dask.distributed
        scheduler, such as tcp://10.0.0.1:8786.
    threads
        Workers on this machine.

    Raises
    ------
    ConfigError
        If nothing answers at the address, or dask.distributed isn't installed.
    """
    if "://" not in scheduler:
        # Left to choose, dask imports dask.distributed, where that is installed, to no end.
        local = {"scheduler": named_schedulers[scheduler], "array.rechunk.method": "tasks"}
        with dask.config.set(local, num_workers=threads):
            yield
        return
    try:
        from distributed import Client

        client = Client(scheduler, timeout=_CONNECT_S)  # type: ignore[no-untyped-call]
    except ImportError as error:
        raise ConfigError(
            f"dask.scheduler: {scheduler} needs dask.distributed; pip install 'floodloom[cluster]'"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"dask.scheduler: nothing answers at {scheduler} ({error}); start it or use threads"
        ) from error
    with client:
        yield


def _paths(items: Any) -> dict[str, Path | list[Path]]:
    return {
        name: Path(value) if isinstance(value, str) else [Path(item) for item in value]
        for name, value in items.items()
    }


def _send_output_to(log: Iterable[str]) -> None:
    for path in log:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        sys.stdout.flush()
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
        return
