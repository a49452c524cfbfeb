"""Settings of the stage `report`."""

from __future__ import annotations

from pydantic import Field

from floodloom.settings import Settings


class ReportSettings(Settings):
    """Report and map page."""

    title: str = Field(default="Flood mapping run", description="Title of the pages")
    examples: int = Field(default=6, ge=0, description="Example tiles in the report")
