"""The command line: one verb per stage, generated from the stage functions."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts import App
from rich.console import Console

from floodloom import __version__
from floodloom.errors import FloodloomError
from floodloom.log import set_up_logging

STAGES = (
    "simulate",
    "acquire",
    "calibrate",
    "geocode",
    "ingest",
    "tile",
    "teach",
    "distill",
    "train",
    "relabel",
    "predict",
    "delineate",
    "evaluate",
    "report",
)
"""The stages in the order of the workflow."""

app = App(
    name="floodloom",
    help="Flood maps from Sentinel-1 scenes. Every stage of the workflow is a command; "
    "`snakemake` runs them all.",
    version=__version__,
    help_format="plaintext",
)
for _stage in STAGES:
    app.command(f"floodloom.stages.{_stage}:{_stage}", name=_stage)


@app.command
def models() -> None:
    """List the architectures: name, parameters, receptive field and source."""
    from floodloom.inspect import models_table

    Console().print(models_table())


@app.command
def inspect(file: Path) -> None:
    """Say what a store, checkpoint, map or product is and how it was made.

    Parameters
    ----------
    file
        Scene store, tile store, checkpoint, GeoTIFF, GeoPackage or SAFE product.
    """
    from floodloom.inspect import describe

    Console().print(describe(file))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    set_up_logging()
    try:
        app(arguments, result_action="return_value")
    except FloodloomError as error:
        print(f"floodloom: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
