"""How an area is watched."""

from __future__ import annotations

from pydantic import Field

from floodloom.settings import Settings


class WatchSettings(Settings):
    """How often a catalogue is asked, and what is kept."""

    since: str | None = Field(
        default=None,
        description="Scenes from then on are mapped, such as 2023-05-14 (UTC); from the first call "
        "on when not given",
    )
    every: float = Field(default=60.0, gt=0, description="Minutes between two looks")
    looks: int | None = Field(
        default=None,
        ge=1,
        description="How often it is looked; without end when not given. 1 is for a timer, such "
        "as cron's or systemd's, that calls this again",
    )
    attempts: int = Field(
        default=3, ge=1, description="How often a pass is tried; then it is left, and named"
    )
    disk_gib: float | None = Field(
        default=None,
        gt=0,
        description="Space that the folder may take, GiB: products and stores that maps were made "
        "from go where it takes more, the oldest first; maps and pages never",
    )
