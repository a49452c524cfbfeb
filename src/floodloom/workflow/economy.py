"""What Snakemake would do anew for each of thousands of jobs, done once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import snakemake.script as snakemake_script

Function = TypeVar("Function", bound=Callable[..., Any])


def with_signature(function: Function) -> Function:
    """Return a function that states its signature, which Snakemake asks for before each call."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


def read_scripts_once() -> None:
    """Let Snakemake read the script of a rule for the first of its jobs alone."""
    read = snakemake_script.get_source
    if hasattr(read, "floodloom_known"):
        return
    known: dict[tuple[str, str], Any] = {}

    def get_source(path: Any, sourcecache: Any, basedir: Any = None, *of_job: Any) -> Any:
        if "{" in str(path):  # another script for each job
            return read(path, sourcecache, basedir, *of_job)
        key = (str(path), basedir.get_path_or_uri(secret_free=True) if basedir else "")
        if key not in known:
            known[key] = read(path, sourcecache, basedir, *of_job)
        return known[key]

    get_source.floodloom_known = known  # type: ignore[attr-defined]
    snakemake_script.get_source = get_source
