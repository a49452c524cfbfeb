"""The terms of distillation: zero where student and teacher agree, blind under clouds."""

from __future__ import annotations

import pytest
import torch

from floodloom.learning.distillation.terms import attention_loss, feature_loss, logit_loss


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, channels, side, side, generator=generator)
        for channels, side in ((6, 8), (3, 16))
    ]


EVERYWHERE = torch.ones(2, 16, 16)
ON_FEATURES = (feature_loss, attention_loss)


@pytest.mark.parametrize("term", ON_FEATURES)
def test_equal_features_cost_nothing_and_others_do(term):
    assert term(features(), features(), EVERYWHERE).item() == pytest.approx(0, abs=1e-5)
    assert term(features(), features(1), EVERYWHERE).item() > 0.05


def test_features_in_opposite_directions_cost_most():
    doubled, opposite = [2 * f for f in features()], [-f for f in features()]
    assert feature_loss(doubled, features(), EVERYWHERE).item() == pytest.approx(0, abs=1e-5)
    assert feature_loss(opposite, features(), EVERYWHERE).item() == pytest.approx(2, abs=1e-5)


def test_attention_knows_no_offset():
    lifted = [f + 3 for f in features()]
    assert attention_loss(lifted, features(), EVERYWHERE).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("term", ON_FEATURES)
def test_what_is_hidden_teaches_nothing(term):
    weight = EVERYWHERE.clone()
    weight[..., :8] = 0
    spoilt = [f.clone() for f in features(1)]
    for f in spoilt:
        f[..., : f.shape[-1] // 2] = 100
    torch.testing.assert_close(
        term(features(), features(1), weight), term(features(), spoilt, weight)
    )
    assert term(features(), spoilt, torch.zeros_like(weight)).item() == 0


def test_logit_loss_is_the_divergence_of_softened_distributions():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(2, 1, 3, 2, 2, generator=generator)
    weight = torch.ones(1, 2, 2)
    expected = 4 * torch.nn.functional.kl_div(
        (ours / 2).log_softmax(1), (theirs / 2).softmax(1), reduction="sum"
    ) / 4  # fmt: skip
    torch.testing.assert_close(logit_loss(ours, theirs, weight, 2.0), expected)
    assert logit_loss(theirs, theirs, weight, 2.0).item() == pytest.approx(0, abs=1e-6)
    half = weight.clone()
    half[..., 0] = 0
    spoilt = theirs.clone()
    spoilt[..., 0] = 50
    torch.testing.assert_close(
        logit_loss(ours, theirs, half, 2.0), logit_loss(ours, spoilt, half, 2.0)
    )
