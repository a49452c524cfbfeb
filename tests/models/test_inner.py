"""The inner part of a window, computed without what only its rim would need."""

import pytest
import torch

from floodloom.models.inner import decoder_spans, without_rim
from floodloom.models.registry import build

RIMS = [(40, 40, 30, 30), (0, 40, 33, 0), (60, 60, 0, 0)]


def settled(name, **arguments):
    """A network with normalisation that does something."""
    torch.manual_seed(0)
    model = build(name, 2, 3, **arguments).double().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model


@pytest.mark.parametrize("rim", RIMS)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unet", {"width": 4}),
        ("unet", {"width": 4, "depth": 2}),
        ("unet", {"width": 4, "upsampling": "transposed"}),
        ("unet", {"width": 4, "norm": "group"}),
        ("unet", {"width": 4, "encoder": "resnet18"}),
        ("segnet", {"width": 4}),
    ],
)
@pytest.mark.parametrize("size", [(352, 320), (352, 321)])
def test_inner_logits_are_those_of_the_whole_window(name, arguments, rim, size) -> None:
    model = settled(name, **arguments)
    image = torch.randn(2, 2, *size, dtype=torch.float64)
    with torch.inference_mode():
        whole, inner = model(image), model.inner_logits(image, rim)
    torch.testing.assert_close(inner, without_rim(whole, rim), rtol=0, atol=1e-12)


def test_the_finest_level_is_computed_for_little_more_than_what_is_wanted() -> None:
    (convolved, right), *_, deepest = decoder_spans(1024, (110, 914), 4)
    assert (convolved, right) == ((108, 916), (110, 914))
    assert deepest[0] == deepest[1]
    assert deepest[1][0] * 16 <= 110
    assert deepest[1][1] * 16 >= 914
