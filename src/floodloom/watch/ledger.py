"""What has become of each pass over an area: a file that survives whatever ends the process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from floodloom.errors import InputError
from floodloom.files import read_json, write_json

FILE = "watch.json"

State = Literal["waiting", "mapped", "failed"]


class Entry(BaseModel):
    """What has become of a pass.

    Attributes
    ----------
    taken
        When its first scene was taken, UTC.
    state
        `waiting` to be mapped, `mapped`, or `failed` as often as it is tried.
    attempts
        How often it was tried in vain.
    reason
        Why the last time.
    cleared
        Whether what its map was made from has been removed.
    """

    model_config = ConfigDict(extra="forbid")

    taken: datetime
    state: State = "waiting"
    attempts: int = 0
    reason: str = ""
    cleared: bool = False


class Ledger(BaseModel):
    """The passes over an area by name.

    Attributes
    ----------
    since
        Begin of the watch, UTC.
    looked
        When the catalogue was last asked, UTC.
    passes
        What has become of each.
    """

    model_config = ConfigDict(extra="forbid")

    since: datetime
    looked: datetime | None = None
    passes: dict[str, Entry] = {}

    @classmethod
    def read(cls, folder: Path) -> Ledger | None:
        """Read the file of a folder; None if there is none.

        Raises
        ------
        InputError
            If it is none.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise InputError(
                f"{path}: not what a watch has written; put it aside and start again, and what "
                "is mapped is found again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the file of a folder, whole or not at all."""
        write_json(folder / FILE, self.model_dump(mode="json", exclude_defaults=True))

    def waiting(self) -> Iterator[tuple[str, Entry]]:
        """Yield the passes that are still to be mapped, by time."""
        for name, entry in self._by_time():
            if entry.state == "waiting":
                yield name, entry

    def mapped(self) -> Iterator[tuple[str, Entry]]:
        """Yield the passes that are mapped, by time."""
        for name, entry in self._by_time():
            if entry.state == "mapped":
                yield name, entry

    def _by_time(self) -> list[tuple[str, Entry]]:
        return sorted(self.passes.items(), key=lambda one: (one[1].taken, one[0]))
