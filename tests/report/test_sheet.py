"""What the duty officer's sheet states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from pyproj import Transformer

from floodloom.mapping.exclusion import Reason
from floodloom.report.pages import map_page
from floodloom.report.scene import event_view
from floodloom.report.sheet import sheet_of
from tests.report.conftest import Files
from tests.report.test_pages import opened

SCORES: dict[str, Any] = {"flood": {"precision": 0.9, "recall": 0.75, "iou": 0.692}}


def test_sheet_states_where_when_how_much_and_what_is_not_seen(event: Files) -> None:
    sheet = sheet_of(event_view(opened(event)), None)
    to_degrees = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(400500, 5000400)
    assert sheet.facts == {
        "Seen": "2023-05-14 16:58 UTC",
        "By": "S1A IW GRD, ascending, orbit 44",
        "Compared with": "2023-05-02 16:58 UTC",
        "Where": f"around {latitude:.3f}° N, {longitude:.3f}° E",
        "Grid": "1.0 x 0.8 km, pixels of 10 m, EPSG:32633",
    }
    assert sheet.unseen == [("no data: outside the image", "4.0 ha"), ("layover", "1.0 ha")]
    assert {zone: unseen for zone, _, unseen in sheet.zones} == {
        "west": "5.0\u202f%",
        "east": "7.3\u202f%",  # layover, too
    }
    assert any("1.0 ha aren't observable" in line for line in sheet.checks)
    assert sheet.sure[-1] == "Nobody has checked this map against what was seen on the ground."


def test_doubtful_flood_is_to_be_looked_at_first(event: Files) -> None:
    layers = opened(event)
    sure = sheet_of(event_view(layers), None)
    assert "100\u202f% of the flood a likelihood of water of 90" in sure.sure[0]
    assert not any("likelihood below" in line for line in sure.checks)
    percent = np.where(np.mgrid[:80, :100][1] < 45, 60, 80).astype("uint8")
    doubtful = sheet_of(event_view(replace(layers, percent=percent)), None)
    assert "0\u202f% of the flood a likelihood of water of 90" in doubtful.sure[0]
    first = "50\u202f% of the flood has a likelihood below"
    assert any(line.startswith(first) for line in doubtful.checks)


def test_flooded_vegetation_is_told_from_open_water(event: Files) -> None:
    layers = opened(event)
    view = event_view(layers)
    assert view["vegetation"] is None
    assert not any("vegetation" in line for line in sheet_of(view, None).sure)

    reasons = layers.reasons[:].copy()
    reasons[20:30, 30:60] = Reason.UNDER_PLANTS.value
    view = event_view(replace(layers, reasons=reasons))
    assert view["vegetation"]["pixels"] == 300
    assert list(view["excluded"]) == ["layover"]
    assert any(
        line.startswith("3.0 ha of the flood are flooded") for line in sheet_of(view, None).sure
    )
    assert "flooded vegetation: brighter than before" in map_page("dunlin", [view], [])


def test_scores_are_put_into_words(event: Files) -> None:
    sure = sheet_of(event_view(opened(event)), SCORES).sure
    assert "Of the flood on the map, 90\u202f% is true." in sure
    assert "Of the true flood, 75\u202f% is on the map." in sure
    assert "Both together: IoU 0.692." in sure


def test_sheet_warns_where_nothing_told_what_was_water_before(event: Files) -> None:
    warning = "Rivers and lakes count as flood: nothing shows what was water before."
    layers = opened(event)
    assert warning not in sheet_of(event_view(layers), None).checks
    sheet = sheet_of(event_view(replace(layers, before=None)), None)
    assert warning in sheet.checks
    assert sheet.facts["Compared with"] == "no image before the flood"


def test_scene_without_georeference_has_a_sheet(plain_event: Files) -> None:
    sheet = sheet_of(event_view(opened(plain_event)), None)
    assert sheet.facts["Where"] == "unknown: the scene has no georeference"
    assert "Grid" not in sheet.facts
    assert sheet.unseen[0] == ("no data: outside the image", "400 px")
