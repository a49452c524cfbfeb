"""Objectives for tiles without true labels, worked out beside the published formulas."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from floodloom.errors import TrainingError
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Loss, Prediction
from floodloom.learning.losses import LOSSES
from floodloom.learning.losses.ce_dice import ce_dice
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.training import semisupervised
from floodloom.learning.training.semisupervised import (
    SHARES,
    MeanTeacher,
    PseudoLabels,
    UniMatch,
    ramp_up,
    semisupervised_objective,
)
from floodloom.models.base import Segmenter
from floodloom.models.registry import build

STILL = Augmentation()


class Constant(Segmenter):
    """Gives every pixel the same logits; its features stay as they are when some are lost."""

    feature_channels = (1,)

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(logits).view(1, -1, 1, 1))

    def features(self, image):
        return [torch.ones_like(image[:, :1])]

    def classify(self, features):
        return self.value.expand(len(features[-1]), -1, *features[-1].shape[-2:])


@pytest.fixture
def batch():
    torch.manual_seed(0)
    image = torch.randn(4, 2, 32, 32)
    valid = torch.ones(4, 2, 32, 32, dtype=torch.bool)
    image[2:, :, :8], valid[2:, :, :8] = 0, False
    label = torch.randint(0, 2, (4, 32, 32)).to(torch.uint8)
    return Samples(image, label, pseudo=torch.tensor([False, False, True, True]), valid=valid)


def of(consistency, batch, module, teacher, strong=STILL):
    objective = semisupervised_objective(consistency, strong)
    return objective(module, batch, loss=Loss(cross_entropy), averaged=teacher)


def test_pseudo_labels_weigh_as_much_as_labels(batch):
    module = build("unet", 2, 2, width=4, depth=2).eval()
    objective = PseudoLabels()
    logits, label = module(batch.image), batch.label.long()
    parts = [ce_dice(logits[part], label[part]) for part in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(
        objective(module, batch, loss=Loss(ce_dice), averaged=module), (parts[0] + parts[1]) / 2
    )


def test_tiles_of_another_sensor_are_normalised_by_themselves(batch):
    """In training, where batch normalisation takes what it normalises by from the batch."""
    module = build("unet", 2, 2, width=4, depth=2).train()
    bright = replace(batch, image=batch.image + 3.0 * batch.pseudo.view(-1, 1, 1, 1))
    label = bright.label.long()
    parts = [
        ce_dice(module(bright.image[part]), label[part]) for part in (slice(0, 2), slice(2, 4))
    ]
    by = {"loss": Loss(ce_dice), "averaged": module}
    apart = PseudoLabels(separate_batchnorm=True)(module, bright, **by)
    torch.testing.assert_close(apart, (parts[0] + parts[1]) / 2)
    together = PseudoLabels()(module, bright, **by)
    assert float((apart - together).detach().abs()) > 1e-3


def test_unimatch_is_its_formula(batch):
    """(Lx + .25 Ls1 + .25 Ls2 + .5 Lfp) / 2, where the teacher is sure, over valid pixels."""
    module, teacher = Constant(0.0, 1.0), Constant(0.0, 4.0)
    supervised = cross_entropy(module(batch.image[:2]), batch.label[:2].long())
    each = F.cross_entropy(torch.tensor([[0.0, 1.0]]), torch.tensor([1]))
    found = of("unimatch", batch, module, teacher)
    torch.testing.assert_close(found, (supervised + sum(SHARES) * each) / 2)
    assert SHARES == (0.25, 0.25, 0.5)


def test_an_unsure_teacher_gives_unimatch_nothing(batch):
    module, unsure = Constant(0.0, 1.0), Constant(0.0, 1.0)
    supervised = cross_entropy(module(batch.image[:2]), batch.label[:2].long())
    torch.testing.assert_close(of("unimatch", batch, module, unsure), supervised / 2)


def test_mean_teacher_is_the_squared_distance_of_probabilities(batch):
    module, teacher = Constant(0.0, 1.0), Constant(0.0, 4.0)
    supervised = cross_entropy(module(batch.image[:2]), batch.label[:2].long())
    ours, theirs = (m.value.flatten().softmax(0) for m in (module, teacher))
    distance = (ours - theirs).square().sum()
    found = of("mean-teacher", batch, module, teacher)
    torch.testing.assert_close(found, (supervised + distance) / 2)


@pytest.mark.parametrize("kind", ["unimatch", "mean-teacher"])
def test_labels_of_unlabelled_tiles_are_never_read(kind, batch):
    torch.manual_seed(2)
    module, teacher = (build("unet", 2, 2, width=4, depth=2) for _ in range(2))
    lying = replace(batch, label=torch.where(batch.pseudo.view(-1, 1, 1), 1, batch.label))
    values = []
    for one in (batch, lying):
        torch.manual_seed(3)
        values.append(of(kind, one, module, teacher, strong=Augmentation(cutmix=0.5)))
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=0)


@pytest.mark.parametrize("consistency", [UniMatch, MeanTeacher])
def test_no_gradient_reaches_the_teacher(consistency, batch, monkeypatch):
    monkeypatch.setattr(semisupervised, "THRESHOLD", 0.0)
    module, teacher = (build("unet", 2, 2, width=4, depth=2) for _ in range(2))
    objective = consistency(STILL)
    value = objective(module, batch, loss=Loss(cross_entropy), averaged=teacher)
    value.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())
    assert all(p.grad is None for p in teacher.parameters())


def test_boxes_take_their_targets_along(batch):
    """Targets of a teacher that separates two tiles still fit a strong view with boxes."""

    class Sign(Constant):
        def classify(self, features):
            return torch.cat([-features[-1], features[-1]], dim=1) * 50

        def features(self, image):
            return [image[:, :1].sign()]

    image = torch.ones(4, 1, 32, 32)
    image[3] = -1
    network = Sign(0.0)
    both = Samples(image, batch.label, pseudo=batch.pseudo)
    supervised = cross_entropy(network(image[:2]), batch.label[:2].long())
    value = of("mean-teacher", both, network, network, Augmentation(cutmix=1.0))
    torch.testing.assert_close(value, supervised / 2)


def test_lonely_parts_are_refused(batch):
    with pytest.raises(TrainingError, match="2 labelled and 0 other tiles"):
        of("unimatch", batch.between(0, 2), Constant(0.0, 1.0), Constant(0.0, 1.0))


def seen_by(objective, batch, module, loss):
    """What an objective makes of a loss; the random state is the same each time."""
    torch.manual_seed(4)
    return objective(module, batch, loss=loss, averaged=module)


OBJECTIVES = [
    PseudoLabels(),
    PseudoLabels(separate_batchnorm=True),
    UniMatch(STILL),
    MeanTeacher(STILL),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("name", ["festa", "contrast", "scribble"])
def test_losses_of_features_keep_their_terms_in_a_round(objective, name, batch):
    torch.manual_seed(1)
    module = build("unet", 2, 2, width=4, depth=2)  # in training features are of size 1
    plain, with_terms = (
        seen_by(objective, batch, module, LOSSES.load(loss)) for loss in ("cross_entropy", name)
    )
    assert float((with_terms - plain).detach().abs()) > 1e-3


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_a_loss_of_the_prediction_sees_features_and_labelled_tiles(objective, batch):
    """Labelled tiles weigh half; in rounds of consistency the others have other terms."""

    def mean_of_features(prediction, tiles):
        return prediction.finest[: len(tiles)].mean()

    module = build("full_resolution", 2, 2, width=4).eval()
    of_tiles = [module.features(batch.image[part])[-1].mean() for part in (slice(2), slice(2, 4))]
    both = isinstance(objective, PseudoLabels)
    expected = (of_tiles[0] + of_tiles[1]) / 2 if both else of_tiles[0] / 2
    nothing = Loss(lambda logits, label: logits.sum() * 0)
    value = seen_by(objective, batch, module, replace(nothing, of_prediction=mean_of_features))
    torch.testing.assert_close(value - seen_by(objective, batch, module, nothing), expected)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("name", ["hourglass", "u2net"])
def test_side_outputs_keep_their_losses_in_a_round(objective, name, batch):
    """By a teacher that is the network itself and never sure, the labels' loss is all there is."""
    module = build(name, 2, 2, width=4).eval()
    loss = Loss(cross_entropy)
    parts = [batch.between(0, 2), batch.between(2, 4)]
    first, second = (loss(Prediction(module, part.image), part) for part in parts)
    both = isinstance(objective, PseudoLabels)
    value = seen_by(objective, batch, module, loss)
    torch.testing.assert_close(value, ((first + second) if both else first) / 2)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("name", ["weighted_cross_entropy", "border_cross_entropy"])
