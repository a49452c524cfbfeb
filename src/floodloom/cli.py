"""The command line: one verb per stage, generated from the stage functions."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env
from pydantic import ValidationError
from rich.console import Console

from floodloom import __version__
from floodloom.errors import (
    DEBUG,
    InputError,
    details,
    end_status,
    explain,
    one_line,
    report_in_one_line,
    unwind_on_signals,
)
from floodloom.log import set_up_logging
from floodloom.outputs import Files
from floodloom.settings import Settings
from floodloom.stages import STAGES
from floodloom.start import importing


def _as_given(default: Any) -> str | None:
    """Return a default as it would be given on the command line, None where there is none."""
    if default in (None, "", (), {}):
        return None
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


app = App(
    name="floodloom",
    help="Flood maps from Sentinel-1 scenes. Every stage of the workflow is a command; "
    "`snakemake` runs them all. With --debug an error shows where it came from.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(
        consume_multiple=True, show_env_var=False, negative_iterable=(), show_default=_as_given
    ),
    config=Env("FLOODLOOM_", command=False),
    suppress_keyboard_interrupt=False,
)
for _group in (Settings, Files):  # whose fields are options of their own
    Parameter(name="*")(_group)
for _position, (_stage, _help) in enumerate(STAGES.items()):
    app.command(f"floodloom.stages.{_stage}:{_stage}", name=_stage, help=_help, sort_key=_position)

app.command(
    "floodloom.prepare.commands:map_flood",
    name="map",
    help="Your own scenes: a flood map, its polygons and pages, by one command.",
    sort_key=-2,
)
app.command(
    "floodloom.prepare.commands:init",
    help="Your own scenes: a commented configuration and scene sheet, to edit and run.",
    sort_key=-1,
)
app.command(
    "floodloom.watch.commands:watch",
    help="An area: every new pass of Sentinel-1 is mapped as soon as a catalogue has it.",
    sort_key=-0.5,
)
app.command(
    "floodloom.publish:publish",
    help="A finished run: its products in a bucket, and nothing over those of another run.",
    sort_key=49,
)
app.command(
    "floodloom.stages.combine:combine",
    help="A scene, an optical image, and a network of each trained without pairs: one probability.",
    sort_key=50,
)
app.command(
    "floodloom.stages.annotate:annotate",
    help="Tiles with dense labels: the same with the few that an annotator would have set.",
    sort_key=51,
)


@app.command(sort_key=100)
def models() -> None:
    """List the architectures: parameters, receptive field, multiply-adds and source."""
    from floodloom.models.figures import models_table

    Console().print(models_table())


@app.command(sort_key=100)
def inspect(file: Path) -> None:
    """Show what a store, checkpoint, map or product is and how it was made.

    Parameters
    ----------
    file
        Scene store, tile store, checkpoint, GeoTIFF, GeoPackage or SAFE product.
    """
    from floodloom.inspect import describe

    Console().print(describe(file))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Options may also come from the environment, FLOODLOOM_<OPTION>; threads are all by default. An
    error is one line; --debug, or FLOODLOOM_DEBUG, shows its traceback before.
    """
    set_up_logging()
    unwind_on_signals()
    report_in_one_line()
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in tokens:
        tokens.remove("--debug")
        os.environ[DEBUG] = "1"
    os.environ.setdefault("FLOODLOOM_THREADS", str(os.cpu_count() or 1))
    try:
        with importing():
            command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        command(*bound.args, **bound.kwargs)
    except CycloptsError as error:
        return _give_up(_misused(error), 1)
    except Exception as error:
        return _give_up(error, 1)
    except (KeyboardInterrupt, SystemExit) as end:
        return _give_up(end, end_status(end))
    return 0


def _misused(error: CycloptsError) -> InputError:
    """Return what is wrong with the options of a command."""
    if isinstance(error.__cause__, ValidationError):
        return InputError(explain(error.__cause__) or "")
    return InputError(f"{error} Options are listed by --help")


def _give_up(error: BaseException, status: int) -> int:
    print(f"{details(error)}floodloom: {one_line(error)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
