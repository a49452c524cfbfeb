"""Settings of the stage `simulate`."""

from __future__ import annotations

from pydantic import Field

from floodloom.settings import Settings, of_job


class SimulateSettings(Settings):
    """Simulated events; each event's `seed` makes it another place."""

    size: int = Field(default=1024, ge=128, description="Lines and pixels of the radar image")
    spacing: float = Field(default=10.0, gt=0, description="Pixel spacing of image and map, m")
    flood_depth: float = Field(
        default=2.5, gt=0, description="Level of the flood above the drainage, m"
    )
    seed: int | None = of_job(default=None, description="Seed of the place; 0 when not given")
