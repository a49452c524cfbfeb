"""A lock that dies with its owner: of several processes one works on a run, and none after a kill.

The kernel holds the lock for as long as the process lives, whatever ends it. Where the file states
that another machine took it, the kernel of this one may not know: such a lock is named, not broken.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from floodloom.errors import FloodloomError

FOLDER = Path(".snakemake/floodloom")
"""Where locks and digests of sources lie, from the folder that a run works in."""
_OWNER_GOES_S, _JOBS_GO_S = 2.0, 15.0
"""Time in which the processes of a run that was killed go away."""
_LOOK_S = 0.5
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class LockedError(FloodloomError):
    """Another process works on the run."""


@contextmanager
def owned(folder: Path, run: str) -> Iterator[None]:
    """Own a run while the context is open.

    Parameters
    ----------
    folder
        Where locks lie; made if it isn't there.
    run
        Name of the run.

    Raises
    ------
    LockedError
        If another process owns the run, or one of a run that was killed still works: one line
        that names it, and what to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock_file(folder, run).open("a+") as lock:
        _take(lock, run)
        _wait_for_jobs(folder, run)
        _write(lock, _this_process())
        try:
            yield
        finally:
            _write(lock, {})


def is_owned(folder: Path, run: str) -> bool:
    """Whether a living process owns a run."""
    return _is_held(_lock_file(folder, run))


def owned_runs(folder: Path) -> list[str]:
    """Names of the runs that living processes own."""
    return [file.stem for file in sorted(folder.glob("*.lock")) if _is_held(file)]


def end_with_run(folder: Path, run: str) -> None:
    """End this process when the one that owns the run is gone.

    A job whose run was killed must not write what the next run has begun to make anew. Where no
    process owns the run, the job belongs to none and goes on.

    Parameters
    ----------
    folder, run
        As for `owned`.
    """
    if not is_owned(folder, run):
        return
    jobs = _jobs_file(folder, run).open("a")
    with suppress(OSError):
        fcntl.flock(jobs, fcntl.LOCK_SH | fcntl.LOCK_NB)
    threading.Thread(target=_follow, args=(folder, run, jobs), daemon=True).start()


def _follow(folder: Path, run: str, jobs: IO[str]) -> None:
    """Wait for the end of the owner; `jobs` is held for as long as this process lives."""
    while is_owned(folder, run):
        time.sleep(_LOOK_S)
    os._exit(1)


def _lock_file(folder: Path, run: str) -> Path:
    return folder / f"{run}.lock"


def _jobs_file(folder: Path, run: str) -> Path:
    return folder / f"{run}.jobs"


def _take(lock: IO[str], run: str) -> None:
    if not _flock(lock, _OWNER_GOES_S):
        raise LockedError(
            f"run {run}: {_owner(lock)} works on it; wait for its end, or end it, and start again"
        )
    owner = _read(lock)
    if owner and not _same_machine(owner):
        raise LockedError(
            f"run {run}: {_owner(lock)} took it and this machine can't check whether it still "
            f"works; if it doesn't, remove {lock.name} and start again"
        )


def _wait_for_jobs(folder: Path, run: str) -> None:
    with _jobs_file(folder, run).open("a") as jobs:
        if not _flock(jobs, _JOBS_GO_S):
            raise LockedError(
                f"run {run}: a job of a run that was killed still works; wait for its end, or end "
                "it, and start again"
            )


def _flock(file: IO[str], patience: float) -> bool:
    """Try to lock a file for this process alone; a file system without locks grants it."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_S / 5)
        except OSError:
            return True
        else:
            return True


def _is_held(file: Path) -> bool:
    try:
        with file.open() as probe:
            fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _this_process() -> dict[str, Any]:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "since": since}


def _boot() -> str:
    """Identify this start of the machine; containers on one machine share it."""
    try:
        return _BOOT.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _same_machine(owner: dict[str, Any]) -> bool:
    same_start = bool(_boot()) and owner.get("boot") == _boot()
    return same_start or owner.get("host") == socket.gethostname()


def _owner(lock: IO[str]) -> str:
    owner = _read(lock)
    return "process {pid} on {host} since {since}".format(
        **{"pid": "?", "host": "?", "since": "?", **owner}
    )


def _read(lock: IO[str]) -> dict[str, Any]:
    lock.seek(0)
    try:
        return dict(json.loads(lock.read() or "{}"))
    except ValueError:
        return {}


def _write(lock: IO[str], owner: dict[str, Any]) -> None:
    lock.seek(0)
    lock.truncate()
    if owner:
        json.dump(owner, lock)
    lock.flush()
