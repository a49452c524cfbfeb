"""Where the map lies: a box, a place, polygons."""

from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from floodloom.errors import InputError
from floodloom.prepare.area import box_of
from floodloom.prepare.settings import Area


def test_nothing_given_is_all_that_the_scenes_show() -> None:
    assert box_of(Area()) is None


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("9.5,45,10,45.25", (9.5, 45, 10, 45.25)),
        ("-70.5,-33,-70,-32.5", (-70.5, -33, -70, -32.5)),
        ("179,-18,-179,-17", (179, -18, 181, -17)),
    ],
)
def test_a_box_is_west_south_east_north(text: str, box: tuple[float, ...]) -> None:
    assert box_of(Area(bbox=text)) == box


def test_a_place_has_as_far_in_each_direction() -> None:
    west, south, east, north = box_of(Area(place="30,60,10"))
    assert north - 60 == pytest.approx(60 - south) == pytest.approx(10_000 / 111_320)
    # At 60 degrees a degree of longitude is half as long, and the northern side counts.
    assert (east - west) / (north - south) == pytest.approx(2.0, rel=0.01)
    assert (east + west) / 2 == pytest.approx(30)


def test_polygons_of_any_crs_give_the_box_around_them(tmp_path: Path) -> None:
    file = tmp_path / "places.gpkg"
    boxes = [shapely.box(500_000, 5_000_000, 501_000, 5_001_000)]
    gpd.GeoDataFrame(geometry=boxes, crs=32633).to_file(file)
    west, south, east, north = box_of(Area(aoi=file))
    assert west == pytest.approx(15.0, abs=1e-6)  # the zone's meridian
    assert (north - south) * 111_320 == pytest.approx(1000, rel=0.01)
    assert east > west


@pytest.mark.parametrize(
    ("area", "said"),
    [
        ({"bbox": "1,2,3"}, "not 4 numbers"),
        ({"bbox": "1,2,nan,4"}, "not 4 numbers"),
        ({"bbox": "10,46,11,45"}, "no area"),
        ({"bbox": "45,100,46,101"}, "longitude comes first"),
        ({"place": "10,45"}, "not 3 numbers"),
        ({"place": "10,45,0"}, "0 km"),
        ({"place": "10,95,3"}, "longitude comes first"),
        ({"place": "10,45,3", "bbox": "1,2,3,4"}, "give one of them"),
    ],
)
def test_what_is_no_area_is_refused(area: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        box_of(Area(**area))
