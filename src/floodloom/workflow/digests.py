"""The digest of a job: all that its results depend on, down to the sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
