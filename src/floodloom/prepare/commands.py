"""The commands `map` and `init`: from files, or a place and a date, to a map or to its settings."""

from __future__ import annotations

from pathlib import Path

from floodloom.names import as_name, require_name
from floodloom.prepare.run import available_cores, results, run, shown
from floodloom.prepare.settings import Area, OwnFiles, Search
from floodloom.prepare.survey import Survey, survey
from floodloom.prepare.write import write_event
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.texts import line


def map_flood(
    *,
    out: Path,
    files: OwnFiles = OwnFiles(),  # noqa: B008  frozen
    area: Area = Area(),  # noqa: B008
    search: Search = Search(),  # noqa: B008
    backscatter: BackscatterSettings = BackscatterSettings(),  # noqa: B008
    name: str | None = None,
    cores: int | None = None,
    dry_run: bool = False,
) -> None:
    """Map a flood by the model that floodloom brings, from your scenes or those of a catalogue.

    Writes config.yaml and scenes.tsv into a folder, states what was found, and runs the workflow
    there. The command of Snakemake that does the same, whole or stage by stage, is printed; the
    same call again goes on where it stopped.

    Parameters
    ----------
    out
        Folder for the configuration and the results.
    files
        Scenes and elevations.
    area
        The part that is mapped.
    search
        Date and catalogue, instead of scenes.
    backscatter
        What backscatter of others is, where its files don't state it.
    name
        Name of the event; that of the folder when not given.
    cores
        Cores to use; all when not given.
    dry_run
        Write the configuration and list the jobs, but run none.

    Raises
    ------
    InputError, RecipeMismatchError, ConfigError
        One line, before anything runs, if the files can't become a map.
    RunError
        If a job fails.
    """
    called = _prepare(survey(files, area, search, backscatter), out, name)
    count = cores or available_cores()
    _say(f"runs: {shown(out, count)}")
    _say("  up to one stage: add calibrated, geocoded, predicted or delineated")
    run(out, count, dry_run=dry_run)
    if not dry_run:
        for text in results(out, called):
            _say(text)


def init(
    *,
    out: Path,
    files: OwnFiles = OwnFiles(),  # noqa: B008
    area: Area = Area(),  # noqa: B008
    search: Search = Search(),  # noqa: B008
    backscatter: BackscatterSettings = BackscatterSettings(),  # noqa: B008
    name: str | None = None,
) -> None:
    """Write a commented config.yaml and scenes.tsv for your scenes or those of a catalogue.

    Parameters
    ----------
    out
        Folder to write into.
    files
        Scenes and elevations.
    area
        The part that is mapped.
    search
        Date and catalogue, instead of scenes.
    backscatter
        What backscatter of others is, where its files don't state it.
    name
        Name of the event; that of the folder when not given.

    Raises
    ------
    InputError, RecipeMismatchError, ConfigError
        One line, if the files can't become a map.
    """
    _prepare(survey(files, area, search, backscatter), out, name)
    _say(f"run it by: {shown(out)}")


def _prepare(found: Survey, out: Path, name: str | None) -> str:
    """Write the configuration and state what was found; return the event's name."""
    called = require_name(name, "name") if name else as_name(out.absolute().name)
    for text in found.lines():
        _say(text)
    written = write_event(found, called, out)
    _say(f"written: {', '.join(map(str, written))}")
    return called


def _say(text: str) -> None:
    print(line(text), flush=True)
