"""Which files the stages read, for a mosaic, companions, a data set and downloads."""

import pytest

from floodloom.workflow.inputs import inputs, orbit_files, reads_data_set
from tests.workflow.plans import plan

IMAGE = "S1A_IW_GRDH_1SDV_20230514T165821_20230514T165846_048532_05D6A1_1234.zip"


def test_a_mosaic_and_its_companions_decide_the_scene() -> None:
    assert inputs(plan(), "geocode", {"scene": "one"}) == {
        "scene": ["results/r/calibrated/one.zarr", "results/r/calibrated/two.zarr"],
        "companions": ["results/r/calibrated/past.zarr"],
        "dem": "dem.tif",
    }


def test_a_download_is_calibrated_where_it_was_fetched_to() -> None:
    assert plan().fetched == ["past"]
    assert inputs(plan(), "calibrate", {"scene": "past"}) == {"safe": "resources/past.zip"}
    assert inputs(plan(), "calibrate", {"scene": "one"}) == {"safe": "one.SAFE"}


def test_the_data_set_is_read_by_what_has_no_scene_of_it() -> None:
    assert reads_data_set(plan(), "ingest", {"scene": "seen"})
    assert reads_data_set(plan(), "tile", {"event": "chips"})
    assert not reads_data_set(plan(), "tile", {"event": "train"})
    assert not reads_data_set(plan(), "predict", {"event": "flood", "role": "after"})


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("S1A_OPER_AUX_POEORB_OPOD_X_V20230513T225942_20230515T005942.EOF", True),
        ("S1A_OPER_AUX_RESORB_OPOD_X_V20230514T160000_20230514T190000.EOF.zip", True),
        ("S1B_OPER_AUX_POEORB_OPOD_X_V20230513T225942_20230515T005942.EOF", False),
        ("S1A_OPER_AUX_POEORB_OPOD_X_V20230514T225942_20230516T005942.EOF", False),
        ("orbit.xml", True),
    ],
)
def test_an_orbit_file_counts_where_it_may_cover_the_scene(tmp_path, name, counts) -> None:
    file = tmp_path / "2023" / name
    file.parent.mkdir()
    file.touch()
    assert orbit_files(tmp_path, f"in/{IMAGE}") == ([file] if counts else [])
    assert orbit_files(tmp_path, "renamed.zip") == [tmp_path]
    assert orbit_files(file, IMAGE) == [file]
