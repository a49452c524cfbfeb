"""The byte of what isn't known."""

from __future__ import annotations

NODATA = 255
"""No data in rasters of bytes: classes, flood maps and percent."""

IGNORE = NODATA
"""Label of a pixel that is not known and doesn't count."""
