"""One tiny event that every trial begins from, and the folder in which it takes place."""

from __future__ import annotations

from pathlib import Path

import pytest

from .event import make_event
from .harness import Trial


@pytest.fixture(scope="session")
def event(tmp_path_factory) -> Path:
    """Folder of good inputs: products, stores, rasters, tiles, a checkpoint and a map."""
    folder = tmp_path_factory.mktemp("event")
    make_event(folder)
    return folder


@pytest.fixture
def trial(tmp_path, event) -> Trial:
    """A folder of its own for every case."""
    return Trial(tmp_path, event)
