"""Distillation: the teacher stays, clouds gate, and an informative teacher helps."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from floodloom.errors import CheckpointError, RecipeMismatchError
from floodloom.learning.data.augmentation import rotate_and_flip
from floodloom.learning.data.optical import (
    drop_optical,
    fuse_optical,
    fused_samples,
    network_input,
    optical_samples,
    paired_samples,
    standardise_optical,
)
from floodloom.learning.data.samples import Samples, radar_samples
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.distillation import student as student_module
from floodloom.learning.distillation.settings import DistillationTerms, DistillSettings
from floodloom.learning.distillation.student import (
    AsTheyAre,
    DistillationObjective,
    Distiller,
    FeatureAlignment,
    distill_student,
)
from floodloom.learning.distillation.teacher import (
    FrozenTeacher,
    add_teacher_logits,
    compare_with_teacher,
    require_teacher,
    transfer_weights,
)
from floodloom.learning.loss import Loss
from floodloom.learning.losses import LOSSES
from floodloom.learning.losses.ce_dice import ce_dice
from floodloom.learning.network import untrained
from floodloom.learning.training.settings import NetworkSettings, TrainingSettings
from floodloom.learning.training.state import Sidecars
from floodloom.learning.training.train import train_checkpoint
from floodloom.learning.training.validation import scores_of
from floodloom.models.base import Segmenter
from floodloom.models.registry import build

PLAN = TrainingSettings(epochs=8, batch=4, precision="float32", learning_rate=3e-3, patience=99)


def pair(bands=2, channels=3):
    torch.manual_seed(0)
    student, teacher = build("unet", bands, 2, width=4), build("unet", channels, 2, width=4)
    alignment = FeatureAlignment(student.feature_channels, teacher.feature_channels)
    return Distiller(student, alignment), teacher


def batch(count=2, clear=True, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Samples(
        torch.randn(count, 2, 32, 32, generator=draw),
        torch.randint(2, (count, 32, 32), generator=draw).byte(),
        torch.randn(count, 3, 32, 32, generator=draw),
        torch.full((count, 32, 32), clear),
        torch.randn(count, 2, 32, 32, generator=draw).half(),
    )


ALL_TERMS = DistillationTerms(feature_weight=0.5, logit_weight=0.5, attention_weight=0.5)


@pytest.fixture
def reach(monkeypatch):
    """Sets the greatest shift that is searched, px."""
    return partial(monkeypatch.setattr, student_module, "_REACH_PX")


CE_DICE = Loss(ce_dice)


def objective_of(teacher, terms, loss=CE_DICE):
    return partial(DistillationObjective(teacher, terms), loss=loss, averaged=nn.Identity())


def test_without_a_clear_pixel_it_is_the_supervised_loss():
    distiller, teacher = pair()
    hidden = batch(1, clear=False)
    objective = objective_of(FrozenTeacher(teacher, "optical"), ALL_TERMS)
    distiller.eval()
    plain = ce_dice(distiller(hidden.image), hidden.label.long())
    torch.testing.assert_close(objective(distiller, hidden), plain)
    without = Samples(hidden.image, hidden.label)
    torch.testing.assert_close(objective(distiller, without), plain)


def test_terms_add_up_by_their_weights(reach):
    reach(0)
    distiller, teacher = pair()
    distiller.eval()
    guide = FrozenTeacher(teacher, "optical")

    def value(**weights):
        none = {"feature_weight": 0.0, "logit_weight": 0.0}
        settings = DistillationTerms(**{**none, **weights})
        return objective_of(guide, settings)(distiller, batch())

    names = ("feature_weight", "logit_weight", "attention_weight")
    plain = value()
    each = [value(**{name: 1.0}) - plain for name in names]
    assert all(term > 0.001 for term in each)
    together = value(**{name: 2.0 * at for at, name in enumerate(names)})
    expected = plain + sum(2.0 * at * term for at, term in enumerate(each))
    torch.testing.assert_close(together, expected)


def test_gradients_reach_student_and_alignment_but_not_the_teacher():
    distiller, teacher = pair()
    guide = FrozenTeacher(teacher.requires_grad_(False), "optical")
    objective_of(guide, ALL_TERMS)(distiller, batch()).backward()
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
    teacher = train_checkpoint(
        untrained(tiles, NetworkSettings(model="unet", width=4), 0, standardisation),
        TrainingSet.of(optical_samples(tiles, standardisation), 2),
        optical_samples(validation, standardisation),
        PLAN.model_copy(update={"epochs": 15}),
    )
    both = paired_samples(tiles, standardisation)
    few = paired_samples(labelled, standardisation)
    hidden = torch.full_like(both.label, 255)
    training = Samples(
        torch.cat([few.image, both.image]),
        torch.cat([few.label, hidden]),
        torch.cat([few.optical, both.optical]),
        torch.cat([few.clear, both.clear]),
    )
    held_out = paired_samples(validation, standardisation)
    return teacher, untrained(tiles, NetworkSettings(model="unet", width=4), 0), training, held_out


def with_terms(plan, terms):
    """Return settings of a distillation."""
    return DistillSettings(**plan.model_dump(), **terms.model_dump())


NOTHING = DistillationTerms(logit_weight=0.0)
TERMS = {
    "feature": DistillationTerms(logit_weight=0.0, feature_weight=1.0),
    "logit": DistillationTerms(),
    "attention": DistillationTerms(logit_weight=0.0, attention_weight=1.0),
}


@pytest.fixture(scope="module")
def students(toy):
    """The teacher's weights before, students of a short training, and two of a longer one."""
    teacher, start, training, validation = toy
    before = {name: tensor.clone() for name, tensor in teacher.weights.items()}
    plan = PLAN.model_copy(update={"balance": 0.0})
    torch.set_num_threads(1)

    def learnt(settings, epochs):
        long = plan.model_copy(update={"epochs": epochs})
        return distill_student(
            start, teacher, training, validation, with_terms(long, settings), begun=start
        )

    short = {name: learnt(settings, 1) for name, settings in {"alone": NOTHING, **TERMS}.items()}
    return before, short, (learnt(NOTHING, 8), learnt(TERMS["logit"], 8))


