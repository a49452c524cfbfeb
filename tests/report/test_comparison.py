"""A map beside that of a baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from odc.geo.xr import assign_crs, xr_coords

from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.report.comparison import compare_with_baseline
from floodloom.report.scene import EventLayers
from floodloom.settings import arguments_of
from floodloom.stages.report import report
from tests.classical.conftest import disc, power
from tests.report.conftest import GRID, Files
from tests.report.test_images import decoded
from tests.report.test_pages import needs_network, opened

SHAPE = tuple(GRID.shape.yx)
LAKE, FLOOD = (disc(row, col, 22, 200)[:80, :100] for row, col in ((25, 25), (50, 70)))


def radar(water: np.ndarray, seed: int) -> xr.Dataset:
    """A scene of sure water, on the grid of the event."""
    bands = {"vv": (("y", "x"), power(water, seed))}
    made = assign_crs(xr.Dataset(bands).assign_coords(xr_coords(GRID)), GRID.crs)
    return stamp(made, Recipe(quantity="gamma0", spacing=10.0))


@pytest.fixture
def layers(event: Files) -> EventLayers:
    """A lake and a flood; the model finds the flood and a part of the lake, and some land."""
    model = FLOOD | (LAKE & (np.mgrid[:80, :100][1] < 25))
    model[70:, :10] = True
    percent = np.where(model, 90, 4).astype("uint8")
    percent[:3] = 255
    classes = np.where(FLOOD, 2, np.where(LAKE, 1, 0)).astype("uint8")
    return replace(
        opened(event), percent=percent, classes=classes,
        scene=radar(LAKE | FLOOD, 1), before=radar(LAKE, 2),
    )  # fmt: skip


def test_areas_and_the_picture_are_those_of_the_pixels(layers: EventLayers) -> None:
    found = compare_with_baseline(layers, "otsu", 100)
    known = layers.percent != 255
    truth, model = LAKE | FLOOD, layers.percent >= 50
    expected = {
        "both": truth & model & known,
        "map_only": ~truth & model & known,
        "baseline_only": truth & ~model & known,
        "neither": ~truth & ~model & known,
    }
    for name, mask in expected.items():
        assert found[name]["pixels"] == pytest.approx(mask.sum(), abs=0.04 * 8000)
        assert found[name]["ha"] == pytest.approx(found[name]["pixels"] / 100, rel=2e-3)
    pixels = {name: found[name]["pixels"] for name in expected}
    assert sum(pixels.values()) == known.sum()
    assert found["map"]["pixels"] == (model & known).sum()
    assert found["water"]["pixels"] == pixels["both"] + pixels["baseline_only"]
    differ = pixels["map_only"] + pixels["baseline_only"]
    assert found["disagreement"] == pytest.approx(differ / known.sum())
    assert found["iou"] == pytest.approx(pixels["both"] / (pixels["both"] + differ))
    image = np.asarray(decoded(found["image"]))
    orange = (image == (230, 85, 13)).all(axis=-1)
    assert orange.sum() == pixels["map_only"]
    assert orange[75:, :5].all()
    assert (image[:3] == (190, 186, 174)).all()


def test_new_water_is_compared_with_the_flood(layers: EventLayers) -> None:
    found = compare_with_baseline(layers, "change", 100)
    assert found["new"]
    assert found["both"]["pixels"] > 0.9 * FLOOD.sum()
    assert found["map"]["pixels"] == (layers.classes == 2).sum()
    assert found["water"]["pixels"] == pytest.approx(FLOOD.sum(), rel=0.1)


def test_without_what_a_baseline_needs_there_is_no_comparison(layers: EventLayers) -> None:
    assert compare_with_baseline(replace(layers, before=None), "change", 100) is None
    assert compare_with_baseline(replace(layers, scene=None), "hsba", 100) is None


def test_the_report_shows_it_where_it_is_asked_for(event: Files, tmp_path: Path) -> None:
    def page(**settings: object) -> str:
        given = {
            "maps": [event.map], "stac_items": [event.item], "scenes": [event.scene],
            "probabilities": [event.probability], "out": tmp_path / "report.html",
            "map_page": tmp_path / "map.html", **settings,
        }  # fmt: skip
        report(**arguments_of(report, given))
        return (tmp_path / "report.html").read_text()

    assert "Beside the baseline" not in page()
    shown = page(baseline="otsu")
    assert "Beside the baseline otsu" in shown
    assert "by otsu alone" in shown
    assert needs_network(shown) == []
