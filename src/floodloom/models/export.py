"""Networks for others to run: batch normalisation fused, and ONNX."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.nn.utils.fusion import fuse_conv_bn_eval

from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.models.base import Segmenter

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


SMALLEST = 96
"""Least height and width that an exported program takes, px."""


def export_program(model: Segmenter, in_channels: int) -> ExportedProgram:
    """Return a network as a program that takes any batch, height and width.

    Every architecture of the registry can be exported, with every upsampling: max-unpooling is
    written as a scatter, which has an operator of its own everywhere.

    Parameters
    ----------
    model
        On the CPU; it is put into evaluation mode.
    in_channels
        Bands of its input.

    Returns
    -------
    ExportedProgram
        From `image` (tile, band, y, x) float32, y and x at least `SMALLEST`, to logits (tile,
        class, y, x) float32.
    """
    image = torch.zeros(2, in_channels, SMALLEST + 32, SMALLEST + 64)
    # Not named dimensions: of those, torch wants each size that a pooling gives proven positive.
    free = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with torch.no_grad():
        return torch.export.export(model.eval(), (image,), dynamic_shapes={"image": free})


def export_onnx(model: Segmenter, path: str | Path, in_channels: int) -> Path:
    """Write a network as ONNX: `image` (tile, band, y, x) to `logits` (tile, class, y, x).

    Parameters
    ----------
    model, in_channels
        As `export_program`.
    path
        File to write, whole or not at all; the weights lie within it.

    Raises
    ------
    InputError
        If the packages that write ONNX are not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{path}: ONNX needs {' and '.join(missing)}; run pip install 'floodloom[onnxruntime]'"
        )
    program = export_program(model, in_channels)
    with atomic_path(path) as temporary:
        torch.onnx.export(
            program,
            f=temporary,
            input_names=["image"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    return Path(path)