def test_the_teacher_stays_bit_for_bit_as_it_is(toy, students):
    teacher = toy[0]
    assert teacher.scores["iou"] > 0.95
    assert all(torch.equal(students[0][name], tensor) for name, tensor in teacher.weights.items())


def test_an_informative_teacher_helps(students):
    alone, taught = students[2]
    assert taught.scores["iou"] > alone.scores["iou"] + 0.05


def test_a_teacher_is_scored_where_held_out_tiles_show_an_optical_image(toy, students):
    teacher, validation = toy[0], toy[3]
    found = compare_with_teacher(teacher, students[2][1], validation, "ce_dice")
    assert found["teacher_iou"] > 0.95 > found["student_iou"] > 0.5
    clear = Samples(validation.optical, validation.label.masked_fill(~validation.clear, 255))
    assert found["teacher_iou"] == scores_of(teacher, clear, ce_dice)["iou"]
    record = students[2][1].training
    assert record["taught"]
    assert {name: record[name] for name in found} == found

    clouded = replace(validation, clear=torch.zeros_like(validation.clear))
    assert compare_with_teacher(teacher, students[2][1], clouded, "ce_dice") == {}
    assert compare_with_teacher(teacher, students[2][1], drop_optical(validation), "ce_dice") == {}


@pytest.mark.parametrize("monitor", ["iou", "epoch"])
def test_images_of_other_ground_give_way_to_the_labels(make_tiles, tmp_path, caplog, monitor):
    """Their teacher knows less than its student, and the labels alone are better than both."""
    torch.set_num_threads(1)
    tiles, held_out = (make_tiles(8, split, optical=True) for split in ("train", "validation"))
    standardisation = standardise_optical(tiles)
    training, validation = (
        replace(samples, optical=samples.optical.roll(3, 0))
        for samples in (paired_samples(part, standardisation) for part in (tiles, held_out))
    )
    start = untrained(tiles, NetworkSettings(model="unet", width=4), 0)
    teacher = train_checkpoint(
        untrained(tiles, NetworkSettings(model="unet", width=4), 0, standardisation),
        TrainingSet.of(network_input(training, "optical"), 2),
        network_input(validation, "optical"),
        PLAN.model_copy(update={"epochs": 4}),
    )
    hidden = replace(training, label=torch.full_like(training.label, 255))
    both = (training.image, hidden.image), (training.label, hidden.label)
    image, label, optical, clear = (
        torch.cat(pair) for pair in (*both, (training.optical,) * 2, (training.clear,) * 2)
    )
    plan = PLAN.model_copy(update={"balance": 0.0, "monitor": monitor})
    sidecars = Sidecars.of(tmp_path / "student.safetensors")
    student = distill_student(
        start, teacher, Samples(image, label, optical, clear), validation,
        with_terms(plan, DistillationTerms(logit_weight=5.0)), begun=start, sidecars=sidecars,
    )  # fmt: skip
    alone = train_checkpoint(
        start,
        TrainingSet.of(drop_optical(training), 2),
        drop_optical(validation),
        plan.model_copy(update={"epochs": 16}),
    )
    assert not student.training["taught"]
    assert student.training["student_iou"] > student.training["teacher_iou"]
    assert all(torch.equal(student.weights[name], w) for name, w in alone.weights.items())
    assert "given up" in caplog.text
    lines = sidecars.history.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 17))
    assert not sidecars.state.exists()


