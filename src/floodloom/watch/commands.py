"""The command `watch`: an area is mapped again whenever a satellite has passed."""

from __future__ import annotations

import time
from pathlib import Path

from floodloom.errors import FloodloomError, InputError, one_line
from floodloom.log import get_logger
from floodloom.prepare.area import box_of
from floodloom.prepare.lookup import begin_of
from floodloom.prepare.run import RunError, available_cores
from floodloom.prepare.settings import Area, OwnFiles, Search
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.watch.ledger import Ledger
from floodloom.watch.look import Watch, look, utc_now
from floodloom.watch.settings import WatchSettings
from floodloom.workflow.lock import owned

_MINUTE_S = 60.0
_LOCKS = ".floodloom"


def watch(
    *,
    out: Path,
    area: Area = Area(),  # noqa: B008  frozen
    search: Search = Search(),  # noqa: B008
    files: OwnFiles = OwnFiles(),  # noqa: B008
    backscatter: BackscatterSettings = BackscatterSettings(),  # noqa: B008
    settings: WatchSettings = WatchSettings(),  # noqa: B008
    cores: int | None = None,
) -> None:
    """Map each new pass of Sentinel-1 over an area, once, as soon as a catalogue has it.

    Every pass has a folder of its own in `passes`, which `map` could have made. `watch.json` states
    what has become of each, `catalog.json` is a STAC catalogue of all maps. Whatever ends the
    process, the same call goes on where it stopped.

    Parameters
    ----------
    out
        Folder of the watch.
    area
        The part that is watched.
    search
        Catalogue, and what else is fetched; without a date.
    files
        Elevations; without scenes.
    backscatter
        What backscatter of others is, where the catalogue doesn't state it.
    settings
        How often it is looked, and what is kept.
    cores
        Cores to use; all when not given.

    Raises
    ------
    InputError
        If there is no area, or scenes or a date are given; at the last look, if the catalogue can't
        be read.
    LockedError
        If another process watches with this folder.
    RunError
        After the last look, if a pass of it failed.
    """
    box = box_of(area)
    if box is None:
        raise InputError("what is watched? Give --bbox, --place or --aoi")
    if files.scenes or files.before:
        raise InputError("scenes: a watch finds them in a catalogue; leave them out, or use `map`")
    if search.date is not None:
        raise InputError("date: a watch has no end; give the begin by --since, or use `map`")
    watched = Watch(
        out, box, files, area, search, backscatter, settings, cores or available_cores()
    )
    with owned(out / _LOCKS, "watch"):
        begin = utc_now() if settings.since is None else begin_of(settings.since, "since")
        ledger = Ledger.read(out) or Ledger(since=begin)
        failed = _looks(watched, ledger)
    if failed:
        reasons = "; ".join(f"{name}: {ledger.passes[name].reason}" for name in failed)
        raise RunError(f"{out}: {len(failed)} passes failed: {reasons}")


def _looks(watched: Watch, ledger: Ledger) -> list[str]:
    """Look as often as asked, and return what failed the last time."""
    settings, number = watched.settings, 0
    while True:
        number += 1
        is_last = number == settings.looks
        failed: list[str] = []
        try:
            failed = look(watched, ledger)
        except (FloodloomError, OSError) as error:  # a full disk takes no ledger
            if is_last:
                raise
            get_logger(__name__).error("%s; it is tried again", one_line(error))
        if is_last:
            return failed
        time.sleep(settings.every * _MINUTE_S)
