"""Distillation: the teacher stays, clouds gate, and an informative teacher helps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from floodloom.errors import CheckpointError
from floodloom.learning.data import (
    Samples,
    optical_samples,
    radar_samples,
    standardise_optical,
)
from floodloom.learning.distill import (
    Distillation,
    Distiller,
    FeatureAlignment,
    distill_student,
    distilling,
    feature_loss,
    logit_loss,
    require_teacher,
)
from floodloom.learning.losses import ce_dice
from floodloom.learning.network import Network, untrained
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.supervise import learn
from floodloom.models.registry import build

PLAN = TrainingPlan(epochs=8, batch=4, precision="float32", learning_rate=3e-3, patience=99)


def test_features_in_one_direction_cost_nothing():
    target = [torch.randn(2, 3, 4, 4), torch.randn(2, 3, 8, 8)]
    clear = torch.ones(2, 8, 8, dtype=torch.bool)
    assert feature_loss([2 * t for t in target], target, clear).item() == pytest.approx(0, abs=1e-6)
    assert feature_loss([-t for t in target], target, clear).item() == pytest.approx(2, abs=1e-5)


def test_logit_loss_is_the_divergence_of_softened_distributions():
    torch.manual_seed(0)
    ours, theirs = torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2)
    clear = torch.ones(1, 2, 2, dtype=torch.bool)
    expected = 4 * torch.nn.functional.kl_div(
        (ours / 2).log_softmax(1), (theirs / 2).softmax(1), reduction="sum"
    ) / 4  # fmt: skip
    torch.testing.assert_close(logit_loss(ours, theirs, clear, 2.0), expected)
    assert logit_loss(theirs, theirs, clear, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_clouds_gate_both_terms():
    torch.manual_seed(0)
    ours, theirs = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    spoilt = theirs.clone()
    spoilt[..., :2] = 100 * torch.randn(1, 3, 4, 2)
    clear = torch.ones(1, 4, 4, dtype=torch.bool)
    clear[..., :2] = False
    torch.testing.assert_close(
        feature_loss([ours], [theirs], clear), feature_loss([ours], [spoilt], clear)
    )
    torch.testing.assert_close(
        logit_loss(ours, theirs, clear, 2.0), logit_loss(ours, spoilt, clear, 2.0)
    )
    nothing = torch.zeros_like(clear)
    assert feature_loss([ours], [theirs], nothing).item() == 0
    assert logit_loss(ours, theirs, nothing, 2.0).item() == 0


def pair(bands=2, channels=3):
    torch.manual_seed(0)
    student, teacher = build("unet", bands, 2, width=4), build("unet", channels, 2, width=4)
    alignment = FeatureAlignment(student.feature_channels, teacher.feature_channels)
    return Distiller(student, alignment), teacher


def test_without_a_clear_pixel_it_is_the_supervised_loss():
    distiller, teacher = pair()
    batch = Samples(
        torch.randn(1, 2, 32, 32),
        torch.randint(2, (1, 32, 32)).byte(),
        torch.randn(1, 3, 32, 32),
        torch.zeros(1, 32, 32, dtype=torch.bool),
    )
    objective = distilling(teacher, ce_dice, Distillation())
    distiller.eval()
    plain = ce_dice(distiller(batch.image), batch.label.long())
    torch.testing.assert_close(objective(distiller, batch), plain)
    without = Samples(batch.image, batch.label)
    torch.testing.assert_close(objective(distiller, without), plain)


def test_gradients_reach_student_and_alignment_but_not_the_teacher():
    distiller, teacher = pair()
    batch = Samples(
        torch.randn(2, 2, 32, 32),
        torch.randint(2, (2, 32, 32)).byte(),
        torch.randn(2, 3, 32, 32),
        torch.ones(2, 32, 32, dtype=torch.bool),
    )
    distilling(teacher, ce_dice, Distillation())(distiller, batch).backward()
    assert all(p.grad is not None and p.grad.any() for p in distiller.parameters())
    assert all(p.grad is None for p in teacher.parameters())


def test_networks_of_different_depth_are_paired_from_the_finest_scale():
    alignment = FeatureAlignment((32, 16, 8, 4), (12, 6))
    aligned = alignment([torch.randn(1, c, s, s) for c, s in ((32, 4), (16, 8), (8, 16), (4, 32))])
    assert [tuple(a.shape[1:]) for a in aligned] == [(12, 16, 16), (6, 32, 32)]


@pytest.fixture(scope="module")
def toy(make_tiles):
    """Few labels, much unlabelled ground under a clear sky, and a teacher that knows it."""
    labelled = make_tiles(4, optical=True, contrast=3.0)
    tiles = make_tiles(24, seed=7, optical=True, contrast=3.0)
    standardisation = standardise_optical(tiles)
    validation = make_tiles(8, "validation", seed=8, optical=True, contrast=3.0)
    torch.set_num_threads(1)
    teacher = learn(
        untrained(tiles, Network("unet", 4), 0, standardisation),
        optical_samples(tiles, standardisation),
        optical_samples(validation, standardisation),
        replace(PLAN, epochs=15),
        loss="ce_dice",
    )
    both = radar_samples(tiles, standardisation)
    few = radar_samples(labelled, standardisation)
    hidden = torch.full_like(both.label, 255)
    training = Samples(
        torch.cat([few.image, both.image]),
        torch.cat([few.label, hidden]),
        torch.cat([few.optical, both.optical]),
        torch.cat([few.clear, both.clear]),
    )
    return teacher, untrained(tiles, Network("unet", 4), 0), training, radar_samples(validation)


def test_an_informative_teacher_helps_and_stays_as_it_is(toy):
    teacher, start, training, validation = toy
    assert teacher.scores["iou"] > 0.95
    assert teacher.inputs == "optical"
    before = {name: tensor.clone() for name, tensor in teacher.weights.items()}
    plan = replace(PLAN, balance=0.0)
    alone, student = (
        distill_student(
            start, teacher, training, validation, plan, settings=settings, loss="ce_dice"
        )
        for settings in (Distillation(0.0, 0.0), Distillation())
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.weights.items())
    assert student.scores["iou"] > alone.scores["iou"] + 0.03
    assert student.inputs == "radar"
    assert student.model()(validation.image[:1]).shape == (1, 2, 32, 32)


def test_a_radar_checkpoint_is_no_teacher(toy):
    teacher, start, _, _ = toy
    require_teacher(teacher, start, "teacher.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: takes radar inputs"):
        require_teacher(start, start, "model.safetensors")
    with pytest.raises(CheckpointError, match="optical inputs and"):
        require_teacher(replace(teacher, classes=("a", "b")), start, "teacher.safetensors")
