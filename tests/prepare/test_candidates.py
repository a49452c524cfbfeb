"""What items of different catalogues state, under their own names, is one thing."""

from __future__ import annotations

import pytest

from floodloom.errors import InputError
from floodloom.prepare.candidates import candidate_of

NAME = "S1A_IW_GRDH_1SDV_20240929T002511_20240929T002536_055871_06D14A_83B2"
RING = [[85, 27], [87.5, 27.4], [87.2, 29], [84.7, 28.6], [85, 27]]
STATED = {
    "datetime": "2024-09-29T00:25:11.123456Z",
    "platform": "sentinel-1a",
    "sar:instrument_mode": "IW",
    "sar:polarizations": ["VV", "VH"],
    "sat:orbit_state": "descending",
    "sat:relative_orbit": 149,
}
ZIP = {"href": f"https://datapool.asf.alaska.edu/GRD_HD/SA/{NAME}.zip"}
SIZED = {"href": "https://download.dataspace.copernicus.eu/odata/v1/Products(1)/$value"}
SIZED["file:size"] = 997  # type: ignore[assignment]
BANDS = {"vv": {"href": "s3://sentinel-s1-l1c/GRD/vv.tiff"}, "vh": {"href": "s3://x/vh.tiff"}}


def item(name: str = NAME, assets: dict | None = None, **stated: object) -> dict:
    place = {"type": "Polygon", "coordinates": [RING]}
    return {
        "id": name,
        "geometry": place,
        "assets": assets or {"Product": SIZED},
        "properties": stated,
    }


COPERNICUS = item(f"{NAME}_COG", **STATED, **{"product:type": "IW_GRDH_1S"})
ASF = item(
    f"{NAME}-GRD_HD", {"edu/GRD_HD": ZIP, "edu/BROWSE": {"href": "https://h/a.jpg"}},
    start_datetime="2024-09-29T00:25:11Z", datetime=None,
)  # fmt: skip
OPEN_SEARCH = item("a", **{**STATED, "sar:product_type": "GRD", "platform": "SENTINEL-1A"})


@pytest.mark.parametrize("given", [COPERNICUS, ASF, OPEN_SEARCH])
def test_what_scenes_of_catalogues_are(given: dict) -> None:
    found = candidate_of(given, "https://h/items/a")
    facts = found.found.facts
    assert found.problem == ""
    assert (found.mode, found.found.polarisations) == ("IW", ("vv", "vh"))
    assert (facts["platform"], facts["relative_orbit"]) == ("S1A", 149)
    assert f"{found.taken:%Y-%m-%dT%H:%M:%S}" == "2024-09-29T00:25:11"
    assert found.found.described.startswith("Sentinel-1 IW GRD, 2024-09-29 00:25, S1A")
    assert found.size == (997 if "Product" in given["assets"] else None)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (item(assets=BANDS, **STATED), "has no product that can be fetched as a whole"),
        (item("a", **STATED, **{"sar:product_type": "SLC"}), "is SLC, not GRD"),
        (item("a", **STATED), "is of no stated type, not GRD"),
        (item(NAME.replace("S1A", "S1C"), datetime="2026-07-29T00:25:11Z"), "no relative orbit"),
    ],
)
def test_why_a_scene_is_of_no_use(given: dict, problem: str) -> None:
    assert problem in candidate_of(given, "https://h/items/a").problem


@pytest.mark.parametrize(
    "broken",
    [
        {**COPERNICUS, "geometry": None},
        {**COPERNICUS, "geometry": {"type": "Polygon", "coordinates": []}},
        {**COPERNICUS, "properties": {**STATED, "datetime": "yesterday"}},
        {**COPERNICUS, "properties": {"datetime": "yesterday"}},
        {**COPERNICUS, "id": "a", "properties": {**STATED, "datetime": None}},
        {"id": "a"},
        {},
    ],
)
def test_items_without_a_time_or_place_are_one_line(broken: dict) -> None:
    with pytest.raises(InputError, match="states no time or place"):
        candidate_of(broken, "https://h/items/a")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("processing:version", ("003.9", "003.61")),
        ("processing:version", ("", "003.61")),
        ("processing:software", ({"Sentinel-1 IPF": "003.40"}, {"Sentinel-1 IPF": "003.61"})),
        ("s1:processing_datetime", ("2024-09-29T03:00:00Z", "2024-09-30T03:00:00Z")),
    ],
)
def test_which_product_is_the_newer(key: str, values: tuple) -> None:
    older, newer = (candidate_of(item(**STATED, **{key: one}), "a.json") for one in values)
    assert older.age < newer.age


def test_across_the_antimeridian_a_scene_is_in_one_piece() -> None:
    rings = [[[179, 10], [180, 10], [180, 11], [179, 11], [179, 10]]]
    west = [[[-180, 10], [-179, 10], [-179, 11], [-180, 11], [-180, 10]]]
    place = {"type": "MultiPolygon", "coordinates": [rings, west]}
    found = candidate_of({**COPERNICUS, "geometry": place}, "a.json").found
    assert found.footprint == (179, 10, 181, 11)
