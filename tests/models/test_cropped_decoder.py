"""The inner part of a window, computed without what only its rim would need."""

from functools import cache

import pytest
import torch

from floodloom.models.cropped_decoder import crop_rim, decoder_spans
from floodloom.models.registry import build

RIMS = [(40, 40, 30, 30), (0, 40, 33, 0), (60, 20, 0, 0)]


def settled(name, **arguments):
    """A network with normalisation that does something."""
    torch.manual_seed(0)
    model = build(name, 2, 3, **arguments).double().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model


@cache
def windows(name, arguments, size):
    """A network, an image, and the network's logits of the whole image."""
    model = settled(name, **dict(arguments))
    image = torch.randn(size, dtype=torch.float64)
    with torch.inference_mode():
        return model, image, model(image)


def cropped(model, image, rim):
    """The logits within `rim`, and whether the last convolution sees less than the window."""
    sizes = []

    def keep(module, seen, out):
        sizes.append(out.shape)

    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    hooks = [convolution.register_forward_hook(keep) for convolution in convolutions]
    with torch.inference_mode():
        inner = model.cropped_logits(image, rim)
    for hook in hooks:
        hook.remove()
    return inner, sizes[-1][-2:] != image.shape[-2:]


@pytest.mark.parametrize("rim", RIMS)
@pytest.mark.parametrize(
    ("name", "arguments", "able"),
    [
        ("unet", {"width": 4}, True),
        ("unet", {"width": 4, "depth": 2}, True),
        ("unet", {"width": 4, "upsampling": "transposed"}, False),
        ("unet", {"width": 4, "norm": "group"}, False),
        ("unet", {"width": 4, "encoder": "resnet18"}, False),
        ("segnet", {"width": 4}, False),
    ],
)
@pytest.mark.parametrize("size", [(2, 2, 352, 320), (1, 2, 352, 321)])
def test_inner_logits_are_those_of_the_whole_window(name, arguments, able, rim, size) -> None:
    model, image, whole = windows(name, tuple(arguments.items()), size)
    inner, cut = cropped(model, image, rim)
    assert cut == (able and size[-1] == 320)
    torch.testing.assert_close(inner, crop_rim(whole, rim), rtol=0, atol=1e-12)


def test_the_finest_level_is_computed_for_little_more_than_what_is_wanted() -> None:
    (convolved, right), *_, deepest = decoder_spans(1024, (110, 914), 4)
    assert (convolved, right) == ((108, 916), (110, 914))
    assert deepest[0] == deepest[1]
    assert deepest[1][0] * 16 <= 110
    assert deepest[1][1] * 16 >= 914