@pytest.mark.parametrize("name", list(TERMS))
def test_a_student_is_an_ordinary_radar_network(toy, students, name):
    start, validation = toy[1], toy[3]
    student = students[1][name]
    assert student.inputs == "radar"
    assert {k: v.shape for k, v in student.weights.items()} == {
        k: v.shape for k, v in start.weights.items()
    }
    program = torch.export.export(student.model(), (validation.image[:1],))
    torch.testing.assert_close(
        program.module()(validation.image[:1]), student.model()(validation.image[:1])
    )


def test_each_term_moves_the_student(students):
    alone = students[1]["alone"].weights
    for name in TERMS:
        weights = students[1][name].weights
        assert any(not torch.equal(weights[key], tensor) for key, tensor in alone.items())


def test_teacher_logits_are_the_mean_of_symmetries_and_turn_with_the_tile(toy):
    teacher, _, training, _ = toy
    few = training.between(0, 3)
    soft = add_teacher_logits(few, teacher).soft
    network = teacher.model()
    with torch.inference_mode():
        views = [network(rotate_and_flip(few.optical, e)) for e in range(8)]
    back = torch.stack([rotate_and_flip(v, e if e >= 4 else -e % 4) for e, v in enumerate(views)])
    torch.testing.assert_close(soft.float(), back.mean(0), atol=2e-2, rtol=2e-3)
    assert add_teacher_logits(replace(few, optical=None), teacher).soft is None


def test_a_teacher_that_works_without_images_counts_under_clouds(make_tiles):
    tiles = make_tiles(2, optical=True)
    standardisation = standardise_optical(tiles)
    fresh = untrained(tiles, NetworkSettings(model="unet", width=4), 0, standardisation, fused=True)
    robust = replace(fresh, training={"sensor_drop": 0.3})
    samples = paired_samples(tiles, standardisation)
    assert torch.equal(add_teacher_logits(samples, fresh).clear, samples.clear)
    clear = add_teacher_logits(samples, robust).clear
    assert clear[:, 2:].all()
    assert not clear[:, :2].any()


class Identity(Segmenter):
    """A network whose logits are its input."""

    feature_channels = (2,)

    def features(self, image):
        return [image]

    def classify(self, features):
        return features[0]


