"""What networks need and see: known truths, and the figures that are listed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from floodloom.models import figures
from floodloom.models.base import Segmenter
from floodloom.models.blocks import convolution
from floodloom.models.choices import ARCHITECTURES
from floodloom.models.figures import LARGEST_FIELD
from floodloom.models.measure import measure, multiply_adds, receptive_field
from floodloom.models.registry import build

FIGURES = {row.name: row for row in figures.describe()}


class Convolutions(Segmenter):
    """Two 3×3 convolutions and a 5×5: a receptive field of 9 px."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            convolution(2, 3), convolution(3, 3), nn.Conv2d(3, 2, 5, padding=2)
        )

    def features(self, image):
        return [image]

    def classify(self, features):
        return self.body(features[-1])


def test_receptive_field_of_stacked_convolutions_is_known():
    assert receptive_field(Convolutions()) == 9


def test_receptive_field_of_a_small_unet_is_known():
    # Down: 1 + 2·2 (two 3×3), pooling + 1, two 3×3 at half size 2·2·2 = 14 px around a coarse
    # pixel. Up: nearest takes one coarse pixel, two 3×3 see 5 fine ones = 3 or 4 coarse ones
    # of which the central output sees 3: 14 + 2·2 = 18.
    assert receptive_field(build("unet", 2, 2, width=2, depth=1, upsampling="nearest")) == 18


def test_multiply_adds_of_known_layers():
    # 3×3 from 2 to 3 channels, 3×3 from 3 to 3, 5×5 from 3 to 2, at every one of 2²⁰ pixels.
    expected = (9 * 2 * 3 + 9 * 3 * 3 + 25 * 3 * 2) * 2**20
    with torch.device("meta"):
        assert multiply_adds(Convolutions()) == expected


def test_every_architecture_is_listed_with_its_paper() -> None:
    assert tuple(FIGURES) == ARCHITECTURES.names
    assert FIGURES["per_pixel"].receptive_field == 1
    assert FIGURES["pspnet"].receptive_field == LARGEST_FIELD
    assert FIGURES["unet"].parameters == 1_963_970
    assert all(row.source for row in FIGURES.values())


@pytest.mark.parametrize("name", ["per_pixel", "segnet", "unet"])
def test_the_listed_figures_are_those_that_are_measured(name: str) -> None:
    assert FIGURES[name] == measure(name), "run `make docs`"


@pytest.mark.parametrize("name", ARCHITECTURES.own_names)
def test_the_listed_parameters_are_those_of_the_network(name: str) -> None:
    with torch.device("meta"):
        network = build(name, 2, 2)
    count = sum(p.numel() for p in network.parameters())
    assert (FIGURES[name].parameters, FIGURES[name].source) == (
        count,
        ARCHITECTURES.load(name).source,
    ), "run `make docs`"


def test_an_architecture_without_figures_is_measured(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(figures, "FILE", tmp_path / "figures.json")
    monkeypatch.setattr(figures, "_measure", lambda name: ("measured", name))
    figures.FILE.write_text("[]")
    assert figures.describe() == [("measured", name) for name in ARCHITECTURES.names]


def test_the_list_needs_no_torch() -> None:
    code = "import sys, floodloom.cli as c; c.main(['models']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
