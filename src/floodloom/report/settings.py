"""Settings of the stage `report`."""

from __future__ import annotations

from pydantic import Field

from floodloom.classical.choices import BaselineName
from floodloom.settings import Settings, of_job


class ReportSettings(Settings):
    """Report and map page."""

    title: str = Field(default="Flood mapping run", description="Title of the pages")
    baseline: BaselineName | None = Field(
        default=None,
        description="Method without learning that every event is mapped by, too, to show where it "
        "and the map disagree; null: none",
    )
    events: tuple[str, ...] = of_job(
        default=(), description="Names of the maps' events; their file's folder when not given"
    )
    before_events: tuple[str, ...] = of_job(
        default=(),
        description="Events of the scenes before the flood; those of the maps when not given",
    )
    truth_events: tuple[str, ...] = of_job(
        default=(), description="Events of the label rasters; those of the maps when not given"
    )
    config: str = of_job(default="", description="Configuration that ran, as JSON text")
