"""When scenes were taken, and which of them are of one pass."""

from datetime import date, datetime

import pytest

from floodloom.dates import day_in_name, group_by_pass, read_date, time_in_name

PRODUCT = "S1A_IW_GRDH_1SDV_20230514T165821_20230514T165846_048532_05D6A1_1234"
TAKEN = datetime(2023, 5, 14, 16, 58, 21)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"in/{PRODUCT}.SAFE", TAKEN),
        (f"in/{PRODUCT.lower()}.zip", TAKEN),
        (f"https://example.org/{PRODUCT}.zip?X-Amz-Date=20300101T000000Z", TAKEN),
        (f"https://example.org/{PRODUCT}_rtc/measurement/iw-vv.rtc.tiff", TAKEN),
        ("S1A_IW_20230514T165821_DVP_RTC10_G_gpuned_1234", TAKEN),
        (f"20220101T000000/{PRODUCT}/vv.tif", TAKEN),
        ("S1A_20239914T165821.zip", None),
        ("120230514T165821.tif", None),
        ("20230514.tif", None),
        ("simulated", None),
    ],
)
def test_a_name_states_the_first_time_in_its_last_part_that_has_one(source, expected) -> None:
    assert time_in_name(source) == expected


def test_a_date_is_a_day_or_a_time() -> None:
    assert type(read_date("2023-05-14")) is date
    assert read_date("2023-05-14T16:58:21.500000123") == TAKEN.replace(microsecond=500000)
    assert read_date("2023-05-14 16:58:21Z") == TAKEN
    for text in ("14.05.2023", "2023-05", "2023-13-01", "", "2023-05-14T16:58:21 in May"):
        with pytest.raises(ValueError):  # noqa: PT011
            read_date(text)


def test_slices_of_one_pass_are_one_date_across_midnight_too() -> None:
    late, early = datetime(2023, 5, 14, 23, 59, 50), datetime(2023, 5, 15, 0, 0, 15)
    orbit_later = datetime(2023, 5, 15, 1, 38)
    assert group_by_pass([late, early, orbit_later]) == [[0, 1], [2]]
    assert group_by_pass([date(2023, 5, 14), orbit_later, late]) == [[0, 2], [1]]


def test_without_times_all_is_one_date_and_beside_several_a_time_is_needed() -> None:
    assert group_by_pass([]) == []
    assert group_by_pass([None, None]) == [[0, 1]]
    assert group_by_pass([None, TAKEN]) == [[0, 1]]
    with pytest.raises(LookupError) as caught:
        group_by_pass([TAKEN, date(2023, 4, 1), None])
    assert caught.value.args == (2,)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("a/valley_2023-05-14.tif", date(2023, 5, 14)),
        ("S1_20230514_vv.tif", date(2023, 5, 14)),
        ("https://h/2022.01.02/s1.2023.05.14.tif?d=2021-01-01", date(2023, 5, 14)),
        ("from_2023-05-14_to_2023-05-20.tif", None),
        ("2023-13-14.tif", None),
        ("tile_120230514.tif", None),
        ("2023-05-14/scene.tif", None),
    ],
)
def test_day_in_the_name_of_a_file(name: str, day: date | None) -> None:
    assert day_in_name(name) == day
