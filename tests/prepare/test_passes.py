"""Which scenes are of the flood, and which from before it."""

import pytest

from floodloom.errors import InputError
from floodloom.prepare.passes import part_by_date
from tests.prepare.scenes import scene

FLOOD = scene("a.SAFE", "2023-05-14T16:58:21")
SLICE = scene("a2.SAFE", "2023-05-14T16:58:46")
MAY = scene("may.SAFE", "2023-05-02T16:58:21")
APRIL = scene("april.SAFE", "2023-04-20T16:58:21")
UNKNOWN = scene("unknown.tif", None)


@pytest.mark.parametrize(
    ("scenes", "before"),
    [
        ([MAY, SLICE, APRIL, FLOOD], []),
        ([FLOOD, SLICE], [APRIL, MAY]),
        ([SLICE, MAY, FLOOD], [APRIL]),
    ],
)
def test_the_last_pass_shows_the_flood_and_the_others_what_was_before(scenes, before) -> None:
    after, earlier = part_by_date(scenes, before)
    assert {str(one.path) for one in after} == {"a.SAFE", "a2.SAFE"}
    assert earlier == [[MAY], [APRIL]]


def test_one_scene_may_be_all_there_is() -> None:
    assert part_by_date([UNKNOWN], []) == ([UNKNOWN], [])
    assert part_by_date([UNKNOWN], [scene("b.tif", None)])[1] == [[scene("b.tif", None)]]


def test_a_day_in_the_name_of_a_file_is_enough() -> None:
    after, before = scene("valley_2023-05-14.tif", None), scene("valley_20230502.tif", None)
    assert part_by_date([before, after], []) == ([after], [[before]])
    assert part_by_date([after], [MAY]) == ([after], [[MAY]])


def test_slices_whose_times_nobody_knows_are_of_one_date() -> None:
    beside = scene("b.tif", None, box=(11, 45, 12, 46))
    assert part_by_date([UNKNOWN, beside], []) == ([UNKNOWN, beside], [])


@pytest.mark.parametrize(
    ("scenes", "before", "said"),
    [
        ([UNKNOWN, scene("b.tif", None)], [], "b.tif: shows the ground of unknown.tif.* --before"),
        ([scene("d-2023-05-14.tif", None)], [FLOOD], "at 2023-05-14 16:58, not before d-2023-05"),
        ([MAY], [FLOOD], "a.SAFE: taken at 2023-05-14 16:58, not before may.SAFE"),
        ([FLOOD, MAY, UNKNOWN], [], "unknown.tif: .* when it was taken"),
        ([FLOOD, scene("b.SAFE", "2023-05-14T17:08:00", platform="S1B")], [], "of one pass"),
    ],
)
def test_what_contradicts_the_dates_is_refused(scenes, before, said: str) -> None:
    with pytest.raises(InputError, match=said):
        part_by_date(scenes, before)
