"""How far a run of the workflow is, by what Snakemake reports of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from floodloom.log import get_logger
from floodloom.texts import printable

_STARTED = re.compile(r"(?:local)?rule (\w+):$")
_FINISHED = re.compile(r"Finished jobid: \d+ \(Rule: (\w+)\)$")
_STEPS = re.compile(r"(\d+) of (\d+) steps \(")
_FAILED = re.compile(r"Error in rule \w+")
_TIME = re.compile(r"\[\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\]$")
_OWN = "floodloom: "
_ERROR = re.compile(r"[\w.]*(Error|Exception): .|.*\[Errno \d+\]")
_NAMED = re.compile(rf"{_OWN}(\d+ jobs failed, |\d+ events are mapped: |.* failed: )")
_CHATTER = re.compile(
    r"$|\s|-+|Assuming |Building DAG|Complete log|Conda environments|Elapsed time|Execute \d+ jobs"
    r"|Job stats|Provided |Rules claiming|Select jobs|Using |job +count|[\w-]+ +\d+$"
    r"|(Rule|Workflow)(Exception|Error):$|CalledProcessError in file |At least one job did not "
    r"|Command '.*' (died with <|returned non-zero)"
)


def follow(lines: Iterable[str], console: Console | None = None) -> str:
    """Show what is running and how much of the run is done.

    At a terminal a bar has the stages at work, the jobs that are done and the time that is left;
    elsewhere a log line reports each job when it is done. What isn't progress, such as the reason
    why a job failed, is shown as it is.

    Parameters
    ----------
    lines
        Standard error of Snakemake and of its jobs, of which `--quiet` leaves out neither rules
        nor progress.
    console
        Where to show it; standard error by default.

    Returns
    -------
    str
        What failed: the first line of floodloom's own, else the last error of Snakemake's; empty
        where there is none.
    """
    shown = console or Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=shown, transient=True, disable=not shown.is_terminal,
    ) as bar:  # fmt: skip
        run = _Run(bar)
        for line in lines:
            run.read(line.rstrip("\n"))
    return run.failure or run.error


class _Run:
    """What is known of a run after each line."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=None)
        self._running: Counter[str] = Counter()
        self._last = ""
        self.failure = self.error = ""
        self._explains_failure = False

    def read(self, line: str) -> None:
        if not self.failure and line.startswith(_OWN):
            self.failure = line.removeprefix(_OWN)
        if _ERROR.match(line):
            self.error = printable(line)
        if _NAMED.match(line):  # what failed, when the run has ended
            self._explains_failure = False
        if self._explains_failure and not _TIME.match(line):
            return  # the job itself has written it in one line
        self._explains_failure = bool(_FAILED.match(line))
        if started := _STARTED.match(line):
            self._running[started[1]] += 1
        elif finished := _FINISHED.match(line):
            self._last = finished[1]
            self._running -= Counter([self._last])
        elif steps := _STEPS.match(line):
            self._advance(int(steps[1]), int(steps[2]))
        elif not self._explains_failure and not _TIME.match(line) and not _CHATTER.match(line):
            self._bar.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
        if self._running:
            self._bar.update(self._task, description=", ".join(self._running))

    def _advance(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)
        if self._bar.disable:
            get_logger(__name__).info("%s: %d of %d jobs done", self._last, done, total)
