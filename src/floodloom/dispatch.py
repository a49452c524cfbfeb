"""From a Snakemake job to the stage function of the same name."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dask

from floodloom.errors import FloodloomError
from floodloom.log import get_logger, set_up_logging


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
    arguments.pop("code", None)
    if "threads" in inspect.signature(stage).parameters:
        arguments["threads"] = job.threads
    try:
        with dask.config.set(scheduler="threads", num_workers=job.threads):
            stage(**arguments)
    except FloodloomError as error:
        logger.error("%s", error)
        return 1
    except Exception:
        logger.error("unexpected error\n%s", traceback.format_exc())
        return 1
    return 0


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
