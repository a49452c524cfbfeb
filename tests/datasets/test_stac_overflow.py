"""The chips of STAC Overflow."""

from floodloom.datasets import stac_overflow
from floodloom.raster.grid import geobox_of


def test_real_stac_overflow_keeps_missing_data_missing(shared_data) -> None:
    found = stac_overflow.DATASET.scene(shared_data / "c2s_stac_overflow", "awc00")
    missing = found.scene.vv.isnull()
    assert 0.2 < float(missing.mean()) < 0.3
    assert (found.label[missing.values] == 255).mean() > 0.9
    assert geobox_of(found.scene).crs.projected
