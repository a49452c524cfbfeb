"""Acceptance and batch statistics on tiles whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from floodloom.learning.data.samples import Samples, radar_samples
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.inference import ensemble_of
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.network import untrained
from floodloom.learning.relabelling.acceptance import Acceptance
from floodloom.learning.relabelling.adaptation import (
    adapt_statistics,
    replace_statistics,
    sensor_difference,
)
from floodloom.learning.relabelling.priors import EstimatedShare
from floodloom.learning.relabelling.round import relabel_tiles
from floodloom.learning.relabelling.settings import RelabelSettings
from floodloom.learning.training.semisupervised import PseudoLabels
from floodloom.learning.training.settings import NetworkSettings, TrainingSettings
from floodloom.learning.training.train import train_checkpoint
from floodloom.tiles.store import concatenate_tiles

PLAN = TrainingSettings(epochs=10, batch=4, learning_rate=5e-3, precision="float32")


@pytest.fixture(scope="module")
def known(make_tiles):
    return make_tiles(24), make_tiles(8, "validation", seed=1)


@pytest.fixture(scope="module")
def trained(known):
    torch.set_num_threads(1)
    start = untrained(known[0], NetworkSettings(width=4), 0)
    return train_checkpoint(
        start, TrainingSet.of(radar_samples(known[0]), 2), radar_samples(known[1]), PLAN
    )


def brighter(tiles, decibel):
    """The same tiles from a sensor with an offset."""
    return tiles.assign(image=(tiles.image + 2 * decibel / 35).clip(-1, 1))


def acceptance_of(known, **more):
    return Acceptance(radar_samples(known[1]), cross_entropy, 4, **more)


@pytest.fixture
def limits(monkeypatch):
    """Sets limits by name."""

    def of(**values):
        for name, value in values.items():
            monkeypatch.setattr(f"floodloom.learning.relabelling.acceptance.{name}", value)

    return of


def test_a_better_model_is_kept_and_a_worse_one_is_not(known, trained, make_tiles, limits):
    start = untrained(known[0], NetworkSettings(width=4), 0)
    target = radar_samples(make_tiles(6, "target", seed=2, labelled=False))
    limits(MOST_FLIPS=1.0)
    acceptance = acceptance_of(known, target=target)
    kept = acceptance.choose(start, trained)
    assert kept.notes["kept"] == "new weights"
    assert kept.notes["learned_iou"] == pytest.approx(trained.scores["iou"], abs=1e-6)
    refused = acceptance.choose(trained, start)
    assert refused.notes["reason"].startswith("validation IoU fell from")
    assert all(torch.equal(refused.weights[k], w) for k, w in trained.weights.items())


def test_flips_are_counted_against_the_pseudo_labels(known, trained, make_tiles):
    truth = radar_samples(make_tiles(6, "target", seed=2))
    start = untrained(known[0], NetworkSettings(width=4), 0)
    acceptance = acceptance_of(known)
    right, wrong = (
        acceptance.prediction_shift(start, trained, replace(truth, label=label))["flips"]
        for label in (truth.label, torch.where(truth.label == 255, 255, 1 - truth.label))
    )
    assert right < 0.1
    assert right + wrong == pytest.approx(1)


def test_predictions_that_leave_their_limits_are_refused(known, trained, make_tiles, limits):
    target = radar_samples(make_tiles(6, "target", seed=2, labelled=False))
    acceptance = acceptance_of(known, target=target)
    limits(MOST_WATER=0.01)
    assert "water is" in acceptance.choose(trained, trained).notes["reason"]
    start = untrained(known[0], NetworkSettings(width=4), 0)
    limits(MOST_WATER=1.0, MOST_FLIPS=0.01, MOST_IOU_FALL=1.0)
    assert "of the labels flipped" in acceptance.choose(start, trained).notes["reason"]


def test_what_is_called_water_may_not_move_away_from_the_estimated_share(
    known, trained, make_tiles, limits
):
    target = radar_samples(make_tiles(6, "target", seed=2, labelled=False))
    start = untrained(known[0], NetworkSettings(width=4), 0)
    limits(MOST_FLIPS=1.0)

    def chosen(share):
        estimated = EstimatedShare(method="em", share=share, called=0.35)
        return acceptance_of(known, target=target, estimated=estimated).choose(start, trained)

    nearer = chosen(0.35)  # the share of water in each of these tiles
    assert nearer.notes["kept"] == "new weights"
    called = nearer.notes["initial_water_share"]
    assert abs(called - 0.35) > 0.1 > abs(nearer.notes["water_share"] - 0.35)
    assert chosen(called).notes["reason"].startswith("water called moved from")


def test_a_round_labels_no_more_water_than_there_is(known, trained, make_tiles, tmp_path):
    flooded = make_tiles(4, "target", seed=2, labelled=False)
    dry = make_tiles(12, "target", seed=8, contrast=0.0, event="dry", labelled=False)
    offered, true = concatenate_tiles([flooded, dry]), 0.35 / 4

    def audit_of(method):
        settings = RelabelSettings(priors=method, likelihood=0.0, tta=False)
        scratch = tmp_path / method
        scratch.mkdir()
        ensemble = ensemble_of([trained])
        return relabel_tiles(offered, known[1], ensemble, ["a"], settings, scratch)[1]

    for method in ("count", "confusion", "bias-corrected-em"):
        audit = audit_of(method)
        assert audit.estimated.share == pytest.approx(true, abs=0.03)
        assert audit.passed_gate["water"].share <= audit.estimated.share + 0.002
    assert audit_of("none").estimated is None


def test_a_bad_network_may_label_only_without_limits(known):
    start = untrained(known[0], NetworkSettings(width=4), 0)
    assert acceptance_of(known).inaccuracy(start).endswith("below 0.3")
    assert acceptance_of(known, limited=False).inaccuracy(start) is None


def iou(checkpoint, tiles):
    acceptance = Acceptance(radar_samples(tiles), cross_entropy, 4)
    return acceptance.validation_iou(checkpoint)


def test_batch_statistics_repair_an_offset_of_the_sensor(known, trained, make_tiles):
    event = brighter(make_tiles(12, seed=7, event="other"), 6.0)
    changed = adapt_statistics(trained, radar_samples(event), acceptance_of(known)).checkpoint
    assert changed.notes["batch_statistics"]["kept"] == "the target's"
    assert iou(changed, event) > iou(trained, event) + 0.1


@pytest.mark.parametrize("flooded", [4, 24])
def test_another_share_of_water_is_no_other_sensor(known, trained, make_tiles, flooded):
    wet, dry = (make_tiles(24, seed=s, event="other", contrast=c) for s, c in ((7, 6), (8, 0)))
    event = concatenate_tiles([wet.isel(tile=slice(flooded)), dry.isel(tile=slice(flooded, None))])
    kept = adapt_statistics(trained, radar_samples(event), acceptance_of(known)).checkpoint
    note = kept.notes["batch_statistics"]
    assert note["kept"] == "own"
    assert "its sensor is no other" in note["reason"]
    assert note["moved"][0] < 2 * note["moved"][1]
    assert all(torch.equal(kept.weights[k], w) for k, w in trained.weights.items())


def test_another_sensor_is_found_without_labels(known, trained, make_tiles):
    event, held_out = make_tiles(12, seed=7, event="other"), radar_samples(known[1])
    assert sensor_difference(trained, radar_samples(event), held_out) is None
    sign = sensor_difference(trained, radar_samples(brighter(event, 6.0)), held_out)
    assert "times as far from the network's as those of held-out tiles" in sign


def test_land_of_another_sensor_is_no_flood(known, trained, make_tiles):
    """Re-estimated on land alone, a network calls the darkest of it water, and may not teach."""
    event = brighter(make_tiles(12, seed=7, event="other"), 6.0)
    dry = brighter(make_tiles(12, seed=7, event="other", contrast=1.0), 3.0)
    acceptance = acceptance_of(known)
    step = adapt_statistics(trained, radar_samples(dry), acceptance)
    assert "land alone gives" in step.refusal
    assert not step.changed
    target_has, land_has = step.checkpoint.notes["batch_statistics"]["sure_water"]
    assert target_has <= land_has
    wet = adapt_statistics(trained, radar_samples(event), acceptance)
    assert wet.refusal is None
    assert wet.changed


def test_the_reference_has_the_statistics_of_the_held_out_tiles(known, trained, make_tiles):
    event = brighter(make_tiles(12, seed=7, event="other"), 6.0)
    step = adapt_statistics(trained, radar_samples(event), acceptance_of(known))
    assert iou(step.reference, known[1]) > iou(step.checkpoint, known[1]) + 0.1
    expected = replace_statistics(trained, radar_samples(known[1]), 0.75)
    assert all(torch.equal(step.reference.weights[k], w) for k, w in expected.weights.items())


def test_statistics_of_land_leave_water_out(trained, known):
    tiles = radar_samples(known[1])
    water = (tiles.label == 1).unsqueeze(1)
    flooded = replace(tiles, image=torch.where(water, -0.9, tiles.image))
    drained = replace(tiles, image=torch.where(water, 0.9, tiles.image))
    first = next(name for name in trained.weights if name.endswith("running_mean"))

    def moved(weights, least=0.0):
        one, other = (
            replace_statistics(trained, part, weights=weights, least=least).weights[first]
            for part in (flooded, drained)
        )
        return float((one - other).abs().max())

    assert moved((1.0, 0.0), 0.99) < 0.2 * moved(None)


def test_statistics_that_harm_where_it_can_be_measured_are_not_trusted(known, trained, limits):
    event = radar_samples(brighter(known[0], 6.0))
    limits(LEAST_WATER=0.0, MOST_WATER=0.0)
    refused = adapt_statistics(trained, event, acceptance_of(known)).checkpoint
    assert refused.notes["batch_statistics"]["kept"] == "own"
    assert all(torch.equal(refused.weights[k], w) for k, w in trained.weights.items())


def test_statistics_are_those_of_the_tiles_whatever_the_labels(trained, known):
    tiles = radar_samples(known[1])
    first = replace_statistics(trained, tiles)
    half = replace_statistics(trained, tiles, 0.5)
    for name in (name for name in first.weights if name.endswith("running_mean")):
        torch.testing.assert_close(
            half.weights[name], (first.weights[name] + trained.weights[name]) / 2
        )
    second = replace_statistics(trained, replace(tiles, label=1 - tiles.label))
    assert all(torch.equal(first.weights[k], w) for k, w in second.weights.items())
    moved = [k for k, w in trained.weights.items() if not torch.equal(first.weights[k], w)]
    assert moved
    assert all("running" in k for k in moved)


def test_a_bad_first_model_and_dry_tiles_do_no_harm(known, make_tiles):
    """The weights that come out of a round are never worse, on held-out labels, than its limit."""
    poor = train_checkpoint(
        untrained(known[0], NetworkSettings(width=4), 3),
        TrainingSet.of(radar_samples(known[0]).between(0, 4), 2),
        radar_samples(known[1]),
        PLAN.model_copy(update={"epochs": 1}),
    )
    assert iou(poor, known[1]) < 0.5
    dry = make_tiles(12, "train", seed=8, contrast=0.0, event="dry")
    material = Samples(
        *(
            torch.cat([getattr(radar_samples(part), name) for part in (known[0], dry)])
            for name in ("image", "label")
        )
    )
    dry_label = torch.zeros_like(material.label[24:])
    material = replace(material, label=torch.cat([material.label[:24], dry_label]))
    pseudo = torch.arange(36) >= 24
    learned = train_checkpoint(
        poor,
        TrainingSet.of(material, 2, pseudo=pseudo),
        radar_samples(known[1]),
        PLAN,
        objective=PseudoLabels(),
    )
    kept = replace(acceptance_of(known), target=material.between(24, 36)).choose(poor, learned)
    assert iou(kept, known[1]) >= iou(poor, known[1]) - 0.01
