import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from floodloom.errors import InputError
from floodloom.learning.inference import ensemble_of
from floodloom.mapping import backends
from floodloom.mapping.backends import Request, accelerate, available, choose_backend
from floodloom.models.export import fuse_batchnorm
from floodloom.models.registry import build
from tests.mapping.conftest import as_inputs, backscatter, fitted, flooded, untrained

INSTALLED = available("float32")


def images(number: int = 2, height: int = 64, width: int = 96) -> np.ndarray:
    return (
        as_inputs(backscatter(number * height, width))
        .values.reshape(2, number, height, width)[:, :]
        .swapaxes(0, 1)
    )


def request(backend: str, precision: str = "float32", pixels: int = 0) -> Request:
    return Request(backend, precision, pixels)


@pytest.mark.parametrize("backend", INSTALLED)
def test_float32_back_ends_agree(backend) -> None:
    ensemble = ensemble_of([untrained(0, depth=1), untrained(1, temperature=2.0, depth=1)])
    running, name = accelerate(ensemble, request(backend))
    assert name == backend
    # A shape takes seconds to compile, and a view of what is square has its shape.
    for batch, tta in ((images(2, 64, 64), True), (images(1), False)):
        expected = ensemble.moments(batch, tta=tta)
        found = running.moments(batch, tta=tta)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("backend", available("bfloat16"))
def test_reduced_precision_changes_few_classes(backend) -> None:
    ensemble = ensemble_of([fitted()])
    power, water = flooded(512, 512, seed=7)
    batch = as_inputs(power).values[np.newaxis]
    running, _ = accelerate(ensemble, Request(backend, "bfloat16", 0))
    exact = ensemble.moments(batch)[0][0, 1]
    reduced = running.moments(batch, precision="bfloat16")[0][0, 1]
    assert ((exact >= 0.5) == water).mean() > 0.99
    assert np.abs(reduced - exact).max() > 0
    assert ((reduced >= 0.5) != (exact >= 0.5)).mean() < 1e-3


def test_auto_depends_on_processor_installation_and_size_alone(monkeypatch) -> None:
    ensemble = ensemble_of([untrained()])
    amx = {"there": True}
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx["there"])
    monkeypatch.setattr(backends, "available", lambda precision: ("torch", "openvino"))
    large, small = request("auto", pixels=10**9), request("auto", pixels=10**6)
    assert choose_backend(ensemble, large) == "openvino"
    assert choose_backend(ensemble, small) == "torch"
    amx["there"] = False
    assert choose_backend(ensemble, large) == "torch"
    amx["there"] = True
    monkeypatch.setattr(backends, "available", lambda precision: ("torch", "onnxruntime"))
    assert choose_backend(ensemble, large) == "torch"
    assert accelerate(ensemble, large)[1] == "torch"


def test_back_end_that_is_not_there_says_how_to_get_it(monkeypatch) -> None:
    ensemble = ensemble_of([untrained()])
    with pytest.raises(InputError, match="backend 'tensorrt': unknown; choose one of auto, torch"):
        accelerate(ensemble, request("tensorrt"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert available("float32") == ("torch",)
    with pytest.raises(InputError, match=r"pip install 'floodloom\[openvino\]'"):
        accelerate(ensemble, request("openvino"))


def test_precision_that_a_back_end_lacks_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(backends, "_missing", lambda backend: [])
    with pytest.raises(InputError, match="onnxruntime: has no bfloat16"):
        accelerate(ensemble_of([untrained()]), request("onnxruntime", "bfloat16"))


@pytest.mark.parametrize("name", ["unet", "linknet", "unetplusplus", "fcn8"])
def test_fused_normalisation_changes_nothing_but_rounding(name) -> None:
    torch.manual_seed(0)
    model = build(name, 2, 2, width=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    model.eval()
    image = torch.randn(1, 2, 64, 64)
    with torch.inference_mode():
        expected = model(image)
        fused = fuse_batchnorm(model)
        torch.testing.assert_close(fused(image), expected, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules() if name == "unet")


GONE = """
import signal, sys
from torch import nn
from floodloom.mapping.backends import Request, _compile_openvino

runs = [
    _compile_openvino(nn.Conv2d(8, 64, 3).eval(), (1, 8, 64, 64), Request("openvino", precision, 1))
    for precision in ("bfloat16", "float32")
]
runs.pop(0)
runs.pop(0)
signal.signal(signal.SIGTERM, lambda number, frame: print("handled"))
signal.raise_signal(signal.SIGTERM)
"""


def test_a_signal_is_handled_after_networks_of_openvino_have_gone() -> None:
    """On processors that multiply matrices each sets a stack for signals, and frees it."""
    pytest.importorskip("openvino")
    ended = subprocess.run(
        [sys.executable, "-c", GONE], capture_output=True, text=True, check=False
    )
    assert ended.stdout == "handled\n", ended.stderr
    assert ended.returncode == 0
