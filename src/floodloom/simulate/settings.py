"""Settings of the stage `simulate`."""

from __future__ import annotations

from pydantic import Field

from floodloom.settings import Settings, of_job

SPACING_M = 10.0
"""Pixel spacing of image and map."""


class SimulateSettings(Settings):
    """Simulated events; each event's `seed` makes it another place."""

    size: int = Field(
        default=1024, ge=128, description="Lines and pixels of the radar image, of 10 m"
    )
    seed: int | None = of_job(default=None, description="Seed of the place; 0 when not given")
