"""The chips of STAC Overflow."""

from floodloom.datasets import stac_overflow
from floodloom.raster.grid import geobox_of


def test_real_stac_overflow_keeps_missing_data_missing(shared_data) -> None:
    found = stac_overflow.DATASET.scene(shared_data / "c2s_stac_overflow", "awc00")
    missing = found.scene.vv.isnull()
    assert 0.2 < float(missing.mean()) < 0.3
    assert (found.label[missing.values] == 255).mean() > 0.9
    assert geobox_of(found.scene).crs.projected


def test_no_flood_is_on_two_sides(shared_data) -> None:
    found = list(stac_overflow.DATASET.scenes(shared_data / "c2s_stac_overflow"))
    assert [scene.event for scene in found] == ["awc", "ayt", "jja", "pxs", "qxb"]
    assert {scene.split for scene in found} == {"train", "test"}
    floods = [f"{a}{b}{c}" for a in "abc" for b in "klmnopq" for c in "xyz"]
    sides = [stac_overflow.split_by_flood(shared_data, f"{flood}07").split for flood in floods]
    assert 0.5 < sides.count("train") / len(floods) < 0.7
    assert stac_overflow.split_by_flood(shared_data, "awc00") == stac_overflow.split_by_flood(
        shared_data, "awc31"
    )
