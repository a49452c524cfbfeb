from pathlib import Path

import numpy as np
import pytest

from floodloom.learning.relabelling.audit import Audit
from floodloom.raster.recipe import Recipe
from floodloom.report.examples import PALETTE, example_tiles
from floodloom.report.results import (
    Trained,
    audit_views,
    calibration_chart,
    runtimes,
    trained_rows,
    training_charts,
)
from floodloom.tiles.store import tile_dataset
from tests.report.test_images import decoded
from tests.report.test_pages import _audit

CURVE = {
    "expected_calibration_error": 0.02,
    "count": [0, 5],
    "confidence": [None, 0.9],
    "accuracy": [None, 0.88],
}


def metadata(epochs: int, **changes: object) -> dict[str, object]:
    history = [
        {"epoch": n + 1, "loss": 1 / (n + 1), "iou": n / 10, "seconds": 2.0} for n in range(epochs)
    ]
    return {
        "architecture": "unet",
        "arguments": {"width": 8},
        "history": history,
        "notes": {},
        "training": {},
        "scores": {"iou": 0.5, "f1": 0.6},
        "temperature": 1.1,
        **changes,
    }


def test_models_are_listed_and_drawn_by_phase() -> None:
    kept = {"kept": "initial weights", "reason": "poor", "likelihood": {"weight": 0.25}}
    judged = {"teacher_iou": 0.9, "student_iou": 0.95}
    taught, given_up = ({"taught": taught, **judged} for taught in (True, False))
    checkpoints = [
        Trained("unet-0", "round-0", metadata(3, notes={"kept": "new weights"}, training=taught)),
        Trained("unet-1", "round-0", metadata(3, training=given_up)),
        Trained("unet-0", "round-1", metadata(0, notes=kept, scores={})),
    ]
    rows = trained_rows(checkpoints)
    assert [row["seconds"] for row in rows] == [6.0, 6.0, 0]
    assert [row["note"] for row in rows] == [
        "IoU 0.950 where held-out tiles show an optical image, its teacher's 0.900",
        "learnt from the labels alone, better on held-out tiles than taught: where they show an "
        "optical image, a taught one had IoU 0.950, its teacher 0.900",
        "initial weights kept: poor; weighs in the local likelihood of a scene, 0.25",
    ]
    assert rows[2]["iou"] is None
    (phase,) = training_charts(checkpoints)
    assert phase["phase"] == "round-0"
    assert [chart.count("<polyline") for chart in phase["charts"]] == [2, 2]


def test_audits_come_in_the_order_of_their_rounds() -> None:
    calibration = {"temperature": 1.0, "before": CURVE, "after": CURVE}
    audits = [
        Audit.model_validate({**_audit(), "round": n, "calibration": calibration}) for n in (2, 1)
    ]
    views = audit_views(audits, {2: [{"name": "a"}]})
    assert [view["round"] for view in views] == [1, 2]
    assert [view["examples"] for view in views] == [[], [{"name": "a"}]]
    assert "expected calibration error 0.0200" in views[0]["charts"][0]
    assert calibration_chart({"test": CURVE}).count("<circle") == 1


def test_runtimes_are_summed_by_stage(tmp_path: Path) -> None:
    (tmp_path / "tile").mkdir()
    (tmp_path / "tile" / "a.tsv").write_text("s\th:m:s\tmax_rss\n2.5\t0:00:02\t100.5\n")
    (tmp_path / "tile" / "b.tsv").write_text("s\th:m:s\tmax_rss\n4.0\t0:00:04\t-\n")
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "summary.tsv").write_text("s\th:m:s\tmax_rss\n0.2\t0:00:00\tNA\n")
    found = runtimes(tmp_path, ("evaluate", "tile", "train"))
    assert [stage.stage for stage in found] == ["evaluate", "tile"]
    tile = found[1]
    assert (tile.jobs, tile.seconds, tile.longest, tile.memory) == (2, 6.5, 4.0, 100.5)
    assert found[0].memory is None
    assert runtimes(tmp_path / "nowhere", ("tile",)) == []


def labelled(count: int = 9, bands: tuple[str, ...] = ("vv",)) -> object:
    label = np.zeros((count, 32, 32), "uint8")
    for number in range(count):
        label[number, :, : 4 + number] = 1
    label[:, 0] = 255
    image = np.where(label == 1, -1.0, 1.0).astype("float32")[:, np.newaxis]
    image = np.repeat(image, len(bands), axis=1)
    image[:, :, -1, -1] = np.nan
    names = [f"t{n}" for n in range(count)]
    index = {
        "tile_id": names,
        "event": ["e"] * count,
        "scene": ["s"] * count,
        "split": ["train"] + ["test"] * (count - 1),
        "row": list(range(count)),
        "col": [0] * count,
    }
    recipe = Recipe(quantity="gamma0", bands=bands)
    return tile_dataset(image, label, index, recipe, ("dry", "water"))


def four_columns_of_water(images: np.ndarray) -> np.ndarray:
    water = np.zeros_like(images[:, 0])
    water[:, :, :8] = 1
    water[~np.isfinite(images).all(axis=1)] = np.nan
    return np.stack([1 - water, water], axis=1)


def test_examples_run_from_the_worst_to_the_best_held_out_tile() -> None:
    shown = example_tiles(labelled(), four_columns_of_water, 3)
    scores = [tile["iou"] for tile in shown]
    assert scores == sorted(scores)
    assert scores[-1] == 1.0
    assert scores[0] == pytest.approx(5 / 8)
    assert {tile["split"] for tile in shown} == {"test"}
    assert example_tiles(labelled(), four_columns_of_water, 0) == []


def test_panels_paint_what_was_right_wrong_and_unknown() -> None:
    shown = example_tiles(labelled(), four_columns_of_water, 9)
    worst = shown[0]
    assert [name for name, _ in worst["panels"]] == ["vv", "label", "prediction"]
    prediction = np.asarray(decoded(worst["panels"][-1][1]))
    water = int(worst["name"][1:]) + 4
    assert tuple(prediction[5, 2]) == PALETTE["water"]
    assert tuple(prediction[5, 7]) == PALETTE["false alarm"]
    assert tuple(prediction[5, 20]) == PALETTE["dry"]
    assert tuple(prediction[0, 2]) == PALETTE["unknown"]
    assert tuple(prediction[-1, -1]) == PALETTE["unknown"]
    label = np.asarray(decoded(worst["panels"][1][1]))
    assert tuple(label[5, water - 1]) == PALETTE["water"]
    assert tuple(label[5, water]) == PALETTE["dry"]
    wide = next(tile for tile in shown if tile["name"] == "t8")
    missed = np.asarray(decoded(wide["panels"][-1][1]))
    assert tuple(missed[5, 10]) == PALETTE["missed"]


def test_pre_event_band_has_its_own_panel() -> None:
    tiles = labelled(bands=("before_vv", "vv"))
    (tile, *_) = example_tiles(tiles, four_columns_of_water, 2)
    assert [name for name, _ in tile["panels"]] == ["vv before", "vv", "label", "prediction"]


def test_tiles_without_labels_give_no_example() -> None:
    tiles = labelled()
    tiles["label"][:] = 255
    for name in ("dry", "water"):
        tiles[f"fraction_{name}"][:] = 0
    assert example_tiles(tiles, four_columns_of_water, 3) == []
