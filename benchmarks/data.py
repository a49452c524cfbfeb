"""Where the real data sets lie."""

from __future__ import annotations

import os
from pathlib import Path


def data_root(name: str) -> Path:
    """Return a data set's folder, in FLOODLOOM_DATA or beside the project."""
    default = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("FLOODLOOM_DATA", default)) / name
