"""What a run will fetch is said before it does."""

from __future__ import annotations

import shapely

from floodloom.prepare.sizes import Size, fetched, size_of_part

_TILE = shapely.box(10.0, 45.0, 11.0, 46.0)
_PLACE = (10.4, 45.4, 10.5, 45.5)


def test_a_part_is_its_share_of_the_ground_and_what_lies_around() -> None:
    assert size_of_part(1_000_000, _TILE, _PLACE, 0) == Size(1_000_000, 10_000)
    around = 100 * 30.0 / 111_320.0
    expected = round(1_000_000 * (0.1 + 2 * around) ** 2)
    assert size_of_part(1_000_000, _TILE, _PLACE, 100) == Size(1_000_000, expected)
    beside = (370.9, 45.4, 371.1, 45.5)  # as another turn counts them, half of it off the tile
    assert size_of_part(1_000_000, _TILE, beside, 0) == Size(1_000_000, 10_000)


def test_most_of_a_file_is_all_of_it() -> None:
    assert size_of_part(100, _TILE, (10.0, 45.0, 10.9, 46.0), 0) == Size(100)
    assert size_of_part(100, _TILE, None, 0) == Size(100)
    assert size_of_part(None, _TILE, _PLACE, 0) == Size(None)


def test_it_is_said_in_words() -> None:
    assert fetched("tile", [Size(5_000_000)]) == "fetches: 1 tile, 5.0 MB"
    assert fetched("scene", [Size(2_000_000_000, 4_000_000), Size(10_000_000)]) == (
        "fetches: 2 scenes, about 14.0 of 2,010.0 MB, if the server sends parts"
    )
    assert fetched("tile", [Size(None), Size(1_000_000)]) == (
        "fetches: 2 tiles, 1.0 MB and 1 of a size that isn't stated"
    )
