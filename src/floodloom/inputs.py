"""Files that come in: regular ones, and of a folder that is given only what lies in it.

A pipe or a device may never end, and a link in a folder that was made elsewhere may lead to any
file of this machine.
"""

from __future__ import annotations

import stat
from pathlib import Path

from floodloom.errors import InputError


def regular_file(path: str | Path, what: str, *, within: Path | None = None) -> Path:
    """Return where an input lies, if it is a regular file or a link to one.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for messages.
    within
        Folder that was given and in which the file was found: links may not lead out of it.

    Returns
    -------
    Path
        Absolute, so that no library takes a part of it for something else.

    Raises
    ------
    InputError
        If it is missing, a folder, a pipe, a socket or a device, or lies elsewhere.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        real = path.resolve()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not a readable {what} ({reason}); check the path") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise InputError(f"{path}: {kind}, no {what}; give a file")
    if within is not None and not real.is_relative_to(within.resolve()):
        raise InputError(
            f"{path}: a link out of its folder; give a folder that holds the files themselves"
        )
    return path.absolute()
