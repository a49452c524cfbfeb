"""The stages teach, distill, train and relabel on tiny tile stores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from floodloom.digest import code_digest
from floodloom.errors import CheckpointError, RecipeMismatchError, TrainingError
from floodloom.learning.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from floodloom.learning.data.zarr_tiles import ZarrTiles
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.relabelling.acceptance import MOST_IOU_FALL
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.learning.training.settings import TrainSettings
from floodloom.stages.relabel import relabel
from floodloom.stages.train import train
from floodloom.tiles.store import concatenate_tiles, open_tiles, write_tiles
from tests.learning.conftest import QUICK
from tests.privacy import host, telling


@pytest.fixture(scope="module")
def trained(stores) -> Path:
    out = stores["folder"] / "model.safetensors"
    return train(
        tiles=[stores["train"], stores["validation"]], out=out, settings=TrainSettings(**QUICK)
    )


def test_train_writes_a_checkpoint_that_works(stores, trained):
    metadata = read_metadata(trained)
    assert metadata["scores"]["iou"] > 0.8
    assert metadata["classes"] == ["dry", "water"]
    assert metadata["recipe"]["bands"] == ["vv", "vh"]
    assert metadata["code"] == code_digest("train", TrainSettings(**QUICK).modules())
    assert len(metadata["history"]) == QUICK["epochs"]
    journal = trained.with_suffix(".history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in journal] == metadata["history"]
    tiles = open_tiles(stores["validation"])
    probability = load_ensemble(trained).probabilities(tiles.image.values)
    prediction = np.nan_to_num(probability).argmax(axis=1)
    label = np.where(np.isnan(probability[:, 0]), 255, tiles.label.values)
    found = foreground_scores(confusion_matrix(prediction, label, 2))["iou"]
    assert found == pytest.approx(metadata["scores"]["iou"], abs=1e-3)


def test_train_repeats_itself(stores, trained, tmp_path):
    again = train(
        tiles=[stores["train"], stores["validation"]],
        out=tmp_path / "b.safetensors",
        settings=TrainSettings(**QUICK),
    )
    first, second = load_checkpoint(trained).weights, load_checkpoint(again).weights
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_checkpoint_says_what_the_training_tiles_held(trained):
    record = read_metadata(trained)["training"]
    assert record["class_fractions"][1] == pytest.approx(0.35, abs=0.03)
    assert record["bands"]["vv"]["unit"] == "dB"
    assert -14 < record["bands"]["vv"]["mean"] < -11


def test_where_tiles_lie_changes_nothing(stores, trained, tmp_path):
    tiles = [stores["train"], stores["validation"]]
    out = tmp_path / "streamed.safetensors"
    streamed = train(tiles=tiles, out=out, settings=TrainSettings(memory_gib=0.0, **QUICK))
    first, second = load_checkpoint(trained).weights, load_checkpoint(streamed).weights
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_pickle_is_no_start(stores, tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.pt: .*pickled checkpoints"):
        train(tiles=[stores["train"]], init=tmp_path / "model.pt", out=tmp_path / "x.safetensors")


@pytest.fixture
def little_water(monkeypatch):
    """More water than there is in most tiles leaves the limits."""
    monkeypatch.setattr("floodloom.learning.relabelling.acceptance.MOST_WATER", 0.01)


def relabelled(stores, trained, folder, previous=None, **options):
    audit = folder / "audit.json"
    out = relabel(
        tiles=[stores["target"]],
        validation=[stores["train"], stores["validation"]],
        checkpoints=trained if isinstance(trained, list) else [trained],
        out=folder / "pseudo.zarr",
        audit=audit,
        previous=previous,
        settings=RelabelSettings(**options),
    )
    return out, json.loads(audit.read_text())


def go_on(stores, trained, pseudo, folder, **settings) -> Path:
    """Train on labels and the pseudo labels of `relabelled`."""
    return train(
        tiles=[stores["train"], stores["validation"]],
        pseudo=[pseudo],
        init=trained,
        audit=folder / "audit.json",
        out=folder / "tuned.safetensors",
        settings=TrainSettings(**settings),
    )


def test_relabel_then_train_further(stores, trained, make_tiles, tmp_path):
    pseudo, audit = relabelled(stores, trained, tmp_path, thresholds=(0.8,))
    assert audit["accepted"]
    assert audit["calibration"]["after"]["expected_calibration_error"] < 0.1
    tiles = open_tiles(pseudo)
    assert tiles.sizes["tile"] == audit["tiles"]["kept"] > 0
    assert set(tiles.split.values) == {"train"}
    label = tiles.label.values
    kept = label != 255
    truth = make_tiles(12, "target", seed=2, event="target")
    order = [truth.tile_id.values.tolist().index(name) for name in tiles.tile_id.values]
    assert 0 < kept.mean() < 0.95
    assert (label == truth.label.values[order])[kept].mean() > 0.95
    assert audit["passed_gate"]["water"]["pixels"] == (label == 1).sum()
    tuned = go_on(stores, trained, pseudo, tmp_path, fine_tune_epochs=2, **QUICK)
    places = [str(tmp_path), str(stores["folder"]), tmp_path.name]
    assert telling(tmp_path, [*places, *host()]) == []
    notes = read_metadata(tuned)["notes"]
    least = notes["initial_iou"] - MOST_IOU_FALL
    assert notes["kept"] == ("new weights" if notes["learned_iou"] >= least else "initial weights")
    noted = notes["likelihood"]
    assert noted["weight"] <= audit["greatest_likelihood"] == 1.0
    assert noted["tried"][f"{noted['weight']:g}"] >= noted["tried"]["0"]


@pytest.mark.usefixtures("little_water")
@pytest.mark.parametrize("greatest", [0.0, 0.5])
def test_the_likelihood_weighs_no_more_than_in_relabelling(stores, trained, tmp_path, greatest):
    """In a refused round, too."""
    pseudo, audit = relabelled(stores, trained, tmp_path, likelihood=greatest)
    assert not audit["accepted"]
    assert audit["greatest_likelihood"] == greatest
    passed = go_on(stores, trained, pseudo, tmp_path)
    notes = read_metadata(passed)["notes"]
    assert ("likelihood" in notes) == (greatest > 0)
    if greatest:
        assert max(map(float, notes["likelihood"]["tried"])) == greatest


def test_labels_of_the_target_are_never_read(stores, trained, make_tiles, tmp_path):
    lying = make_tiles(12, "target", seed=2, event="target")
    write_tiles(lying.assign(label=1 - lying.label), tmp_path / "lying.zarr")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    honest, _ = relabelled(stores, trained, tmp_path / "a")
    misled, _ = relabelled({**stores, "target": tmp_path / "lying.zarr"}, trained, tmp_path / "b")
    np.testing.assert_array_equal(open_tiles(honest).label, open_tiles(misled).label)


@pytest.fixture
def many(stores, make_tiles, tmp_path) -> dict[str, Path]:
    """More target tiles than are read or predicted at once; a third of them is dry."""
    tiles = [
        make_tiles(140, "target", seed=2, labelled=False, event="target"),
        make_tiles(70, "target", seed=3, labelled=False, event="dry", contrast=0.0),
    ]
    return {**stores, "target": write_tiles(concatenate_tiles(tiles), tmp_path / "many.zarr")}


@pytest.mark.parametrize("gate", ["pixel", "paul-ganju"])
def test_labels_do_not_depend_on_how_many_tiles_are_held(
    many, trained, tmp_path, monkeypatch, gate
):
    options = {"gate": gate, "tta": False, "portions": (0.06,), "thresholds": (1.0,)}
    found = []
    for at_once in (512, 16):
        monkeypatch.setattr("floodloom.learning.data.zarr_tiles._AT_ONCE", at_once)
        monkeypatch.setattr("floodloom.raster.store._STACK_SHARD", at_once)
        folder = tmp_path / str(at_once)
        folder.mkdir()
        out, audit = relabelled(many, trained, folder, **options)
        found.append((open_tiles(out).load(), audit))
    (whole, audit), (parts, audit_of_parts) = found
    assert 0 < whole.sizes["tile"] < 210
    assert whole.identical(parts)
    assert audit == audit_of_parts


def test_tiles_are_read_some_at_a_time(many, trained, tmp_path, monkeypatch):
    read, counts = ZarrTiles.read, []

    def counted(self, chosen):
        counts.append(len(chosen))
        return read(self, chosen)

    monkeypatch.setattr(ZarrTiles, "read", counted)
    _, audit = relabelled(many, trained, tmp_path, tta=False)
    assert audit["tiles"]["offered"] == 210
    assert sum(counts) > 210
    assert max(counts) <= 128
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.usefixtures("little_water")
def test_a_refused_round_passes_the_model_on(stores, trained, tmp_path):
    pseudo, audit = relabelled(stores, trained, tmp_path)
    assert not audit["accepted"]
    assert "outside 0.10% to 1.00%" in audit["reason"]
    assert open_tiles(pseudo).sizes["tile"] == 0
    passed = train(
        tiles=[stores["train"]], pseudo=[pseudo], init=trained, out=tmp_path / "p.safetensors"
    )
    first, second = load_checkpoint(trained).weights, load_checkpoint(passed).weights
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert read_metadata(passed)["notes"]["reason"] == "no pseudo labels"


@pytest.fixture(scope="module")
def inverted(stores) -> Path:
    """A network that takes land for water, and water for land."""
    tiles = open_tiles([stores["train"], stores["validation"]]).load()
    store = write_tiles(tiles.assign(label=1 - tiles.label), stores["folder"] / "wrong.zarr")
    return train(
        tiles=[store], out=stores["folder"] / "wrong.safetensors", settings=TrainSettings(**QUICK)
    )


def test_a_bad_first_model_labels_nothing_and_is_replaced(stores, inverted, tmp_path):
    labels = [stores["train"], stores["validation"]]
    pseudo, audit = relabelled(stores, inverted, tmp_path)
    assert audit["reason"].endswith("below 0.3")
    assert list(audit["left_out"]) == [inverted.name]
    assert open_tiles(pseudo).sizes["tile"] == 0
    anew = train(
        tiles=labels,
        pseudo=[pseudo],
        init=inverted,
        audit=tmp_path / "audit.json",
        out=tmp_path / "anew.safetensors",
        settings=TrainSettings(**QUICK),
    )
    fresh = train(tiles=labels, out=tmp_path / "fresh.safetensors", settings=TrainSettings(**QUICK))
    first, second = load_checkpoint(fresh).weights, load_checkpoint(anew).weights
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_flood_of_another_sensor_is_learnt_with_its_statistics(
    stores, trained, make_tiles, tmp_path
):
    truth = make_tiles(12, "target", seed=2, event="target")
    bright = truth.assign(image=(truth.image + 12.0 / 35).clip(-1, 1))
    write_tiles(bright, tmp_path / "bright.zarr")
    pseudo, audit = relabelled({**stores, "target": tmp_path / "bright.zarr"}, trained, tmp_path)
    assert audit["batch_statistics"] == ["the target's"]
    tuned = go_on(stores, trained, pseudo, tmp_path, **QUICK)

    def iou(path):
        predicted = load_ensemble([path]).probabilities(bright.image.values).argmax(axis=1)
        return foreground_scores(confusion_matrix(predicted, truth.label.values, 2))["iou"]

    assert read_metadata(tuned)["notes"]["batch_statistics"]["kept"] == "the target's"
    assert iou(tuned) > iou(trained) + 0.1


def test_dry_ground_of_another_sensor_labels_nothing(stores, trained, make_tiles, tmp_path):
    """Brighter by 3 dB, and without a flood: its dark fields look like water."""
    dry = make_tiles(12, "target", seed=2, labelled=False, event="target", contrast=1.0)
    bright = dry.assign(image=(dry.image + 6.0 / 35).clip(-1, 1))
    write_tiles(bright, tmp_path / "dry.zarr")
    pseudo, audit = relabelled({**stores, "target": tmp_path / "dry.zarr"}, trained, tmp_path)
    assert "the sensor is another" in audit["reason"]
    assert open_tiles(pseudo).sizes["tile"] == 0
    assert audit["greatest_likelihood"] == 0
    passed = go_on(stores, trained, pseudo, tmp_path)
    first, second = load_checkpoint(trained), load_checkpoint(passed)
    assert all(torch.equal(first.weights[name], w) for name, w in second.weights.items())
    assert "likelihood" not in second.notes


@pytest.mark.parametrize("decibel", [0.0, 6.0])
def test_another_sensor_does_not_teach_by_consistency(
    stores, trained, make_tiles, tmp_path, decibel
):
    there = make_tiles(12, "target", seed=2, labelled=False, event="target")
    moved = there.assign(image=(there.image + 2 * decibel / 35).clip(-1, 1))
    write_tiles(moved, tmp_path / "moved.zarr")
    settings = {"gate": "none", "batch_statistics": 0.0, "likelihood": 0.0}
    pseudo, audit = relabelled(
        {**stores, "target": tmp_path / "moved.zarr"}, trained, tmp_path, **settings
    )
    assert audit["accepted"] == (decibel == 0)
    assert open_tiles(pseudo).sizes["tile"] == (12 if decibel == 0 else 0)
    if decibel:
        assert "so its sensor is another" in audit["reason"]
        assert "choose pixel-gate" in audit["reason"]


def test_a_bad_member_of_an_ensemble_changes_nothing(stores, trained, inverted, tmp_path):
    alone, _ = relabelled(stores, trained, tmp_path)
    (tmp_path / "both").mkdir()
    both, audit = relabelled(stores, [trained, inverted], tmp_path / "both")
    np.testing.assert_array_equal(open_tiles(alone).label, open_tiles(both).label)
    assert list(audit["left_out"]) == [inverted.name]
    assert len(audit["checkpoints"]) == 2


def test_a_second_round_is_compared_with_the_first(stores, trained, tmp_path):
    first, _ = relabelled(stores, trained, tmp_path)
    (tmp_path / "second").mkdir()
    _, audit = relabelled(stores, trained, tmp_path / "second", previous=first, round=2)
    assert audit["round"] == 2
    assert audit["agreement_with_previous"] == 1.0


def test_only_target_tiles_are_labelled(stores, trained, tmp_path):
    pseudo, audit = relabelled({**stores, "target": stores["train"]}, trained, tmp_path)
    assert audit["tiles"] == {"offered": 0, "kept": 0}
    assert audit["reason"] == "no tile is in the split `target`"
    assert open_tiles(pseudo).sizes["tile"] == 0


def test_fine_tuning_that_harms_is_undone(stores, trained, tmp_path):
    kept = train(
        tiles=[stores["train"], stores["validation"]],
        init=trained,
        out=tmp_path / "harmed.safetensors",
        settings=TrainSettings(fine_tune_epochs=1, fine_tune_learning_rate=10.0, **QUICK),
    )
    first, second = load_checkpoint(trained).weights, load_checkpoint(kept).weights
    assert all(torch.equal(first[name], second[name]) for name in first)
    notes = read_metadata(kept)["notes"]
    assert notes["kept"] == "initial weights"
    assert notes["learned_iou"] < notes["initial_iou"]


def test_what_no_tile_shows_is_not_unlearned(stores, trained, tmp_path, caplog):
    tiles = open_tiles(stores["train"]).load()
    dry = tiles.assign(label=tiles.label.where(tiles.label == 255, 0).astype("u1"))
    write_tiles(dry, tmp_path / "dry.zarr")
    out, given = tmp_path / "x.safetensors", [tmp_path / "dry.zarr", stores["validation"]]
    settings = TrainSettings(fine_tune_epochs=1, **{**QUICK, "epochs": 1})
    with pytest.raises(TrainingError) as refused:
        train(tiles=given, init=trained, out=out, settings=settings)
    assert str(refused.value) == (
        "training tiles: no labelled pixel is water, so what the checkpoint to begin with knows of "
        "that would be lost; label some, or take that checkpoint as it is"
    )
    assert not out.exists()
    train(tiles=given, out=out, settings=settings)
    assert "no labelled pixel is water, so that can't be learned; label some" in caplog.text


def test_a_checkpoint_of_another_recipe_is_refused(stores, trained, make_tiles, tmp_path):
    other = make_tiles(4, "target")
    recipe = other.attrs["recipe"].replace("gamma0", "sigma0")
    write_tiles(other.assign_attrs(recipe=recipe), tmp_path / "other.zarr")
    with pytest.raises(RecipeMismatchError, match="quantity is 'sigma0' but 'gamma0'"):
        relabelled({**stores, "target": tmp_path / "other.zarr"}, trained, tmp_path)
    with pytest.raises(RecipeMismatchError, match="quantity"):
        train(tiles=[tmp_path / "other.zarr"], init=trained, out=tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_confidences_are_raw_without_calibration(stores, trained, tmp_path):
    """The temperature that a checkpoint was fitted with divides nothing, either."""
    sharpened = replace(load_checkpoint(trained), temperature=0.01)
    sharp = save_checkpoint(sharpened, tmp_path / "sharp.safetensors")
    found = []
    for checkpoint in (trained, sharp):
        place = tmp_path / checkpoint.stem
        place.mkdir()
        raw = {"calibrate": False, "likelihood": 0.0, "acceptance": False}
        found.append(relabelled(stores, checkpoint, place, **raw)[1])
    assert found[0]["confidence"] == found[1]["confidence"]
    assert found[0]["calibration"] == found[1]["calibration"]
