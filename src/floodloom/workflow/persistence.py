"""What Snakemake remembers of results, corrected: a lock that dies, and nothing without a record.

Snakemake takes a result of which it has no record as current, and the lock of a run that was killed
for that of one that works. Both are mended where Snakemake asks, so that dry runs, its own
options and either kind of record keep their meaning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import snakemake.persistence as snakemake_persistence

from floodloom.errors import one_line
from floodloom.workflow.lock import FOLDER, LockedError, is_owned, owned, owned_runs


def correct_records(run: str) -> None:
    """Let Snakemake lock and judge the results of a run by the rules of this module.

    Parameters
    ----------
    run
        Name of the run.
    """
    records = _records()
    if not hasattr(records, "floodloom_run"):
        _lock_by_owner(records)
        _distrust_without_record(records)
    records.floodloom_run = run


def _records() -> Any:
    """Snakemake's class of records; some releases have a single one."""
    name = "PersistenceBase" if hasattr(snakemake_persistence, "PersistenceBase") else "Persistence"
    return getattr(snakemake_persistence, name)


def _lock_by_owner(records: Any) -> None:
    lock, warn = records.lock, records.lock_warn_only

    @contextmanager
    def lock_by_owner(self: Any) -> Iterator[None]:
        try:
            with owned(FOLDER, self.floodloom_run):
                _remove_stale_locks(self)
                with lock(self):
                    yield
        except LockedError as error:
            print(f"floodloom: {one_line(error)}", file=sys.stderr)
            sys.exit(1)

    @contextmanager
    def warn_of_owner(self: Any) -> Iterator[None]:
        if not is_owned(FOLDER, self.floodloom_run):
            yield
            return
        with warn(self):
            yield

    records.lock, records.lock_warn_only = lock_by_owner, warn_of_owner


def _remove_stale_locks(self: Any) -> None:
    """Remove what runs that were killed have left, but not the lock of another run that works."""
    folder = Path(self.path, "locks")
    if owned_runs(FOLDER) == [self.floodloom_run]:
        self.cleanup_locks()
        folder.mkdir(exist_ok=True)  # made when Snakemake begins, and removed with the locks
        return
    for file in folder.glob("*.lock"):
        if f"results/{self.floodloom_run}/" in file.read_text(encoding="utf-8"):
            file.unlink()


def _distrust_without_record(records: Any) -> None:
    """Count a result of which nothing is recorded as made with other parameters."""
    has, outdated, changed = (
        records.has_metadata,
        records.has_outdated_metadata,
        records.params_changed,
    )

    def has_metadata(self: Any, job: Any) -> bool:
        return bool(_unrecorded(self, job) or has(self, job))

    def has_outdated_metadata(self: Any, job: Any) -> bool:
        return not _unrecorded(self, job) and bool(outdated(self, job))

    def params_changed(self: Any, job: Any, file: Any = None) -> Any:
        files = _unrecorded(self, job)
        if files and file is None:
            now = set(self._params(job))
            return snakemake_persistence.ParamsChange(only_new=now, files=files)
        return changed(self, job, file)

    records.has_metadata = has_metadata
    records.has_outdated_metadata = has_outdated_metadata
    records.params_changed = params_changed


def _unrecorded(self: Any, job: Any) -> set[str]:
    return {str(f) for f in job.output if os.path.lexists(f) and not self.metadata(f)}
