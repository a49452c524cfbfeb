"""What failed in a run, a line each: noted by the jobs, listed when the run has ended."""

from __future__ import annotations

from pathlib import Path

_SUFFIX = ".failed"
LISTED = "failures.txt"
"""In the folder of a run's results, while something of it has failed."""


def note_failure(log: Path, line: str) -> None:
    """Note beside a job's log in one line what failed and why."""
    log.with_suffix(_SUFFIX).write_text(f"{line}\n", encoding="utf-8", errors="replace")


def forget_failure(log: Path) -> None:
    """Forget what failed in an earlier attempt of a job."""
    log.with_suffix(_SUFFIX).unlink(missing_ok=True)


def list_failures(run: Path) -> str:
    """Write what has failed into the folder of a run, and return it.

    Parameters
    ----------
    run
        Folder of a run's results.

    Returns
    -------
    str
        How many jobs failed, and a line for each; empty where fewer than two did, of which the run
        has shown the reason, or all have been made since.
    """
    listed = run / LISTED
    noted = sorted((run / "logs").rglob(f"*{_SUFFIX}"))
    if not noted:
        listed.unlink(missing_ok=True)
        return ""
    lines = [file.read_text(encoding="utf-8").strip() for file in noted]
    listed.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if len(lines) == 1:
        return ""
    return "\n".join([f"floodloom: {len(lines)} jobs failed, also listed in {listed}:", *lines])
