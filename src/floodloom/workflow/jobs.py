"""What a job of the workflow is: its settings, its modules and their digest."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from snakemake.io import ancient, apply_wildcards

from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.config.text import check_keys
from floodloom.digest import code_digest, remember_parsed
from floodloom.errors import details, one_line
from floodloom.settings import of_jobs
from floodloom.workflow import inputs as files
from floodloom.workflow.inputs import reads_data_set
from floodloom.workflow.lock import FOLDER
from floodloom.workflow.plan import Plan
from floodloom.workflow.sources import Sources

_DATA_ALONE = {"preset"}
"""What is chosen, but runs in no job: its values are settings."""


def chosen_modules(plan: Plan, stage: str, wildcards: Mapping[str, str]) -> tuple[str, ...]:
    """Return the modules of what a job chooses by name.

    Parameters
    ----------
    plan
        What the run is made of.
    stage
        Name of the stage.
    wildcards
        Wildcards of the job.

    Returns
    -------
    tuple
        Modules of its losses, architectures, gates and so on, and of the data set that it reads.
        The architectures of checkpoints that it reads are chosen by the jobs that make them.
    """
    section = plan.section(stage)
    found: list[str] = []
    if section is not None:
        keys = plan.keys(stage, type(section).model_fields)
        of_job = {key: wildcards[key] for key in of_jobs(type(section)) & wildcards.keys()}
        found += section.model_copy(update=of_job).modules(*(keys - _DATA_ALONE))
    if reads_data_set(plan, stage, wildcards):
        found += plan.config.modules("dataset")
    return tuple(dict.fromkeys(found))


Wildcards = Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """What a job is made of.

    Attributes
    ----------
    code
        Digest of the code of its stage.
    settings
        Settings by name.
    inputs
        Path, or list of paths, by keyword of the stage.
    sources
        Paths and digests of what it reads beside its inputs.
    """

    code: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str | list[str]] = field(default_factory=dict)
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Digests:
    """Digests of the jobs of a workflow.

    Attributes
    ----------
    job
        Gives the job of a stage for its wildcards.
    maker
        Gives stage and wildcards of what makes a file, or None of a source.
    source
        Gives the digest of a source.
    """

    job: Callable[[str, Wildcards], Job]
    maker: Callable[[str], tuple[str, Wildcards] | None]
    source: Callable[[str], str]
    _known: dict[tuple[str, ...], str] = field(default_factory=dict)

    def of_job(self, stage: str, wildcards: Wildcards) -> str:
        """Hash a job: its code, its settings by name and all that lies above it.

        Parameters
        ----------
        stage
            Name of the stage.
        wildcards
            Wildcards of the job.

        Returns
        -------
        str
            Sixteen hexadecimal digits. They change with the code of any stage before, any setting
            of one, and any source, whether or not what lies between is there.
        """
        key = (stage, *(f"{name}={wildcards[name]}" for name in sorted(wildcards)))
        if key not in self._known:
            self._known[key] = self._hash(stage, wildcards)
        return self._known[key]

    def of_file(self, path: str) -> str:
        """Hash what a file holds: the digest of the job that makes it, or that of the source."""
        made = self.maker(path)
        return self.source(path) if made is None else self.of_job(*made)

    def _hash(self, stage: str, wildcards: Wildcards) -> str:
        job = self.job(stage, wildcards)
        above = {
            name: [(path, self.of_file(path)) for path in _listed(value)]
            for name, value in job.inputs.items()
        }
        parts = [stage, dict(wildcards), job.code, dict(job.settings), above, job.sources]
        # Settings are sorted by name; the order of inputs is a setting of its own.
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


OfJob = Callable[[Any], Any]
"""What Snakemake calls with the wildcards of a job."""
_NOT_HASHED = ("digest", "settings")
_CODE = FOLDER / "code.json"
_FETCHED = "resources"
"""Where results lie that runs have in common."""
_COLLECT_EVERY = 1_000_000
"""New objects after which cycles are looked for: those of the DAG live as long as it."""


def read_plan(content: Mapping[str, Any], configfiles: Collection[Any]) -> Plan:
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


def when_asked_for(paths: list[str]) -> OfJob:
    """Return what gives these inputs, thousands of which cost nothing if the rule doesn't run."""
    return lambda wildcards: paths


def one_of(names: Collection[str]) -> str:
    """Return a pattern that matches exactly these names, and nothing if there is none.

    Snakemake reads the pattern for every file of every job. It is short where names are regular:
    what several begin with stands in it once, and so does what several characters are followed by.
    """
    return _pattern(sorted(set(names))) if names else "(?!)"


def _pattern(names: Sequence[str]) -> str:
    """Return the pattern of names that are sorted and differ; the first may be empty."""
    endings: dict[str, list[str]] = {}
    for first, group in groupby(filter(None, names), key=itemgetter(0)):
        endings.setdefault(_pattern([name[1:] for name in group]), []).append(re.escape(first))

    branches = [
        (firsts[0] if len(firsts) == 1 else f"[{''.join(firsts)}]") + ending
        for ending, firsts in endings.items()
    ]
    ends_here = names[0] == ""
    if len(branches) == 1 and not ends_here:
        return branches[0]
    return f"(?:{'|'.join(branches)})" + "?" * ends_here if branches else ""


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

        return of_job

    def settings(self, stage: str) -> dict[str, Any]:
        """Return the settings of a stage; in a mapping, a brace isn't a wildcard."""
        if stage not in self._settings:
            self._settings[stage] = self._plan.settings(stage)
        return self._settings[stage]

    def digest(self, stage: str) -> OfJob:
        """Return what the results of a job depend on, down to the sources.

        Snakemake compares with what it recorded of the outputs that are there, one job at a time,
        and the values of `params` as a set, without their names. A job that failed, an intermediate
        result that was deleted or a setting that another has as well would hide a change; not from
        this digest. A dry run from nothing has nothing to compare with, and reads no source for it.
        """

        # Of wildcards alone: parameters that depend on outputs aren't compared.
        def of_job(wildcards: Any) -> str:
            if self._plans_from_nothing():
                return ""
            return self._digests.of_job(stage, dict(wildcards.items()))

        return of_job

    def _plans_from_nothing(self) -> bool:
        workflow = self._workflow
        if not workflow.dryrun or workflow.storage_settings.default_storage_provider is not None:
            return False  # what lies in a bucket isn't seen here
        return not any(map(os.path.lexists, (self._plan.folder, _FETCHED)))

    def _inputs(self, stage: str, wildcards: Wildcards) -> files.Files:
        key = (stage, *wildcards.values())
        if key not in self._files:
            self._files[key] = files.inputs(self._plan, stage, wildcards)
        return self._files[key]

    def _untimed(self, value: str | list[str]) -> Any:
        if isinstance(value, list):
            return [self._untimed(path) for path in value]
        return value if self._maker(value) else ancient(value)

    def _job(self, stage: str, wildcards: Wildcards) -> Job:
        """Return what a job is made of: the parameters of its rule, its inputs, and sources."""
        params = self._workflow.get_rule(stage).params
        values = {
            name: _of_job(value, wildcards)
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
            {**self.settings(stage), **values},
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


def _of_job(value: Any, wildcards: Wildcards) -> Any:
    """Return a parameter's value, as Snakemake finds it."""
    if callable(value):
        return value(_Named(wildcards))
    return apply_wildcards(value, wildcards) if isinstance(value, str) else value


class _Named(dict[str, str]):
    """Wildcards by key and by attribute, as Snakemake gives them."""

    __getattr__ = dict.__getitem__
