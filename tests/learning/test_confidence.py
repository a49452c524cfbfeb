"""Temperature scaling finds the temperature that the labels were drawn with."""

from __future__ import annotations

import pytest
import torch

from floodloom.learning.calibration import fit_temperature, reliability_at, sample_pixels


@pytest.fixture
def drawn():
    torch.manual_seed(0)
    logits = 3 * torch.randn(60_000, 3)
    return logits, logits.softmax(dim=1).multinomial(1).squeeze(1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_known_temperature_is_recovered(drawn, temperature):
    logits, label = drawn
    assert fit_temperature(logits * temperature, label) == pytest.approx(temperature, rel=0.03)


def test_calibration_error_falls(drawn):
    logits, label = drawn
    overconfident = 4 * logits
    found = fit_temperature(overconfident, label)
    before = reliability_at(overconfident, label, 1.0).expected_calibration_error
    after = reliability_at(overconfident, label, found).expected_calibration_error
    assert after < 0.01 < 0.1 < before


def test_ignored_pixels_do_not_count(drawn):
    logits, label = drawn
    spoilt = label.clone()
    spoilt[::2] = 255
    assert fit_temperature(logits, spoilt) == pytest.approx(
        fit_temperature(logits[1::2], label[1::2])
    )
    assert fit_temperature(logits, torch.full_like(label, 255)) == 1.0


def test_separable_labels_stay_within_the_limits():
    logits = torch.tensor([[0.5, -0.5], [-0.5, 0.5]])
    assert 0.05 <= fit_temperature(logits, torch.tensor([0, 1])) <= 0.06
    assert 19 <= fit_temperature(logits, torch.tensor([1, 0])) <= 20


def test_drawn_pixels_keep_their_labels():
    label = torch.randint(3, (2, 6, 5))
    label[0] = 255
    logits = torch.nn.functional.one_hot(label.clamp(max=2), 3).movedim(-1, 1).float()
    pixels, labels = sample_pixels(logits, label, 10, torch.Generator().manual_seed(0))
    assert pixels.shape == (10, 3)
    assert torch.equal(pixels.argmax(1), labels)
    assert (labels != 255).all()
    assert len(sample_pixels(logits, label, 1000, torch.Generator())[1]) == 30
