"""The bit mask of reasons why a pixel is not what it seems."""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """Bits of the `flags` layer of a scene store (uint8)."""

    NODATA = 1
    BORDER = 2
    BELOW_NOISE = 4
    LAYOVER = 8
    SHADOW = 16
    LOW_ANGLE = 32
    NO_ELEVATION = 64


FLAG_ATTRS: dict[str, object] = {
    "long_name": "quality flags",
    "flag_masks": [int(flag) for flag in Flag],
    "flag_meanings": " ".join(str(flag.name).lower() for flag in Flag),
}
"""CF attributes of the `flags` variable."""
