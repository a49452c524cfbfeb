"""One look at a catalogue: what is new over an area, and a map of each new pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from floodloom.dates import LONGEST_PASS_S
from floodloom.errors import FloodloomError, InputError, one_line
from floodloom.log import get_logger
from floodloom.prepare.found import Found
from floodloom.prepare.lookup import Scenes, passes_since
from floodloom.prepare.run import CONFIG, RunError, run
from floodloom.prepare.settings import Area, OwnFiles, Search
from floodloom.prepare.survey import survey_scenes
from floodloom.prepare.write import SHEET, write_event
from floodloom.raster.grid import Bounds
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.texts import line
from floodloom.watch.ledger import Entry, Ledger
from floodloom.watch.products import clear, folder_of, size_of, write_catalogue
from floodloom.watch.settings import WatchSettings

_LATE = timedelta(days=14)
"""How long after it was taken a scene may appear in a catalogue."""
_AHEAD = timedelta(days=1)
_GIB = 2**30

_log = get_logger(__name__)


@dataclass(frozen=True)
class Watch:
    """What is watched, and how its maps are made.

    Attributes
    ----------
    out
        Folder of the watch.
    box
        West, south, east and north of the area, degrees.
    files
        Elevations.
    area, search, backscatter
        As for `floodloom.prepare.commands.map_flood`.
    settings
        How it is watched.
    cores
        Cores that a run may use.
    """

    out: Path
    box: Bounds
    files: OwnFiles
    area: Area
    search: Search
    backscatter: BackscatterSettings
    settings: WatchSettings
    cores: int


def look(watch: Watch, ledger: Ledger) -> list[str]:
    """Ask the catalogue once, and map what is waiting, the oldest first.

    What has become of each pass is written before the next one begins. One that fails doesn't stop
    the others.

    Parameters
    ----------
    watch
        What is watched.
    ledger
        What has become of each pass; changed and written.

    Returns
    -------
    list
        Names of the passes that failed this time.

    Raises
    ------
    InputError
        If the catalogue can't be read.
    """
    now = utc_now()
    found = _ask(watch, ledger, now)
    ledger.looked = now
    ledger.write(watch.out)
    failed = []
    for name, entry in list(ledger.waiting()):
        if not _has_room(watch, ledger):
            break
        _log.info("%s: is mapped", name)
        try:
            _map(watch, name, found.get(name))
        except (FloodloomError, OSError) as error:
            entry.attempts += 1
            entry.reason = line(error.reason) if isinstance(error, RunError) else one_line(error)
            if entry.attempts >= watch.settings.attempts:
                entry.state = "failed"
            failed.append(name)
            _log.error("%s: attempt %d failed: %s", name, entry.attempts, entry.reason)
        else:
            entry.state, entry.reason = "mapped", ""
            write_catalogue(watch.out, [mapped for mapped, _ in ledger.mapped()])
        ledger.write(watch.out)
    _has_room(watch, ledger)
    return failed


def utc_now() -> datetime:
    """Return the time, UTC, without a zone, as times of scenes are."""
    return datetime.now(UTC).replace(tzinfo=None)


def _ask(watch: Watch, ledger: Ledger, now: datetime) -> dict[str, Scenes]:
    """Find what the catalogue has, by name, and note what is new."""
    begin = ledger.since if ledger.looked is None else max(ledger.since, ledger.looked - _LATE)
    begin = min([begin, *(entry.taken for _, entry in ledger.waiting())])
    found = {}
    for scenes in passes_since(begin, now + _AHEAD, watch.search, watch.box, watch.backscatter):
        taken, name = _named(scenes.after[0])
        known = _known(ledger, name, taken)
        if known is None:
            ledger.passes[name] = Entry(taken=taken)
        found[known or name] = scenes
    return found


def _named(first: Found) -> tuple[datetime, str]:
    """When a pass was taken, and its name: that time and the relative orbit."""
    taken = first.taken
    if taken is None:
        raise ValueError("a scene of a catalogue without a time")
    orbit = first.facts.get("relative_orbit")
    return taken, f"{taken:%Y%m%dT%H%M%S}" + ("" if orbit is None else f"-{int(str(orbit)):03}")


def _known(ledger: Ledger, name: str, taken: datetime) -> str | None:
    """Return the name by which a pass is known, of which other slices may have come first."""
    track = name.partition("-")[2]
    for known, entry in ledger.passes.items():
        apart = abs((entry.taken - taken).total_seconds())
        if known.partition("-")[2] == track and apart < LONGEST_PASS_S:
            return known
    return None


def _map(watch: Watch, name: str, scenes: Scenes | None) -> None:
    """Write what a run needs, unless an earlier attempt has, and run it."""
    folder = folder_of(watch.out, name)
    if not all((folder / file).exists() for file in (CONFIG, SHEET)):
        if scenes is None:
            raise InputError("its scenes have gone from the catalogue")
        made = survey_scenes(scenes, watch.files, watch.area, watch.search, watch.backscatter)
        write_event(made, name, folder)
    run(folder, watch.cores)


def _has_room(watch: Watch, ledger: Ledger) -> bool:
    """Clear passes that are mapped, the oldest first, until there is room for another one."""
    if watch.settings.disk_gib is None:
        return True
    limit = watch.settings.disk_gib * _GIB
    kept = [(name, entry) for name, entry in ledger.mapped() if not entry.cleared]
    while (size := size_of(watch.out)) > limit and kept:
        name, entry = kept.pop(0)
        clear(watch.out, name)
        entry.cleared = True
        ledger.write(watch.out)
        _log.info("%s: what its map was made from is removed", name)
    if size <= limit:
        return True
    _log.warning(
        "%s takes more than %g GiB and holds nothing that may go; what is waiting waits",
        watch.out, watch.settings.disk_gib,
    )  # fmt: skip
    return False
