"""Every architecture as a `torch.export` program and as ONNX, at sizes it wasn't exported with."""

from __future__ import annotations

import os
from typing import Any

import onnxruntime
import pytest
import torch

from floodloom.errors import InputError
from floodloom.models import export
from floodloom.models.export import SMALLEST, export_onnx, export_program
from floodloom.models.registry import names
from tests.models.zoo import SHALLOW, settle, small

SIZES = [(1, SMALLEST, SMALLEST + 5), (3, SMALLEST + 33, SMALLEST)]


EVERY = bool(os.environ.get("FLOODLOOM_EVERY_NETWORK"))
APART = ("deeplabv3plus", "hourglass", "hrnet", "octconv", "segnet", "u2net", "unet")
"""Networks of which each has an operation that the others don't; an export takes some 5 s."""
SHALLOWEST: dict[str, dict[str, Any]] = {
    **SHALLOW,
    "hourglass": {"depth": 1},
    "hrnet": {"blocks": 1, "modules": (1,)},
    "octconv": {"depth": 1},
    "u2net": {"depths": (3, 2, 2)},
    "unet": {"depth": 1},
}
"""Arguments that keep every operation of an architecture; each layer makes an export longer."""


@pytest.mark.parametrize("name", names() if EVERY else APART)
def test_onnx_gives_the_same_logits(name, tmp_path):
    model = settle(small(name, **SHALLOWEST.get(name, {})))
    path = export_onnx(model, tmp_path / "model.onnx", 2)
    assert list(tmp_path.iterdir()) == [path]
    session = onnxruntime.InferenceSession(path)
    for count, height, width in SIZES:
        image = torch.randn(count, 2, height, width)
        (logits,) = session.run(["logits"], {"image": image.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(logits), model(image), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "upsampling",
    ["nearest", "bicubic", "bed_of_nails", "max_unpool", "transposed", "transposed_4x4"],
)
def test_every_upsampling_can_be_exported(upsampling):
    model = settle(small("unet", depth=1, upsampling=upsampling))
    program = export_program(model, 2).module()
    for count, height, width in SIZES:
        image = torch.randn(count, 2, height, width)
        with torch.no_grad():
            torch.testing.assert_close(program(image), model(image), atol=1e-4, rtol=0)


def test_without_its_packages_onnx_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"onnx and onnxscript; run pip .*\[onnxruntime\]"):
        export_onnx(small("per_pixel"), tmp_path / "model.onnx", 2)
