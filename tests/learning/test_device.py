"""The number format of a training: decided by processor and network, never by a clock."""

from __future__ import annotations

import pytest
import torch

from floodloom.errors import ConfigError
from floodloom.learning import network as networks
from floodloom.learning.network import choose_execution
from floodloom.models.registry import build


def network(width: int = 8):
    return build("unet", 2, 2, width=width, depth=1)


def with_processor(monkeypatch, *, bfloat16: bool) -> None:
    monkeypatch.setattr(networks, "default_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(networks, "supports_bfloat16", lambda _: bfloat16)


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_choosing_leaves_the_network_as_it_was(precision):
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    choose_execution(model, precision)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


@pytest.mark.parametrize(
    ("bfloat16", "width", "expected"),
    [
        (True, 8, "cpu bfloat16 channels-last"),
        (True, 4, "cpu float32"),
        (False, 8, "cpu float32"),
        (False, 16, "cpu float32 channels-last"),
    ],
)
def test_auto_depends_on_the_processors_instructions_and_the_width(
    monkeypatch, bfloat16, width, expected
):
    with_processor(monkeypatch, bfloat16=bfloat16)
    assert {str(choose_execution(network(width), "auto")) for _ in range(3)} == {expected}


def test_auto_reads_no_clock(monkeypatch):
    def clock():
        raise AssertionError("a stopwatch decides")

    for name in ("perf_counter", "monotonic", "time", "process_time"):
        monkeypatch.setattr(f"time.{name}", clock)
    first = str(choose_execution(network(), "auto"))
    monkeypatch.undo()
    assert str(choose_execution(network(), "auto")) == first


def test_a_fixed_precision_is_kept(monkeypatch):
    with_processor(monkeypatch, bfloat16=False)
    assert str(choose_execution(network(), "float32")) == "cpu float32"
    assert str(choose_execution(network(), "bfloat16")) == "cpu bfloat16 channels-last"


def test_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="choose auto, float32 or bfloat16"):
        choose_execution(network(), "int8")
