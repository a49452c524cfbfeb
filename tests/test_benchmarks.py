"""What the benchmarks work out for themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from benchmarks import choices
from benchmarks.choices_tables import choices_tables
from benchmarks.distill_ombria import RUN, Budget, Trainings, few_labelled, shrunk
from benchmarks.label_shift_pixels import PixelClassifier
from benchmarks.label_shift_tables import label_shift_tables
from benchmarks.labels import METHODS as LABEL_METHODS
from benchmarks.labels import Case
from benchmarks.labels_figure import draw
from benchmarks.labels_protocols import AMOUNTS, Ground, labelled_pixels, write_case
from benchmarks.labels_tables import AMOUNTS as TITLES
from benchmarks.labels_tables import FITTING, OF_PIXELS, fitting, labels_tables
from benchmarks.ombria_events import event_of_chips
from benchmarks.record import hardware, require_same_hardware
from benchmarks.relabel_protocols import halves
from benchmarks.zoo import FOLDS, PLANS, events_split, jobs
from benchmarks.zoo_tables import PUBLISHED_SIZES, VARIANTS, zoo_tables
from floodloom.adapters import Chips, chip_tiles
from floodloom.arrays import IGNORE
from floodloom.learning.losses import LOSSES
from floodloom.models.choices import UpsamplingName
from floodloom.models.registry import build, require_arguments
from floodloom.raster.recipe import Recipe
from floodloom.tiles.store import open_tiles, tile_dataset

SIZE = 64


def cut(seed: int, rows: int, cols: int) -> list[np.ndarray]:
    """Chips (band, y, x) of a scene whose pixels are like their neighbours, row by row."""
    noise = np.random.default_rng(seed).normal(size=(2, rows * SIZE, cols * SIZE))
    scene = np.stack([gaussian_filter(band, 2) for band in noise])
    return [
        scene[:, r * SIZE : (r + 1) * SIZE, c * SIZE : (c + 1) * SIZE]
        for r in range(rows)
        for c in range(cols)
    ]


def chips_of(images: list[np.ndarray], numbers: list[int]) -> Chips:
    count = len(images)
    return Chips(
        image=np.stack(images).astype(np.float32),
        label=np.zeros((count, SIZE, SIZE), dtype=np.uint8),
        optical=np.full((count, 0, SIZE, SIZE), np.nan, dtype=np.float32),
        names=[f"train_{number:04}" for number in numbers],
        events=["one"] * count,
        splits=["train"] * count,
        recipe=Recipe(quantity="display"),
        classes=("dry", "flood"),
        channels=(),
    )


def test_chips_of_a_scene_are_one_event() -> None:
    images = cut(0, 3, 4) + cut(1, 2, 5) + cut(2, 1, 1)
    numbers = [*range(1, 13), *range(20, 30), 40]
    order = np.random.default_rng(3).permutation(len(images))
    shuffled = chips_of([images[i] for i in order], [numbers[i] for i in order])
    events = event_of_chips(shuffled)
    expected = np.repeat([0, 1, 2], [12, 10, 1])
    np.testing.assert_array_equal(events, expected[order])


def test_a_chip_that_lies_within_a_scene_belongs_to_it() -> None:
    images = cut(0, 3, 4)
    images[5] = cut(9, 1, 1)[0]  # calm water, say, that is like nothing beside it
    np.testing.assert_array_equal(event_of_chips(chips_of(images, list(range(12)))), 0)


@pytest.mark.parametrize("fold", range(FOLDS))
def test_folds_share_no_event(fold: int) -> None:
    events = np.repeat(np.arange(20), np.random.default_rng(0).integers(1, 30, 20))
    split = events_split(events, fold)
    parts = [set(events[part]) for part in (split.training, split.validation, split.test)]
    assert all(parts)
    assert len(parts[0] | parts[1] | parts[2]) == sum(len(part) for part in parts)
    assert sum(len(p) for p in (split.training, split.validation, split.test)) == len(events)


def test_every_chip_is_tested_once() -> None:
    events = np.repeat(np.arange(20), 3)
    tested = np.concatenate([events_split(events, fold).test for fold in range(FOLDS)])
    np.testing.assert_array_equal(np.sort(tested), np.arange(60))


def test_shrunk_chips_keep_their_means_and_what_is_seen() -> None:
    optical = np.ones((2, 1, 64, 64), dtype=np.float32)
    optical[0, 0, :2, :3] = np.nan
    made = chips_of(cut(0, 1, 2), [1, 2])
    made.label[0, :2, :3] = 1
    recipe = made.recipe.for_inputs(("vv", "vh"))
    tiles = chip_tiles(replace(made, optical=optical, channels=("nir",), recipe=recipe))
    small = shrunk(tiles, 2)
    assert small.attrs == tiles.attrs
    assert small["label"].dtype == np.uint8
    np.testing.assert_allclose(
        small["image"].mean(("y", "x")), tiles["image"].mean(("y", "x")), atol=1e-6
    )
    np.testing.assert_array_equal(np.argwhere(small["label"].values), [[0, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(np.argwhere(small["optical"].isnull().values), [[0, 0, 0, 0]])
    assert shrunk(tiles, 1) is tiles


def test_events_are_halved_by_their_chips_and_none_is_in_both() -> None:
    names = np.repeat(["a", "b", "c", "d", "e"], [10, 7, 6, 3, 2])
    for seed in range(3):
        first, second = halves(names, seed)
        assert sorted(first + second) == ["a", "b", "c", "d", "e"]
        assert abs(int(np.isin(names, first).sum()) - 14) <= 2


def test_a_classifier_of_pixels_finds_the_log_odds() -> None:
    draw = np.random.default_rng(0)
    flood = draw.random(20_000) < 0.3
    features = (draw.normal(size=(1, 20_000)) + 2 * flood).astype(np.float32)
    margin = PixelClassifier.fit(features, flood).margin(features)
    expected = 2 * features[0] - 2 + np.log(0.3 / 0.7)
    np.testing.assert_allclose(margin, expected, atol=0.25)


def test_what_was_not_measured_says_so() -> None:
    scores = {"iou": 0.5, "called": 0.2, "true": 0.1}
    found = {"before": {"inductive": scores, "transductive": scores}}
    (table,) = label_shift_tables({"protocols": {"ombria-few": {"0": found}}})
    assert table.count(" not measured |") == 2 * 3 + 5 * 4
    assert table.count("| 0.100 | 0.500 / 0.200 | not measured |") == 2


def test_trainings_of_another_processor_are_not_mixed_in(tmp_path) -> None:
    path = tmp_path / "relabel.json"
    require_same_hardware(path, {})
    require_same_hardware(path, {"hardware": hardware()})
    with pytest.raises(SystemExit, match=r"relabel\.json: taken on Abacus, .* give another --name"):
        require_same_hardware(path, {"hardware": "Abacus"})


def pairs(count: int, test: int) -> Chips:
    """Training chips of which every second has an optical image, then test chips."""
    both = chips_of([np.zeros((2, SIZE, SIZE))] * (count + test), list(range(count + test)))
    optical = np.full((count + test, 1, SIZE, SIZE), np.nan, dtype=np.float32)
    optical[::2] = 0.5
    splits = ["train"] * count + ["test"] * test
    recipe = Recipe(quantity="display").for_inputs(("before_backscatter", "backscatter"))
    return replace(both, optical=optical, splits=splits, recipe=recipe, channels=("green",))


def test_few_chips_keep_their_labels_and_pairs_stay_without() -> None:
    tiles = few_labelled(chip_tiles(pairs(8 * RUN, 4)), 4, seed=1)
    hidden = (tiles["label"].values == IGNORE).all(axis=(1, 2))
    split = tiles["split"].values
    numbers = np.array([int(str(name).split("_")[1]) for name in tiles["tile_id"].values])
    labelled = ~hidden & (split != "test")
    assert labelled.sum() == 2 * RUN  # one run in four, and seed 1 names the second
    assert set(numbers[labelled] // RUN) == {1, 5}
    assert hidden.sum() == 3 * RUN  # half of the others have an optical image
    assert (split[hidden] == "unlabelled").all()
    assert (numbers[hidden] % 2 == 0).all()
    assert (split == "test").sum() == 4


def test_few_chips_are_trained_on_in_as_many_steps(tmp_path: Path) -> None:
    whole, budget = chip_tiles(pairs(8 * RUN, 4)), Budget(epochs=15, labelled_run=4)
    trainings = Trainings(few_labelled(whole, 4, seed=0), budget, 0, tmp_path)
    steps = {
        len(samples): len(samples) * trainings.plan(len(samples)).epochs
        for samples in (trainings.samples("train"), trainings.samples("all pairs"))
    }
    assert steps == {2 * RUN: 15 * 8 * RUN, 5 * RUN: 15 * 8 * RUN}


def test_every_kind_of_upsampling_and_every_loss_has_a_row() -> None:
    assert {"upsampling": get_args(UpsamplingName), "losses": LOSSES.names} == VARIANTS
    for part, variants in VARIANTS.items():
        assert part in PLANS
        assert [keys for keys, _ in jobs(part)] == [(part, variant) for variant in variants]
    row = {"parameters": 7, "iou": 0.5, "tta": {"iou": 0.6}, "macro_jaccard": 0.7}
    tables = "\n".join(zoo_tables({"losses": {"focal": row}}))
    assert "| focal | 7 | 0.500 | 0.600 | 0.700 |" in tables
    assert "| dice | not measured |" in tables
    assert "| bed_of_nails | not measured |" in tables


@pytest.mark.parametrize("name", PUBLISHED_SIZES)
def test_a_published_size_can_be_set_in_a_configuration(name: str) -> None:
    arguments = PUBLISHED_SIZES[name]
    require_arguments(name, {"in_channels": 3, "classes": 2, **arguments})
    with torch.device("meta"):
        build(name, 3, 2, **arguments)


def few_labels(count: int, events: int) -> xr.Dataset:
    """Tiles of several events, of which half of each is flooded."""
    label = np.zeros((count, SIZE, SIZE), dtype=np.uint8)
    label[:, : SIZE // 2] = 1
    names = [f"chip-{number}" for number in range(count)]
    index: dict[str, list[object]] = {
        "tile_id": list(names),
        "event": [f"event-{number % events}" for number in range(count)],
        "scene": list(names),
        "split": ["train"] * count,
        "row": [0] * count,
        "col": [0] * count,
    }
    recipe = Recipe(quantity="display").for_inputs(("backscatter",), normalisation="scene")
    image = np.zeros((count, 1, SIZE, SIZE), dtype=np.float32)
    return tile_dataset(image, label, index, recipe, ["dry", "flood"])


@pytest.mark.parametrize(
    ("amount", "chips", "pixels"),
    [("chips-50", 21, 21 * SIZE**2), ("chips-1", 2, 2 * SIZE**2), ("clicks-10", 42, 420),
     ("pixels-1", 42, 42 * round(0.01 * SIZE**2)), ("images", 42, 0)],
)  # fmt: skip
def test_unseen_ground_gives_no_label(tmp_path, amount, chips, pixels) -> None:
    tiles = few_labels(60, 10)
    left_out = np.isin(tiles.event.values, ["event-0", "event-4", "event-7"])
    write_case(Ground(tiles, left_out), AMOUNTS[amount], 3, tmp_path)
    labelled, unseen, unlabelled = (
        open_tiles(tmp_path / f"{name}.zarr") for name in ("labelled", "unseen", "unlabelled")
    )
    assert {*unseen.scene.values} == {*tiles.scene.values[left_out]}
    assert not {*unseen.scene.values} & {*labelled.scene.values, *unlabelled.scene.values}
    assert (unseen.label != IGNORE).all()
    assert (unlabelled.label == IGNORE).all()
    assert len(np.unique(labelled.scene)) == chips
    assert labelled_pixels(tmp_path) == pixels
    train = labelled.scene.values[labelled.split.values == "train"]
    held = labelled.scene.values[labelled.split.values == "validation"]
    assert not {*train} & {*held}
    assert len(train) >= 34
    if amount == "images":
        assert (labelled.tile_label == 1).all()


def test_seeds_label_different_chips(tmp_path) -> None:
    ground = Ground(few_labels(40, 4), np.arange(40) < 10)
    labelled = []
    for seed in range(2):
        write_case(ground, AMOUNTS["chips-50"], seed, tmp_path / str(seed))
        labelled.append({*open_tiles(tmp_path / str(seed) / "labelled.zarr").scene.values})
    assert labelled[0] != labelled[1]


def test_every_method_of_few_labels_has_a_row_and_unmeasured_ones_say_so() -> None:
    assert [*AMOUNTS] == [*TITLES]
    assert {*LABEL_METHODS} == {*OF_PIXELS, *(m for kind in FITTING.values() for m in kind)}
    scores = {"iou": 0.4, "precision": 0.5, "recall": 0.6, "labelled_pixels": 1234}
    found = {"clicks-3": {"festa": {"0": scores, "2": {**scores, "iou": 0.3}}}}
    found["chips-100"] = {"supervised": {"0": {**scores, "iou": 0.8}}}
    text = "\n".join(labels_tables({"rows": {"stac": found}, "seeds": [0, 1, 2]}))
    assert "kim" in fitting("stac", "none")
    assert "kim" not in fitting("ombria", "none")
    unmeasured = "not measured | " * 3
    assert f"| 3 clicks a chip | 1,234 | {unmeasured}0.400, –, 0.300 (50%) |" in text
    assert "| all chips in full | 1,234 | 0.800, –, – (100%) | not measured |" in text
    assert text.count("| not measured ") == 2 * (len(OF_PIXELS) - 1)
    assert "Not measured of ombria: 1 % of the chips, at least two; 5 %" in text
    assert [axis.get_title() for axis in draw({"stac": found}).axes] == ["stac", "stac, few chips"]


def test_two_seeds_are_no_evidence_of_a_choice_and_a_refused_round_gives_no_figure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = {"plain": {"0": 0.5, "1": 0.5, "2": 0.5}, "CutMix": {"0": 0.6, "2": 0.7}}
    text = "\n".join(choices_tables({"iou": scores}))
    assert (
        "| CutMix | 0.500 (0.500, 0.500) | 0.650 (0.600, 0.700) | +15.0 | in 2 of 2 seeds |" in text
    )

    case = Case(tmp_path, 0, 1, tmp_path, tmp_path)
    monkeypatch.setattr(Case, "relabelled", lambda case, preset: case.folder / "1.safetensors")
    for reason in (None, "too little water"):
        audit = SimpleNamespace(reason=reason)
        monkeypatch.setattr(choices, "read_audit", lambda path, audit=audit: audit)
        learn = choices.TRAININGS["UniMatch, ramp"].learn
        if reason is None:
            assert learn(case) == tmp_path / "1.safetensors"
        else:
            with pytest.raises(choices.RefusedRoundError, match=reason):
                learn(case)


def test_a_figure_of_few_labels_compares_within_a_seed() -> None:
    of = {name: {"iou": iou, "labelled_pixels": 1234} for name, iou in
          (("low", 0.4), ("high", 0.8), ("more", 0.9))}  # fmt: skip
    found = {
        "chips-5": {"supervised": {"0": of["low"], "1": of["high"]},
                    "pretrained-masked": {"1": of["more"], "2": of["more"]}},
        "chips-100": {"supervised": {"0": of["high"], "1": of["high"]}},
        "none": {"otsu": {"0": of["low"], "2": of["more"]}},
    }  # fmt: skip
    left, right = draw({"stac": found}).axes
    levels = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert levels["cross-entropy"] == [0.75, 1.0]
    assert levels["Otsu"] == [0.5, 0.5]
    drawn = [float(y) for line in right.lines if line.get_marker() == "o" for y in line.get_ydata()]
    assert drawn == pytest.approx([10.0])
    text = "\n".join(labels_tables({"rows": {"stac": found}, "seeds": [0, 1, 2]}))
    assert "| 5 % of stac | pretrained, masked | +10.0 |  |" in text
