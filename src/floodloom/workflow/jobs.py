"""What the rules ask about their jobs: inputs, settings and digests."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from snakemake.io import ancient

from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.config.text import check_keys
from floodloom.digest import code_digest, remember_parsed
from floodloom.errors import details, one_line
from floodloom.workflow import inputs as files
from floodloom.workflow.choices import chosen_modules
from floodloom.workflow.digests import Digests, Job, Wildcards
from floodloom.workflow.economy import with_signature
from floodloom.workflow.lock import FOLDER
from floodloom.workflow.plan import Plan
from floodloom.workflow.sources import Sources

OfJob = Callable[[Any], Any]
"""What Snakemake calls with the wildcards of a job."""
_NOT_HASHED = ("digest", "settings")
_CODE = FOLDER / "code.json"
_COLLECT_EVERY = 1_000_000
"""New objects after which cycles are looked for: those of the DAG live as long as it."""


def read_plan(content: Mapping[str, Any], configfiles: Iterable[Any]) -> Plan:
    """Read what a run is made of, or end with one line that names what is wrong with it.

    Parameters
    ----------
    content
        The parsed configuration.
    configfiles
        Where it was read from.

    Returns
    -------
    Plan

    Raises
    ------
    SystemExit
        With status 2.
    """
    paths = [Path(path) for path in configfiles]
    gc.set_threshold(_COLLECT_EVERY)
    try:
        for path in paths:
            check_keys(path)
        config = load_config(content, ", ".join(map(str, paths)) or "config")
        plan = Plan(config, load_scenes(config))
        check_paths(config)
    except Exception as error:
        print(f"{details(error)}floodloom: {one_line(error)}", file=sys.stderr)
        sys.exit(2)
    return plan


def one_of(names: Iterable[str]) -> str:
    """Return a pattern that matches exactly these names, and nothing if there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"


class Jobs:
    """The jobs of a run.

    Parameters
    ----------
    plan
        What the run is made of.
    sources
        Digests of files from outside.
    workflow
        Snakemake's workflow, whose rules define what makes a file and with which parameters. They
        are looked at when the first job is, after all are there.
    """

    def __init__(self, plan: Plan, sources: Sources, workflow: Any) -> None:
        self._plan = plan
        self._sources = sources
        self._workflow = workflow
        remember_parsed(_CODE)
        self._digests = Digests(self._job, self._maker, sources.digest)
        self._files: dict[tuple[str, ...], files.Files] = {}
        self._codes: dict[tuple[str, ...], str] = {}
        self._makers: dict[str, tuple[str, Wildcards] | None] = {}
        self._outputs: list[tuple[str, Any, str]] = []
        self._settings: dict[str, dict[str, Any]] = {}

    def inputs(self, stage: str) -> OfJob:
        """Return what the jobs of a stage read.

        Times don't identify sources, which may be copied or touched: their digests do.
        """

        def of_job(wildcards: Any) -> dict[str, Any]:
            found = self._inputs(stage, dict(wildcards.items()))
            return {name: self._untimed(value) for name, value in found.items()}

        return with_signature(of_job)

    def settings(self, stage: str) -> OfJob:
        """Return the settings of a stage, as a function: a brace in one isn't a wildcard."""
        return with_signature(lambda wildcards: self._settings_of(stage))

    def digest(self, stage: str) -> OfJob:
        """Return what the results of a job depend on, down to the sources.

        Snakemake compares with what it recorded of the outputs that are there, one job at a time,
        and the values of `params` as a set, without their names. A job that failed, an intermediate
        result that was deleted or a setting that another has as well would hide a change; not from
        this digest.
        """
        return with_signature(
            lambda wildcards: self._digests.of_job(stage, dict(wildcards.items()))
        )

    def _inputs(self, stage: str, wildcards: Wildcards) -> files.Files:
        key = (stage, *wildcards.values())
        if key not in self._files:
            self._files[key] = files.inputs(self._plan, stage, wildcards)
        return self._files[key]

    def _settings_of(self, stage: str) -> dict[str, Any]:
        if stage not in self._settings:
            self._settings[stage] = self._plan.settings(stage)
        return self._settings[stage]

    def _untimed(self, value: str | list[str]) -> Any:
        if isinstance(value, list):
            return [self._untimed(path) for path in value]
        return value if self._maker(value) else ancient(value)

    def _job(self, stage: str, wildcards: Wildcards) -> Job:
        """Return what a job is made of: the parameters of its rule, its inputs, and sources."""
        params = self._workflow.get_rule(stage).params
        values = {
            name: value(_Named(wildcards)) if callable(value) else value
            for name, value in params.items()
            if name not in _NOT_HASHED
        }
        plan = self._plan
        beside = files.named_by_settings(plan, stage, wildcards)
        sources = [(str(path), self._sources.digest(path)) for path in beside]
        if files.reads_data_set(plan, stage, wildcards):
            root = str(plan.config.data_root)
            sources.append((root, self._sources.listing(root)))
        return Job(
            self._code(stage, chosen_modules(plan, stage, wildcards)),
            {**self._settings_of(stage), **values},
            self._inputs(stage, wildcards),
            tuple(sources),
        )

    def _code(self, stage: str, chosen: tuple[str, ...]) -> str:
        key = (stage, *chosen)
        if key not in self._codes:
            self._codes[key] = code_digest(stage, chosen)
        return self._codes[key]

    def _maker(self, path: str) -> tuple[str, Wildcards] | None:
        """Return stage and wildcards of what makes a file; None of a source."""
        if path not in self._makers:
            self._makers[path] = self._find_maker(path)
        return self._makers[path]

    def _find_maker(self, path: str) -> tuple[str, Wildcards] | None:
        if not self._outputs:
            self._outputs = [
                (output.constant_prefix(), output, rule.name)
                for rule in self._workflow.rules
                for output in rule.output
            ]
        for prefix, output, stage in self._outputs:
            # Most patterns end here, for less than what it takes to match them.
            if path.startswith(prefix) and (match := output.match(path)):
                return stage, match.groupdict()
        return None


class _Named(dict[str, str]):
    """Wildcards by key and by attribute, as Snakemake gives them."""

    __getattr__ = dict.__getitem__