def test_a_shifted_companion_teaches_alike(reach):
    """Where the teacher's classes are off by up to two pixels, the loss hardly notices."""
    shapes = 20 * torch.nn.functional.avg_pool2d(batch().image, 9, 1, 4)
    student = Distiller(Identity(), FeatureAlignment((2,), (2,)))
    image = shapes + 0.5 * batch(seed=1).image

    def value(off, searched):
        reach(searched)
        soft = shapes.roll(off, dims=(-2, -1)).half()
        seen = Samples(image, batch().label, None, batch().clear, soft)
        nothing = Loss(lambda *_: torch.zeros(()))
        guide = FrozenTeacher(Identity(), "optical")
        objective = objective_of(guide, DistillationTerms(), nothing)
        return objective(student, seen).item()

    assert value((0, 0), 2) == value((0, 0), 0)
    assert value((2, -1), 2) == pytest.approx(value((0, 0), 2), rel=0.2)
    assert value((2, -1), 2) < 0.5 * value((2, -1), 0)


def test_a_student_begins_with_the_weights_of_its_teacher(toy):
    teacher, start, training, validation = toy
    plan = with_terms(PLAN.model_copy(update={"epochs": 1, "learning_rate": 1e-12}), NOTHING)
    expected = transfer_weights(start, teacher).weights
    found = distill_student(start, teacher, training, validation, plan).weights
    learnt = [name for name in start.weights if "running" not in name and "num_" not in name]
    for name in learnt:
        torch.testing.assert_close(found[name], expected[name])


def test_weights_of_a_teacher_fit_a_student_but_for_its_inputs(toy, make_tiles):
    teacher, start = toy[:2]
    first = next(name for name, tensor in start.weights.items() if tensor.ndim == 4)
    transferred = transfer_weights(start, teacher)
    optical = teacher.weights[first]
    torch.testing.assert_close(transferred.weights[first].sum(1), optical.sum(1))
    same = [name for name in start.weights if name != first]
    assert all(torch.equal(transferred.weights[name], teacher.weights[name]) for name in same)

    tiles = make_tiles(2, optical=True)
    standardisation = standardise_optical(tiles, ["green", "nir"])
    alike = transfer_weights(
        start, untrained(tiles, NetworkSettings(model="unet", width=4), 3, standardisation)
    )
    assert torch.equal(alike.weights[first][:, 0], alike.weights[first][:, 1])

    standardisation = standardise_optical(tiles)
    both = untrained(tiles, NetworkSettings(model="unet", width=4), 3, standardisation, fused=True)
    blank = fused_samples(tiles, standardisation).image
    blank[:, 2:] = 0
    student = transfer_weights(start, both).model()
    torch.testing.assert_close(student(radar_samples(tiles).image), both.model()(blank))
    other = transfer_weights(untrained(tiles, NetworkSettings(model="fcn8", width=4), 0), teacher)
    assert other.architecture == "fcn8"


def test_a_radar_checkpoint_is_no_teacher(toy):
    teacher, start, _, _ = toy
    require_teacher(teacher, start, "teacher.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: takes radar inputs"):
        require_teacher(start, start, "model.safetensors")
    with pytest.raises(CheckpointError, match="optical inputs and"):
        require_teacher(replace(teacher, classes=("a", "b")), start, "teacher.safetensors")


def test_a_fused_teacher_sees_radar_first(make_tiles):
    tiles = make_tiles(2, optical=True)
    standardisation = standardise_optical(tiles)
    teacher = untrained(
        tiles, NetworkSettings(model="late_fusion", width=4), 0, standardisation, fused=True
    )
    assert teacher.channels == ("vv", "vh", "green", "red", "nir", "ndwi")
    assert teacher.arguments["groups"] == [[0, 1], [2, 3, 4, 5]]
    samples = paired_samples(tiles, standardisation)
    guide = FrozenTeacher.of(teacher)
    seen = guide.features(samples)
    expected = teacher.model().features(fuse_optical(samples).image)
    torch.testing.assert_close(seen[-1], expected[-1])
    require_teacher(
        teacher, untrained(tiles, NetworkSettings(model="unet", width=4), 0), "t.safetensors"
    )
    recipe = teacher.recipe.model_copy(update={"quantity": "sigma0"})
    with pytest.raises(RecipeMismatchError, match="quantity"):
        require_teacher(
            replace(teacher, recipe=recipe),
            untrained(tiles, NetworkSettings(model="unet", width=4), 0),
            "t",
        )


