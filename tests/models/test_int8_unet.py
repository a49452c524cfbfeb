"""A U-Net in 8 bits against the same in float32."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from floodloom.models.architectures.unet import UNet
from floodloom.models.cropped_decoder import crop_rim
from floodloom.models.int8_unet import (
    Int8Convolution,
    Int8UNet,
    Steps,
    can_quantise,
)
from floodloom.models.quantisation import observe
from floodloom.models.registry import build


def image(count: int = 1, side: int = 96) -> Tensor:
    draw = np.random.default_rng(3)
    smooth = np.cumsum(draw.normal(size=(count, 2, side, side)), axis=3) / 8
    return torch.from_numpy(np.tanh(smooth).astype(np.float32))


def network(seed: int = 0, **arguments) -> UNet:
    """A U-Net whose normalisations know the images."""
    torch.manual_seed(seed)
    model = build("unet", 2, 2, **{"width": 8, "depth": 2, **arguments})
    with torch.no_grad():
        for _ in range(30):
            model.train()(image())
    return model.eval()


def quantised(model: UNet, sample: Tensor) -> Int8UNet:
    with observe(model) as seen, torch.inference_mode():
        model(sample)
    return Int8UNet(model, seen)


@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("weights", ["of the processor", "of 7 bits"])
def test_logits_stay_near_those_of_float32(depth, weights, monkeypatch) -> None:
    if weights == "of 7 bits":
        monkeypatch.setattr("floodloom.models.int8_unet.supports_vnni", lambda: False)
    model = network(depth=depth)
    with torch.inference_mode():
        exact = model(image(2))
        near = quantised(model, image(2))(image(2))
    assert near.shape == exact.shape
    assert near.dtype == torch.float32
    apart = (near - exact).abs()
    assert 0 < apart.mean() < 0.05 * exact.std()
    assert apart.max() < 0.6 * exact.std()


def test_the_border_is_as_near_as_the_middle() -> None:
    """Around the image lies 0, which among the inputs is not the byte 0."""
    model = network()
    with torch.inference_mode():
        apart = (quantised(model, image())(image()) - model(image())).abs()
    border = torch.cat([apart[..., :2, :].flatten(), apart[..., -2:, :].flatten()])
    assert border.mean() < 2 * apart.mean()


@pytest.mark.parametrize("rim", [(0, 0, 0, 0), (22, 22, 22, 22), (0, 30, 17, 5)])
def test_the_inner_part_is_that_of_the_whole_to_the_bit(rim) -> None:
    small = quantised(network(), image())
    with torch.inference_mode():
        whole = small(image(2))
        assert torch.equal(small.cropped_logits(image(2), rim), crop_rim(whole, rim))


def test_threads_and_batches_change_no_bit() -> None:
    small = quantised(network(), image())
    before = torch.get_num_threads()
    with torch.inference_mode():
        torch.set_num_threads(1)
        one = torch.cat([small(part) for part in image(3).split(1)])
        torch.set_num_threads(2)
        two = small(image(3))
        torch.set_num_threads(before)
    assert torch.equal(one, two)


def test_the_network_itself_is_left_as_it_is() -> None:
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    quantised(model, image())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_what_goes_beyond_the_sample_is_cut_off() -> None:
    small = quantised(network(), image())
    with torch.inference_mode():
        far = small(50 * image())
    assert torch.isfinite(far).all()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unet", {"width": 4}),
        ("unet", {"upsampling": "transposed"}),
        ("unet", {"norm": "group"}),
        ("unet", {"skips": "add"}),
        ("hourglass", {}),
    ],
)
def test_other_networks_cannot_be_quantised(name, arguments) -> None:
    assert can_quantise(network())
    assert not can_quantise(build(name, 2, 2, **arguments))


def test_bad_sizes_and_convolutions_say_so() -> None:
    small = quantised(network(), image())
    with pytest.raises(ValueError, match="98 x 96 px: not multiples of 4"):
        small(torch.zeros(1, 2, 98, 96))
    with pytest.raises(ValueError, match="fuse the normalisation"):
        Int8Convolution(nn.Conv2d(2, 8, 3, bias=False), Steps(torch.ones(2)), None, None)
