"""The event that a map belongs to, where nobody names it."""

from __future__ import annotations

from pathlib import Path

_HOMES = ("/home", "/Users")


def event_of(path: str | Path) -> str:
    """Return the name of a file's folder, or the file's own if that would name a person.

    Parameters
    ----------
    path
        A product of the event.
    """
    folder = Path(path).resolve().parent
    if not folder.name or folder == _home() or str(folder.parent) in _HOMES:
        return Path(path).stem
    return folder.name


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # the machine has none
        return None
