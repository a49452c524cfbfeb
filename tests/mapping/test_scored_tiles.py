"""Tiles whose labels say nothing, or something that is no class, have no score."""

import json
from pathlib import Path

import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.learning.metrics.pixels import confusion_matrix
from floodloom.learning.relabelling.audit import HeldOutScores
from floodloom.learning.relabelling.held_out import scores_by_event
from floodloom.mapping.settings import EvaluateSettings
from floodloom.stages.evaluate import evaluate
from floodloom.tiles.store import open_tiles, tile_dataset, write_tiles
from tests.mapping.conftest import INPUTS, as_inputs, flooded


def stored(path: Path, label: np.ndarray) -> Path:
    """A store of three tiles of 64 px, each of its own event, with these labels."""
    images = np.stack([as_inputs(flooded(64, 64, seed)[0]).values for seed in range(3)])
    index = {
        name: [f"{name}{number}" for number in range(3)] for name in ("tile_id", "event", "scene")
    }
    index |= {"split": ["test"] * 3, "row": [0, 0, 0], "col": [0, 64, 128]}
    return write_tiles(tile_dataset(images, label, index, INPUTS, ("dry", "water")), path)


def truth() -> np.ndarray:
    return np.stack([flooded(64, 64, seed)[1] for seed in range(3)]).astype("uint8")


def test_an_event_without_labels_has_no_score(checkpoints, tmp_path) -> None:
    label = truth()
    label[1] = 255
    out = evaluate(
        tiles=[stored(tmp_path / "t.zarr", label)],
        checkpoint=checkpoints[:1],
        out=tmp_path / "e.json",
    )
    scores = json.loads(out.read_text())
    assert scores["by_event"]["event1"]["water"] == {
        "iou": None, "f1": None, "precision": None, "recall": None,
        "tp": 0, "fp": 0, "fn": 0, "tn": 0,
    }  # fmt: skip
    assert scores["by_event"]["event0"]["water"]["iou"] > 0
    assert 0 < scores["tiles"]["mean_of_chip_macro_jaccard"] < 1


def test_further_scores_come_by_event_and_together_and_follow_beta(checkpoints, tmp_path) -> None:
    tiles = [stored(tmp_path / "t.zarr", truth())]
    found = []
    for settings in (EvaluateSettings(), EvaluateSettings(beta=1)):
        out = evaluate(
            tiles=tiles, checkpoint=checkpoints[:1], out=tmp_path / "e.json", settings=settings
        )
        found.append(json.loads(out.read_text()))
    usual, other = found
    assert usual["further"] == usual["tiles"]["further"]
    assert usual["further"]["images"] == 3
    events = [usual["by_event"][f"event{number}"]["further"] for number in range(3)]
    assert sum(event["objects"]["fn"] for event in events) == usual["further"]["objects"]["fn"]
    assert other["further"]["pooled"]["f_beta"] == pytest.approx(other["water"]["f1"])
    assert usual["further"]["pooled"]["f_beta"] != other["further"]["pooled"]["f_beta"]
    assert usual["further"]["object_iou"] == 0.5
    assert usual["further"]["objects"] == other["further"]["objects"]
    counts = usual["water"]
    right = (counts["tp"] + counts["tn"]) / sum(counts[name] for name in ("tp", "fp", "fn", "tn"))
    assert usual["further"]["pooled"]["accuracy"] == pytest.approx(right)


@pytest.mark.parametrize("strange", [2, 7, 254])
def test_a_label_that_is_no_class_is_not_land(checkpoints, tmp_path, strange: int) -> None:
    label = truth()
    label[2, :5] = strange
    tiles = stored(tmp_path / "t.zarr", label)
    with pytest.raises(InputError, match=f"label {strange} is no class"):
        evaluate(tiles=[tiles], checkpoint=checkpoints[:1], out=tmp_path / "e.json")
    for wrong in (strange, -strange):
        signed = np.where(label == strange, wrong, label.astype("int16"))
        with pytest.raises(InputError, match=f"label {wrong} is no class"):
            confusion_matrix(np.zeros_like(label), signed, 2)


def test_tiles_without_any_label_are_refused(checkpoints, tmp_path) -> None:
    tiles = stored(tmp_path / "t.zarr", np.full((3, 64, 64), 255, "uint8"))
    with pytest.raises(InputError, match="no labelled tile to score"):
        evaluate(tiles=[tiles], checkpoint=checkpoints[:1], out=tmp_path / "e.json")


def test_an_audit_has_no_score_of_events_without_labels(tmp_path) -> None:
    label = truth()
    label[0] = 255
    tiles = open_tiles(stored(tmp_path / "t.zarr", label))

    def perfect(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full((len(images), 64, 64), 0.9, "float32"), truth()

    found = scores_by_event(tiles, perfect, 2)
    assert found.pooled.iou == found.by_event["event1"].iou == 1.0
    assert found.by_event["event0"] == HeldOutScores(tiles=1)
