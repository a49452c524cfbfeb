"""Scores of maps that are read by strips are those of the whole rasters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from floodloom.arrays import Bytes
from floodloom.learning.metrics.foreground import OBJECT_IOU, score_foreground
from floodloom.learning.metrics.pixels import Counts
from floodloom.mapping.settings import EvaluateSettings
from floodloom.raster.cog import write_cog
from floodloom.stages.evaluate import evaluate

SHAPE = (1031, 67)
GRID = GeoBox(SHAPE, Affine(10, 0, 500000, 0, -10, 5000000), "EPSG:32633")
SCORED_WITH = {"beta": EvaluateSettings().beta, "object_iou": OBJECT_IOU}


def written(folder: Path, name: str, values: Bytes, product: str, grid: GeoBox = GRID) -> Path:
    path = folder / f"{name}.tif"
    tags = {"FLOODLOOM_PRODUCT": product}
    return write_cog(values, path, geobox=grid, nodata=255, descriptions=("x",), tags=tags)


def level(seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return ndimage.gaussian_filter(draw.normal(size=SHAPE), 4) * 15


def true_classes() -> Bytes:
    found = np.select([level(0) > 0.8, level(0) < -1.2], [2, 1], 0).astype("uint8")
    found[500:520, 10:30] = 255
    return found


def counted(found: np.ndarray, true: np.ndarray, scored: np.ndarray) -> Counts:
    pairs = ((found, true), (found, ~true), (~found, true), (~found, ~true))
    return Counts(*(int((one & other & scored).sum()) for one, other in pairs))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_flood_map_of_several_strips(threads: int, tmp_path: Path) -> None:
    truth, other = true_classes(), level(0) + 0.4 * level(1)
    found = np.select([other > 0.8, other < -1.2], [2, 1], 0).astype("uint8")
    found[100:130], found[600:700, :9] = 3, 255
    out = evaluate(
        prediction=[written(tmp_path, "map", found, "flood_map")],
        truth=[written(tmp_path, "truth", truth, "truth")],
        out=tmp_path / "e.json",
        threads=threads,
    )
    scores = json.loads(out.read_text())
    known = truth != 255
    seen = known & (found != 255)
    flood = counted(found == 2, truth == 2, seen)
    assert scores["flood"] == flood.scores()
    water = counted((found == 1) | (found == 2), (truth == 1) | (truth == 2), seen)
    assert scores["water"] == water.scores()
    assert scores["undecided"] == {
        "excluded": round(float((found[known] == 3).mean()), 6),
        "nodata": round(float((found[known] == 255).mean()), 6),
    }
    whole = score_foreground(
        np.where(found == 2, np.uint8(100), np.uint8(0)),
        np.where(seen, truth == 2, 255),
        scale=100,
        rows=SHAPE[0],
        **SCORED_WITH,
    )
    assert whole.counts == flood
    assert whole.objects.tp > 20
    expected = whole.as_dict(SCORED_WITH["beta"])
    assert scores["further"] == {**SCORED_WITH, **expected}


def test_a_probability_of_several_strips_on_another_grid_than_the_truth(tmp_path: Path) -> None:
    """The first flood of the truth lies below the first strip: it counts above as well."""
    truth = true_classes()
    truth[:600][truth[:600] == 2] = 1
    percent = np.rint(100 / (1 + np.exp(-3 * (level(0) + 0.4 * level(1))))).astype("uint8")
    percent[800:850] = 255
    wider = GRID.pad(3)
    known = np.pad(truth, 3, constant_values=255)
    out = evaluate(
        prediction=[written(tmp_path, "percent", percent, "water_probability")],
        truth=[written(tmp_path, "truth", known, "truth", wider)],
        out=tmp_path / "e.json",
    )
    scores = json.loads(out.read_text())
    seen = (truth != 255) & (percent != 255)
    wet = (percent >= 50) & (percent != 255)
    assert scores["flood"] == counted(wet, truth == 2, seen & (truth != 1)).scores()
    assert scores["water"] == counted(wet, (truth == 1) | (truth == 2), seen).scores()
    label = np.where(seen & (truth != 1), truth == 2, 255)
    whole = score_foreground(percent, label, scale=100, rows=SHAPE[0], **SCORED_WITH)
    expected = whole.as_dict(SCORED_WITH["beta"])
    assert scores["further"] == {**SCORED_WITH, **expected}
