"""A simulated event as somebody's own files: two products, elevations and, apart, the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodloom.simulate.settings import SimulateSettings
from floodloom.stages.simulate import simulate

SIZE = 256


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with post.SAFE, pre.SAFE, dem.tif and truth.tif; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("own")
    simulate(
        out_before=folder / "pre.SAFE",
        out_after=folder / "post.SAFE",
        dem=folder / "dem.tif",
        optical=folder / "optical.tif",
        truth=folder / "truth.tif",
        settings=SimulateSettings(size=SIZE, seed=21),
    )
    return folder