@pytest.mark.parametrize("name", ["weighted_cross_entropy", "border_cross_entropy"])
def test_classes_keep_their_weights_beside_a_teacher(name):
    distiller, teacher = pair()
    distiller.eval()
    guide, seen, loss = FrozenTeacher(teacher, "optical"), batch(), LOSSES.load(name)
    weighted = loss.weigh_classes((0.9, 0.1))
    plain, rare = (objective_of(guide, NOTHING, one)(distiller, seen) for one in (loss, weighted))
    logits, label = distiller(seen.image), seen.label.long()
    expected = weighted.of_logits(logits, label) - loss.of_logits(logits, label)
    torch.testing.assert_close(rare - plain, expected)
    assert float(expected.detach().abs()) > 1e-3


def test_a_distillation_weighs_classes_by_its_labels(toy):
    """Through the loop, too: the loss of the first epoch is another."""
    teacher, start, training, validation = toy
    losses = []
    for name in ("cross_entropy", "weighted_cross_entropy"):
        plan = PLAN.model_copy(update={"epochs": 1, "loss": name})
        student = distill_student(
            start, teacher, training, validation, with_terms(plan, NOTHING), begun=start
        )
        losses.append(student.history[0]["loss"])
    assert abs(losses[0] - losses[1]) > 1e-3


@pytest.mark.parametrize(
    ("student", "from_teacher"), [("from-teacher", True), ("fresh", False), ("identical", False)]
)
def test_a_student_begins_as_its_key_says(toy, monkeypatch, student, from_teacher):
    teacher, start, training, validation = toy

    class BegunError(Exception):
        pass

    def record(begun, *_):
        expected = transfer_weights(start, teacher) if from_teacher else start
        assert all(torch.equal(begun.weights[name], w) for name, w in expected.weights.items())
        raise BegunError

    monkeypatch.setattr(student_module, "_train_with_terms", record)
    settings = DistillSettings(**PLAN.model_dump(), student=student)
    with pytest.raises(BegunError):
        distill_student(start, teacher, training, validation, settings)


def test_features_of_identical_networks_are_compared_as_they_are(reach):
    reach(0)
    torch.manual_seed(0)
    student, teacher = (build("hfd_net", bands, 2, width=4, depth=2) for bands in (2, 3))
    distiller, seen = Distiller(student, AsTheyAre()).eval(), batch()
    assert {name.split(".")[0] for name, _ in distiller.named_parameters()} == {"student"}
    terms = DistillationTerms(logit_weight=0.0, feature_weight=1.0)
    guide = FrozenTeacher(teacher.eval(), "optical")
    value, plain = (objective_of(guide, one)(distiller, seen) for one in (terms, NOTHING))
    ours, theirs = student.features(seen.image), teacher.features(seen.optical)
    each = [
        1 - torch.cosine_similarity(a, b, dim=1).mean() for a, b in zip(ours, theirs, strict=True)
    ]
    torch.testing.assert_close(value - plain, sum(each) / len(each))
    assert len(each) == 3
    own = AsTheyAre()(ours)
    assert own is ours


def test_identical_networks_are_so_but_for_their_inputs(make_tiles):
    tiles = make_tiles(2, optical=True)
    standardisation = standardise_optical(tiles)
    small, large = (NetworkSettings(model="hfd_net", width=width) for width in (4, 8))
    teacher = untrained(tiles, small, 0, standardisation)
    require_teacher(teacher, untrained(tiles, small, 1), "t", identical=True)
    other = untrained(tiles, large, 0)
    require_teacher(teacher, other, "t")
    with pytest.raises(CheckpointError, match=r"t: is hfd_net .*width 4.*student is .*width 8"):
        require_teacher(teacher, other, "t", identical=True)
    plain = untrained(tiles, NetworkSettings(model="unet", width=4), 0)
    with pytest.raises(CheckpointError, match=r"the student is unet"):
        require_teacher(teacher, plain, "t", identical=True)
