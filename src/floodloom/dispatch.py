"""From a Snakemake job to the stage function of the same name."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dask
from dask.base import named_schedulers

from floodloom.cluster import cluster_workers
from floodloom.errors import (
    details,
    end_status,
    one_line,
    report_in_one_line,
    unwind_on_signals,
)
from floodloom.files import remove, remove_parts
from floodloom.log import get_logger, set_up_logging
from floodloom.settings import arguments_of
from floodloom.start import importing
from floodloom.workflow.failures import forget_failure, note_failure, subject_of
from floodloom.workflow.lock import FOLDER, end_with_run
from floodloom.workflow.sources import source_of


def run_stage(job: Any) -> int:
    """Run the stage of a job.

    Parameters
    ----------
    job
        Snakemake's script object: rule, wildcards, input, output, params, threads, log, config.

    Returns
    -------
    int
        0, or not after an error, which leaves no output. The error is the last line of the log and
        one line on standard error, which names the stage, what it worked on and the log; its
        traceback is in the log if FLOODLOOM_DEBUG asks for it.
    """
    terminal = os.dup(2)
    report_in_one_line()
    try:
        end_with_run(FOLDER, job.config["run"]["name"])
        _send_output_to(job.log)
        set_up_logging()
        unwind_on_signals()
        for path in job.output:
            remove_parts(Path(path), of_all=True)
        _call_stage(job)
    except Exception as error:
        return _give_up(job, terminal, error, 1)
    except (KeyboardInterrupt, SystemExit) as end:
        return _give_up(job, terminal, end, end_status(end))
    for path in job.log:
        forget_failure(Path(path))
    return 0


def _call_stage(job: Any) -> None:
    with importing():
        stage = getattr(importlib.import_module(f"floodloom.stages.{job.rule}"), job.rule)
    values = {name: value for name, value in job.params.items() if name != "digest"}
    settings = values.pop("settings", {})
    arguments = arguments_of(
        stage, {**_paths(job.input), **_paths(job.output), **settings, **values}
    )
    if job.rule == "acquire":
        arguments["source"] = source_of(job.config, job.wildcards.scene, arguments["source"])
    if "threads" in inspect.signature(stage).parameters:
        arguments["threads"] = job.threads
    with dask_workers(_scheduler(job), job.threads):
        stage(**arguments)


def _give_up(job: Any, terminal: int, error: BaseException, status: int) -> int:
    """Leave no output, which Snakemake would record as made before it removes it."""
    for path in job.output:
        with suppress(OSError):
            remove(Path(path))
    reason = one_line(error)
    text = f"{subject_of(job)} failed: {reason}; log: {', '.join(job.log)}"
    with suppress(OSError):  # a full disk takes no log
        os.write(terminal, f"floodloom: {text}\n".encode(errors="replace"))
        for path in job.log:
            note_failure(Path(path), text)
        sys.stderr.write(details(error))
        get_logger(f"floodloom.{job.rule}").error("%s", reason)
    return status


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
    FloodloomError
        As `floodloom.cluster.cluster_workers` does, where it is an address.
    """
    if "://" not in scheduler:
        # Left to choose, dask imports dask.distributed, where that is installed, to no end.
        local = {"scheduler": named_schedulers[scheduler], "array.rechunk.method": "tasks"}
        with (
            _pool(scheduler, threads) as pool,
            dask.config.set(local, num_workers=threads, pool=pool),
        ):
            yield
        return
    with cluster_workers(scheduler):
        yield


@contextmanager
def _pool(scheduler: str, workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """One pool of processes for a whole job: by itself dask starts one for each computation."""
    if scheduler != "processes":
        yield None
        return
    os.environ.setdefault("PYTHONHASHSEED", "0")  # the same hashes in all of them
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool


def _paths(items: Any) -> dict[str, Path | list[Path]]:
    return {
        name: Path(value) if isinstance(value, str) else [Path(item) for item in value]
        for name, value in items.items()
    }


def _send_output_to(log: Iterable[str]) -> None:
    """Send standard output and error to a log."""
    for path in log:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        sys.stdout.flush()
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
