"""A simulated event on disk, for tests that begin with products."""

from __future__ import annotations

from pathlib import Path

from floodloom.simulate.settings import SimulateSettings
from floodloom.stages.simulate import simulate


def lay_event(
    folder: Path, *, before: str = "before.SAFE", after: str = "after.SAFE", **settings: int
) -> Path:
    """Lay the products of two dates, dem.tif, optical.tif and truth.tif into a folder.

    Returns
    -------
    Path
        The product after the flood.
    """
    return simulate(
        out_before=folder / before,
        out_after=folder / after,
        dem=folder / "dem.tif",
        optical=folder / "optical.tif",
        truth=folder / "truth.tif",
        settings=SimulateSettings(**settings),
    )
