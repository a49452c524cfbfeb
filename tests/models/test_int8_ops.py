import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.models.int8_unet import concatenate_upsampled, max_pool


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def noise(*shape: int) -> Tensor:
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return torch.from_numpy(values).contiguous(memory_format=torch.channels_last)


def as_defined(skip: Tensor, coarse: Tensor) -> Tensor:
    """The whole joint map, by PyTorch in float64, where sixteenths are exact."""
    double = F.interpolate(coarse.double(), scale_factor=2, mode="bilinear", align_corners=False)
    return torch.cat([skip, (double + 0.5).floor().to(torch.uint8)], dim=1)


def test_pooling_takes_the_largest_of_four(threads) -> None:
    image = noise(2, 8, 38, 20)
    assert torch.equal(max_pool(image), F.max_pool2d(image.float(), 2).to(torch.uint8))


def test_whole_maps_join_as_defined(threads) -> None:
    skip, coarse = noise(2, 8, 26, 34), noise(2, 16, 13, 17)
    assert torch.equal(
        concatenate_upsampled(skip, (0, 0), coarse, (0, 0), (26, 34)), as_defined(skip, coarse)
    )


@pytest.mark.parametrize(("at", "size"), [((3, 4), (7, 9)), ((0, 1), (26, 33)), ((25, 33), (1, 1))])
def test_a_part_is_that_of_the_whole(at, size) -> None:
    skip, coarse = noise(1, 8, 26, 34), noise(1, 16, 13, 17)
    rows, cols = slice(at[0], at[0] + size[0]), slice(at[1], at[1] + size[1])
    assert torch.equal(
        concatenate_upsampled(skip, at, coarse, at, size), as_defined(skip, coarse)[..., rows, cols]
    )


def test_maps_need_not_lie_in_memory_as_they_are_read() -> None:
    skip, coarse = noise(1, 8, 26, 34), noise(1, 16, 13, 17)
    scattered = [
        image.contiguous(memory_format=torch.contiguous_format) for image in (skip, coarse)
    ]
    found = concatenate_upsampled(scattered[0], (0, 0), scattered[1], (0, 0), (26, 34))
    assert torch.equal(found, as_defined(skip, coarse))
