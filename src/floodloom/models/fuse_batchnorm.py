"""Batch normalisation as a part of the convolution before it, once a network is trained."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def fuse_batchnorm(model: Network) -> Network:
    """Return a copy whose batch normalisations are fused with the convolutions before them.

    Parameters
    ----------
    model
        In evaluation mode; pairs that follow one another in an `nn.Sequential` are fused.
    """
    fused = copy.deepcopy(model)
    for block in list(fused.modules()):
        if not isinstance(block, nn.Sequential):
            continue
        for index in range(len(block) - 1):
            first, second = block[index], block[index + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                block[index], block[index + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return fused
