"""Settings of the pairing of an optical image with a radar scene, in `tile` and `predict`."""

from __future__ import annotations

from pydantic import Field

from floodloom.settings import Settings


class PairingSettings(Settings):
    """What makes an optical image the companion of a scene."""

    optical_names: tuple[str, ...] = Field(
        default=(), description="Names of the bands of an optical image that doesn't describe them"
    )
    optical_gap_days: float | None = Field(
        default=10.0,
        ge=0,
        description="Greatest time between optical image and scene, days; null: any. An image "
        "that is further away in time is left out",
    )
