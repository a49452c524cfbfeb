"""What Snakemake works out for each job, though once is enough."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import snakemake.common as snakemake_common
import snakemake.rules as snakemake_rules
import snakemake.script as snakemake_script

_FUNCTIONS = 4096
"""Functions whose parameters are known: a run has some hundred."""


def know_parameters() -> None:
    """Let Snakemake look up what a function takes before its first call alone."""
    find = snakemake_common.get_function_params
    if hasattr(find, "cache_info"):
        return
    known = lru_cache(maxsize=_FUNCTIONS)(find)
    for module in (snakemake_common, snakemake_rules):
        module.get_function_params = known


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
