"""Parameter counts against the published ones; nothing is allocated (meta device)."""

from __future__ import annotations

import pytest
import torch

from floodloom.models.architectures.octconv import OctaveConvolution
from floodloom.models.encoder import make_encoder
from floodloom.models.registry import build
from tests.models.zoo import parameters

HRNET = {"stem": 64, "blocks": 4, "modules": (1, 4, 3)}


@pytest.mark.parametrize(
    ("name", "bands", "classes", "arguments", "millions"),
    [
        # U-Net's layers (arXiv 1505.04597, Fig. 1) in Keras: 31,031,685.
        ("unet", 1, 2, {"width": 64, "upsampling": "transposed"}, 31.03),
        # arXiv 1807.10165, Table 3: U-Net 7.76 M and U-Net++ 9.04 M, both 32 to 512 channels.
        ("unet", 3, 1, {"width": 32, "upsampling": "transposed"}, 7.76),
        ("unetplusplus", 3, 1, {"width": 32, "upsampling": "transposed"}, 9.04),
        (
            "unetplusplus",
            3,
            1,
            {"width": 32, "upsampling": "transposed", "deep_supervision": True},
            9.04,
        ),
        # arXiv 1511.00561: the encoder's 14.7 M, twice.
        ("segnet", 3, 12, {"width": 64}, 29.4),
        # arXiv 1505.04366, section 5.1: approximately 252 M.
        ("deconvnet", 3, 21, {"width": 64, "window": 7, "hidden": 4096}, 252),
        # arXiv 1411.4038, Table 1: FCN-VGG16 has 134 M.
        ("fcn32", 3, 21, {"encoder": "vgg16"}, 134),
        ("fcn8", 3, 21, {"encoder": "vgg16"}, 134),
        ("fcn8", 3, 21, {"encoder": "vgg16", "upsampling": "transposed_4x4"}, 134),
        # The same table: FCN-AlexNet has 57 M.
        ("fcn32", 3, 21, {"encoder": "alexnet"}, 57),
        # arXiv 1707.03718: 11.5 M.
        ("linknet", 3, 20, {"encoder": "resnet18"}, 11.5),
        # README of HRNet-Semantic-Segmentation: HRNetV2-W48 65.8 M.
        ("hrnet", 3, 19, {"width": 48, **HRNET}, 65.8),
        # arXiv 1902.09212, Table 1: 8-stage hourglass 25.1 M.
        ("hourglass", 3, 17, {"width": 64, "stacks": 8}, 25.1),
        # arXiv 2005.09007: 176.3 MB and 4.7 MB of float32.
        ("u2net", 3, 1, {"width": 64}, 44.0),
        ("u2net", 3, 1, {"width": 64, "middle": 16}, 1.13),
    ],
)
def test_published_networks_have_their_parameters(name, bands, classes, arguments, millions):
    with torch.device("meta"):
        count = parameters(build(name, bands, classes, **arguments))
    assert count == pytest.approx(millions * 1e6, rel=0.05)


@pytest.mark.parametrize(
    ("name", "classifier", "published"),
    [
        # torchvision's tables of models; Xception: Keras, trainable parameters.
        ("vgg16", 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000, 138_357_544),
        ("alexnet", 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000, 61_100_840),
        ("resnet18", 512 * 1000 + 1000, 11_689_512),
        ("resnet34", 512 * 1000 + 1000, 21_797_672),
        ("resnet50", 2048 * 1000 + 1000, 25_557_032),
        ("mobilenet_v2", 1280 * 1000 + 1000, 3_504_872),
        ("xception", 2048 * 1000 + 1000, 22_855_952),
    ],
)
def test_encoders_are_imagenets_without_the_classifier(name, classifier, published):
    with torch.device("meta"):
        assert parameters(make_encoder(name, 3)) + classifier == published


@pytest.mark.parametrize(("width", "millions"), [(8, 0.49), (16, 1.96)])
def test_unet_has_the_parameters_it_is_chosen_for(width, millions):
    assert parameters(build("unet", 2, 2, width=width)) == pytest.approx(millions * 1e6, rel=0.01)


@pytest.mark.parametrize("share", [0.125, 0.25, 0.5])
def test_an_octave_convolution_has_the_weights_of_a_plain_one(share):
    # arXiv 1904.05049, section 3.2: the kernel is only split.
    weights = [
        p.numel() for p in OctaveConvolution(16, 32, share, share).parameters() if p.dim() == 4
    ]
    assert len(weights) == 4
    assert sum(weights) == 16 * 32 * 9
