"""What failed in a run, a line each: noted by the jobs, listed when the run has ended."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

_SUFFIX = ".failed"
_BEGUN = ".begun"
LISTED = "failures.txt"
"""In the folder of a run's results, while something of it has failed."""
FETCHED = "resources/logs"
"""Logs of what is fetched for several runs, from the folder that holds `results`."""
_SIGNAL = re.compile(r"died with <Signals\.(SIG\w+): \d+>")


def subject_of(job: Any) -> str:
    """Return the stage of Snakemake's script object, and what it works on."""
    return " ".join([job.rule, *map(str, job.wildcards)])


def note_begin(log: Path, subject: str) -> None:
    """Note beside a job's log that it has begun, and forget what failed in an earlier attempt."""
    with suppress(OSError):  # the job itself states why, when it can't write its log
        forget_failure(log)
        log.with_suffix(_BEGUN).write_text(f"{subject}\n", encoding="utf-8", errors="replace")


def note_failure(log: Path, line: str) -> None:
    """Note beside a job's log in one line what failed and why."""
    forget_failure(log)
    log.with_suffix(_SUFFIX).write_text(f"{line}\n", encoding="utf-8", errors="replace")


def forget_failure(log: Path) -> None:
    """Forget what failed in an earlier attempt of a job, and that it has begun."""
    for suffix in (_SUFFIX, _BEGUN):
        log.with_suffix(suffix).unlink(missing_ok=True)


def forget_begun(run: Path, names: Collection[str] = ()) -> None:
    """Forget, before a run, which jobs of one that was killed had begun.

    Parameters
    ----------
    run, names
        As for `list_failures`.
    """
    for mark in _noted(run, names, _BEGUN):
        mark.unlink(missing_ok=True)


def list_failures(
    run: Path, names: Collection[str] = (), *, snakemake_logs: Iterable[str] | None = None
) -> str:
    """Write what has failed into the folder of a run that has ended, and return it.

    Parameters
    ----------
    run
        Folder of a run's results.
    names
        Scenes and events of the run: what is fetched for them is shared with other runs.
    snakemake_logs
        Snakemake's logs of a run in which a job failed, if it keeps any: they state the signals
        that ended jobs.

    Returns
    -------
    str
        What hasn't been shown yet: a line for each job that was killed, and if several failed, how
        many and a line for each; empty where one did, of which the run has shown the reason, or all
        have been made since.
    """
    killed = _note_killed(_noted(run, names, _BEGUN), _texts(snakemake_logs))
    listed = run / LISTED
    noted = _noted(run, names, _SUFFIX)
    if not noted:
        listed.unlink(missing_ok=True)
        return ""
    lines = [_read(note) or f"{_named_by(note)} failed; log: {_log_of(note)}" for note in noted]
    with suppress(OSError):  # a full disk
        run.mkdir(parents=True, exist_ok=True)
        listed.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if len(lines) > 1:
        killed += [f"floodloom: {len(lines)} jobs failed, also listed in {listed}:", *lines]
    return "\n".join(killed)


def _noted(run: Path, names: Collection[str], suffix: str) -> list[Path]:
    """Find the notes of a run's jobs, and of those that fetch something for it."""
    fetched = (run.parents[1] / FETCHED).rglob(f"*{suffix}")
    found = (run / "logs").rglob(f"*{suffix}")
    return sorted([note for note in fetched if note.stem in names]) + sorted(found)


def _log_of(note: Path) -> Path:
    return note.with_suffix(".log")


def _named_by(note: Path) -> str:
    """Name a job by its log, where a full disk took no text."""
    return f"{note.parent.name} {note.stem}"


def _read(note: Path) -> str:
    return note.read_text(encoding="utf-8", errors="replace").strip()


def _texts(files: Iterable[str] | None) -> str:
    found = [Path(file) for file in files or () if Path(file).is_file()]
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in found)


def _note_killed(marks: list[Path], snakemake_text: str) -> list[str]:
    """Note the failure of jobs that have begun and noted no end."""
    lines = []
    for mark in marks:
        subject = _read(mark) or _named_by(mark)
        line = f"{subject} failed: {_reason(snakemake_text)}; log: {_log_of(mark)}"
        with suppress(OSError):
            note_failure(_log_of(mark), line)
        lines.append(f"floodloom: {line}")
    return lines


def _reason(snakemake_text: str) -> str:
    """Why a job may have ended without an error of its own."""
    signals = sorted(set(_SIGNAL.findall(snakemake_text)))
    how = f"ended by {' or '.join(signals)}" if signals else "ended from outside"
    if signals and "SIGKILL" not in signals:
        return f"{how}, a fault of a library or of the machine; try again, with FLOODLOOM_DEBUG=1"
    return f"{how}, often for want of memory; run fewer jobs at once, or give it more memory"