def test_classes_keep_their_weights_in_a_round(objective, name, batch):
    module = Constant(0.0, 1.0)
    loss = LOSSES.load(name)
    weighted = loss.weigh_classes((0.9, 0.1))
    plain, rare = (seen_by(objective, batch, module, one) for one in (loss, weighted))
    torch.manual_seed(4)
    label = batch.label.long()
    parts = [slice(2), slice(2, 4)] if isinstance(objective, PseudoLabels) else [slice(2)]
    expected = sum(
        weighted.of_logits(module(batch.image[part]), label[part])
        - loss.of_logits(module(batch.image[part]), label[part])
        for part in parts
    )
    torch.testing.assert_close(rare - plain, expected / 2)
    assert float((rare - plain).detach().abs()) > 1e-3


def test_the_mean_teacher_comes_in_slowly(batch):
    module, teacher = Constant(0.0, 1.0), Constant(0.0, 4.0)
    objective, loss = MeanTeacher(STILL), Loss(cross_entropy)

    def at(progress):
        return objective(module, batch, loss=loss, averaged=teacher, progress=progress)

    supervised = cross_entropy(module(batch.image[:2]), batch.label[:2].long()) / 2
    consistency = [float((at(share) - supervised).detach()) for share in (0.0, 0.125, 0.25, 1.0)]
    assert consistency[0] == pytest.approx(consistency[3] * 0.0067379, rel=1e-3)  # e⁻⁵
    assert consistency[1] == pytest.approx(consistency[3] * 0.2865048, rel=1e-3)  # e^(-5/4)
    assert consistency[2] == pytest.approx(consistency[3])
    assert ramp_up(1.0) == 1.0
