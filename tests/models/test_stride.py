"""By how much an image can move for a network to give the same logits."""

import pytest
import torch

from floodloom.models.registry import build

NETWORKS = [
    ("hourglass", {"width": 2, "stacks": 1}),
    ("hourglass", {"width": 2, "stacks": 1, "depth": 2}),
    ("unet", {"width": 4, "depth": 6}),
    ("unet", {"width": 4, "depth": 2}),
    ("unetplusplus", {"width": 4, "depth": 3}),
    ("hfd_net", {"width": 4, "depth": 6}),
    ("octconv", {"width": 4, "depth": 5}),
    ("late_fusion", {"width": 2, "branch": "hourglass"}),
    ("linknet", {"width": 4, "depth": 5}),
]
_SIDES = 64, 1280  # px
_INSIDE = slice(600, 640)  # columns that neither end of the image reaches


@pytest.mark.parametrize(("name", "arguments"), NETWORKS)
def test_logits_move_with_the_image_by_strides_and_by_nothing_less(name, arguments) -> None:
    torch.manual_seed(0)
    model = build(name, 2, 2, **arguments).double().eval()
    image = torch.rand(1, 2, *_SIDES, dtype=torch.float64).cumsum(-1) % 1

    def apart(moved: int) -> float:
        with torch.inference_mode():
            whole, part = model(image)[..., moved:], model(image[..., moved:])
        return float((whole - part)[..., _INSIDE].abs().max())

    assert apart(model.stride) < 1e-12
    assert apart(model.stride // 2) > 0
