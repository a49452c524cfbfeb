"""What is shown of a run, at a terminal and in a log."""

import io
import logging

import pytest
from rich.console import Console

from floodloom.prepare.progress import follow

RUN = """Assuming unrestricted shared filesystem usage.
Building DAG of jobs...
Provided cores: 2 (use --cores to define parallelism)
Job stats:
job          count
---------  -------
calibrate        2
all              1

Select jobs to execute...
Execute 1 jobs...

[Tue Dec  1 16:56:58 2026]
rule calibrate:
    input: post.SAFE
    output: results/beira/calibrated/after.zarr
    jobid: 3
    wildcards: scene=after
[Tue Dec  1 16:56:59 2026]
Finished jobid: 3 (Rule: calibrate)
1 of 3 steps (33%) done
"""
FAILURE = """[Tue Dec  1 16:57:01 2026]
rule geocode:
    jobid: 2
calibrate before: pre.SAFE: no annotation inside; fetch the product again
RuleException:
CalledProcessError in file "/src/floodloom/workflow/rules/scenes.smk", line 47:
Command 'set -euo pipefail;  python /scripts/tmp1.stage.py' returned non-zero exit status 1.
[Tue Dec  1 16:57:03 2026]
Error in rule geocode:
    jobid: 2
    log: results/beira/logs/geocode/before.log (check log file(s) for error details)
Logfile results/beira/logs/geocode/before.log:
16:57:02 E a line of the log
[Tue Dec  1 16:57:04 2026]
rule predict:
    jobid: 7
"""


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_a_log_has_a_plain_line_for_each_job(stream, caplog) -> None:
    caplog.set_level(logging.INFO)
    follow(RUN.splitlines(), Console(file=stream, force_terminal=False))
    assert caplog.messages == ["calibrate: 1 of 3 jobs done"]
    assert stream.getvalue() == ""


def test_a_terminal_has_the_stage_and_how_much_is_done(stream, caplog) -> None:
    caplog.set_level(logging.INFO)
    console = Console(file=stream, force_terminal=True, width=100)
    follow([*RUN.splitlines(), "rule geocode:"], console)
    assert caplog.messages == []
    assert "geocode" in stream.getvalue()
    assert "1/3" in stream.getvalue()
    assert "Select jobs" not in stream.getvalue()


def test_the_reason_of_a_failure_is_shown_once_and_alone(stream) -> None:
    follow((RUN + FAILURE).splitlines(), Console(file=stream, force_terminal=False))
    assert stream.getvalue() == (
        "calibrate before: pre.SAFE: no annotation inside; fetch the product again\n"
    )


def test_what_could_change_a_terminal_is_shown_as_text(stream) -> None:
    follow(["\x1b[2J[bold]x[/bold]"], Console(file=stream, force_terminal=False))
    assert stream.getvalue() == "\\x1b[2J[bold]x[/bold]\n"


def test_what_is_named_when_the_run_has_ended_is_shown_and_returned(stream) -> None:
    killed = "floodloom: predict a failed: ended by SIGKILL, often for want of memory"
    several = ["floodloom: 2 jobs failed, also listed in failures.txt:", "predict a failed", "b"]
    end = ["WorkflowError:", "At least one job did not complete successfully."]
    lines = [*(RUN + FAILURE).splitlines()[:-3], killed, *several, *end]
    shown = Console(file=stream, force_terminal=False)
    assert follow(lines, shown) == killed.removeprefix("floodloom: ")
    assert stream.getvalue().splitlines()[1:] == [killed, *several]


@pytest.mark.parametrize(
    "lines",
    [
        ("Traceback (most recent call last):", "  File", "OSError: [Errno 28] full", "Call stack:"),
        (
            "WorkflowError:",
            "Error recording ([Errno 28] full)",
            "Shutting down, this might take some time.",
        ),
        ("RuleException:", "OSError in file maps.smk, line 56:", "[Errno 28] full"),
    ],
)
def test_an_error_of_snakemake_itself_is_returned(stream, lines: tuple[str, ...]) -> None:
    said = follow(lines, Console(file=stream, force_terminal=False))
    assert said == next(one for one in lines if "Errno" in one)


def test_what_went_well_has_no_reason(stream) -> None:
    assert follow(RUN.splitlines(), Console(file=stream, force_terminal=False)) == ""
