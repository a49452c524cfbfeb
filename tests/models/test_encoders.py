"""Encoders: torchvision's names, maps of halving sizes, ImageNet files for any number of bands."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from floodloom.errors import CheckpointError, ConfigError
from floodloom.models.choices import ENCODERS
from floodloom.models.encoder import make_encoder
from floodloom.models.registry import build
from floodloom.models.tensors import for_bands, load_encoder
from tests.models.zoo import settle

DILATABLE = ("mobilenet_v2", "resnet18", "resnet50", "vgg16", "xception")


@pytest.mark.parametrize("name", ENCODERS.names)
def test_map_k_has_a_size_of_one_over_two_to_the_k(name):
    encoder = make_encoder(name, 2).eval()
    with torch.no_grad():
        maps = encoder(torch.randn(1, 2, 64, 96))
    assert tuple(m.shape[1] for m in maps) == encoder.channels
    assert [tuple(m.shape[-2:]) for m in maps] == [(64 // 2**k, 96 // 2**k) for k in range(6)]


@pytest.mark.parametrize("name", DILATABLE)
@pytest.mark.parametrize("stride", [16, 8])
def test_dilation_stands_in_for_halving(name, stride):
    if (name, stride) == ("xception", 8):
        pytest.skip("it goes down to 16")
    torch.manual_seed(0)
    strided, dilated = make_encoder(name, 2), make_encoder(name, 2, output_stride=stride)
    dilated.load_state_dict(strided.state_dict())  # the weights don't depend on the stride
    coarsest = dilated.eval()(torch.randn(1, 2, 64, 64))[-1]
    assert coarsest.shape[-2:] == (64 // stride, 64 // stride)
    assert not coarsest.isnan().any()


@pytest.mark.parametrize(("name", "width"), [("mobilenet_v2", 1024), ("vgg16", 512)])
def test_a_dilated_encoder_sees_as_far_as_a_strided_one(name, width):
    """Dilation is there to keep the field of view; without it, it would shrink."""

    def field(stride: int) -> int:
        torch.manual_seed(0)
        encoder = make_encoder(name, 1, output_stride=stride).double().eval()
        image = torch.rand(1, 1, 32, width, dtype=torch.float64, requires_grad=True)
        coarsest = encoder(image)[-1]
        coarsest[..., coarsest.shape[-1] // 2].sum().backward()
        seen = image.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        assert seen[0] > 0
        assert seen[-1] < width - 1
        return int(seen[-1] - seen[0]) + 1

    strided = field(32)
    assert field(16) > 0.85 * strided
    assert field(8) > 0.7 * strided


@pytest.mark.parametrize(
    ("name", "some"),
    [
        # From torchvision's state dicts; Xception's from pretrained-models.pytorch.
        ("vgg16", {"features.0.weight": (64, 3, 3, 3), "features.28.bias": (512,)}),
        (
            "alexnet",
            {
                "features.0.weight": (64, 3, 11, 11),
                "features.3.weight": (192, 64, 5, 5),
                "features.6.weight": (384, 192, 3, 3),
                "features.8.weight": (256, 384, 3, 3),
                "features.10.bias": (256,),
            },
        ),
        (
            "resnet18",
            {
                "conv1.weight": (64, 3, 7, 7),
                "bn1.running_mean": (64,),
                "layer2.0.downsample.0.weight": (128, 64, 1, 1),
                "layer2.0.downsample.1.running_var": (128,),
                "layer4.1.conv2.weight": (512, 512, 3, 3),
            },
        ),
        (
            "resnet50",
            {
                "layer1.0.downsample.0.weight": (256, 64, 1, 1),
                "layer3.5.bn3.weight": (1024,),
                "layer4.2.conv3.weight": (2048, 512, 1, 1),
            },
        ),
        (
            "mobilenet_v2",
            {
                "features.0.0.weight": (32, 3, 3, 3),
                "features.1.conv.0.0.weight": (32, 1, 3, 3),
                "features.1.conv.1.weight": (16, 32, 1, 1),
                "features.2.conv.1.0.weight": (96, 1, 3, 3),
                "features.17.conv.3.running_var": (320,),
                "features.18.1.weight": (1280,),
            },
        ),
        (
            "xception",
            {
                "block1.rep.0.conv1.weight": (64, 1, 3, 3),
                "block1.skipbn.weight": (128,),
                "block2.rep.1.pointwise.weight": (256, 128, 1, 1),
                "block12.rep.4.pointwise.weight": (1024, 728, 1, 1),
                "conv4.pointwise.weight": (2048, 1536, 1, 1),
            },
        ),
    ],
)
def test_state_dicts_have_the_official_names(name, some):
    with torch.device("meta"):
        state = make_encoder(name, 3).state_dict()
    assert some.items() <= {key: tuple(tensor.shape) for key, tensor in state.items()}.items()


def imagenet_file(folder, name="resnet18", classifier=None):
    """Write a file such as an official one, converted: an encoder for colours and a classifier."""
    encoder = settle(make_encoder(name, 3))
    state = {**encoder.state_dict(), **(classifier or {"fc.weight": torch.randn(1000, 512)})}
    save_file(state, folder / f"{name}.safetensors")
    return encoder, folder / f"{name}.safetensors"


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_imagenet_weights_answer_a_grey_image_alike_for_any_number_of_bands(bands, tmp_path):
    official, path = imagenet_file(tmp_path)
    encoder = make_encoder("resnet18", bands)
    assert set(load_encoder(encoder, path)) == {"fc.weight"}
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        ours = encoder.eval()(grey.expand(-1, bands, -1, -1))[-1]
        theirs = official(grey.expand(-1, 3, -1, -1))[-1]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_as_many_bands_as_colours_keep_the_filters():
    weight = torch.randn(4, 3, 3, 3)
    assert for_bands(weight, 3) is weight


@pytest.mark.parametrize("name", ["unet", "unetplusplus", "linknet", "pspnet", "deeplabv3plus"])
def test_networks_start_from_imagenet(name, tmp_path):
    official, path = imagenet_file(tmp_path)
    model = build(name, 2, 2, encoder="resnet18", encoder_weights=path, width=4)
    expected = official.get_parameter("layer4.1.conv2.weight")
    assert torch.equal(model.encoder.get_parameter("layer4.1.conv2.weight"), expected)
    assert model(torch.randn(2, 2, 47, 65)).shape == (2, 2, 47, 65)


def test_fcn_turns_vggs_fully_connected_layers_into_convolutions(tmp_path, monkeypatch):
    units = 64  # instead of 4096, for speed
    monkeypatch.setattr("floodloom.models.architectures.fcn8._FULLY_CONNECTED", units)
    hidden = torch.randn(units, 512 * 7 * 7) / 100
    second = torch.randn(units, units) / 10
    classifier = {
        "classifier.0.weight": hidden,
        "classifier.0.bias": torch.randn(units),
        "classifier.3.weight": second,
        "classifier.3.bias": torch.randn(units),
        "classifier.6.weight": torch.randn(1000, units),
    }
    _, path = imagenet_file(tmp_path, "vgg16", classifier)
    model = build("fcn8", 3, 2, encoder="vgg16", encoder_weights=path).eval()
    window = torch.rand(1, 512, 7, 7)
    with torch.no_grad():
        centre = model.classifier(window)[0, :, 3, 3]
        first = F.relu(hidden @ window.flatten() + classifier["classifier.0.bias"])
        expected = F.relu(second @ first + classifier["classifier.3.bias"])
    torch.testing.assert_close(centre, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ENCODERS.names)
def test_every_encoder_carries_a_unet(name):
    model = build("unet", 2, 2, encoder=name, width=4)
    logits = model(torch.randn(2, 2, 33, 47))
    assert logits.shape == (2, 2, 33, 47)
    logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_unusable_weights_are_refused_in_one_line(tmp_path):
    pickled = tmp_path / "resnet18.pth"
    torch.save({}, pickled)
    _, path = imagenet_file(tmp_path)
    cases = [
        (tmp_path / "none.safetensors", "resnet18", "not found"),
        (pickled, "resnet18", "nothing is unpickled here; convert"),
        (path, "resnet34", "no weights of ResNet: .* give the file of that encoder"),
    ]
    for file, encoder, message in cases:
        with pytest.raises(CheckpointError, match=message) as caught:
            build("unet", 2, 2, encoder=encoder, encoder_weights=file, width=4)
        assert "\n" not in str(caught.value)
        assert str(file) in str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, number):
    state = make_encoder("resnet18", 3).state_dict()
    state["bn1.weight"][3] = number
    save_file(state, tmp_path / "resnet18.safetensors")
    with pytest.raises(CheckpointError, match=r"weight bn1\.weight holds numbers"):
        load_encoder(make_encoder("resnet18", 2), tmp_path / "resnet18.safetensors")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "unet",
            {"encoder": "resnet101"},
            "'resnet101': unknown; choose one of alexnet, mobile",
        ),
        ("pspnet", {"encoder": "alexnet"}, "'alexnet' with output_stride 8: choose 32"),
        ("pspnet", {"output_stride": 32, "auxiliary": True}, "choose 8 or 16"),
        ("deeplabv3plus", {"encoder": "xception", "output_stride": 8}, "choose 16 or 32"),
        ("fcn8", {"encoder": "resnet18"}, "choose vgg16, alexnet, or none"),
        ("segnet", {"encoder_weights": "x.safetensors"}, "networks with a named encoder"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        build(name, 2, 2, **arguments)
