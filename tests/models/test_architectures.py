"""What holds for every architecture: sizes, gradients, learning, and equality after a save."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Loss, Prediction
from floodloom.models.blocks import Junction
from floodloom.models.encoders.alexnet import AlexNet
from floodloom.models.encoders.vgg16 import VGG16
from floodloom.models.registry import arguments_of, build, names
from tests.models.zoo import WIDTH, iou, settle, small


def takes(name: str, argument: str) -> bool:
    return argument in arguments_of(name)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("bands", [1, 2, 5])
@pytest.mark.parametrize("size", [(32, 33), (47, 63), (71, 45)])
def test_logits_have_the_size_of_the_input(name, bands, size):
    classes = bands + 1
    model = small(name, bands, classes).eval()
    assert model(torch.randn(2, bands, *size)).shape == (2, classes, *size)


@pytest.mark.parametrize("name", names())
def test_one_small_tile_can_be_trained_on(name):
    logits = small(name).train()(torch.randn(1, 2, 32, 32))
    assert logits.shape == (1, 2, 32, 32)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", names())
def test_features_go_from_coarse_to_fine_and_make_the_logits(name):
    model = small(name).eval()
    image = torch.randn(1, 2, 45, 64)
    features = model.features(image)
    assert tuple(f.shape[1] for f in features) == model.feature_channels
    heights = [f.shape[-2] for f in features]
    assert heights == sorted(heights)
    assert torch.equal(model.logits(features, image), model(image))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_gradients_reach_every_parameter(name, norm):
    # Four values of one pixel to a group: of two, normalisation leaves only the sign.
    arguments = {"norm": norm, "width": 4 * WIDTH} if norm == "group" else {}
    model = small(name, **arguments if takes(name, "norm") else {})
    model(torch.randn(2, 2, 64, 65)).square().sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def noise(size: int = 32):
    """Water wherever a pixel is bright: only a network that keeps every pixel can learn it."""
    image = torch.randn(2, 2, size, size, generator=torch.Generator().manual_seed(0))
    return image, (image[:, 0] > 0.3).long()


def lakes(size: int = 64):
    """A round lake per tile."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    discs = [(y - 20) ** 2 + (x - 24) ** 2 < 15**2, (y - 40) ** 2 + (x - 30) ** 2 < 18**2]
    return bright(torch.stack(discs).long())


def shore(size: int = 64):
    """The right half is water."""
    label = torch.zeros(2, size, size, dtype=torch.long)
    label[..., size // 2 :] = 1
    return bright(label)


def bright(label: torch.Tensor):
    speckle = torch.randn(2, 2, *label.shape[1:], generator=torch.Generator().manual_seed(0))
    return label[:, None] + 0.3 * speckle, label


COARSE = {
    "fcn16": shore,  # from 1/16 of the size on a circle has corners
    "fcn32": shore,
    "sliding_window": shore,  # sees every pixel, but takes its time to learn noise by heart
    **dict.fromkeys(
        (
            "deeplabv3plus",
            "fcn8",
            "hfd_net",
            "hourglass",
            "hrnet",
            "late_fusion",
            "linknet",
            "pspnet",
        ),
        lakes,
    ),
}


@pytest.mark.parametrize("name", names())
def test_a_batch_can_be_learned_by_heart(name):
    model = small(name, width=WIDTH if name in ("deconvnet", "u2net", "unetplusplus") else 8)
    image, label = COARSE.get(name, noise)()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    reached = 0.0
    for _ in range(250):
        optimizer.zero_grad()
        logits = model(image)
        nn.functional.cross_entropy(logits, label).backward()
        optimizer.step()
        reached = iou(logits, label)
        if reached > 0.98:
            break
    assert reached > 0.98


@pytest.mark.parametrize("name", names())
def test_weights_from_a_file_give_the_same_logits(name, tmp_path):
    model = settle(small(name))
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    other = build(name, 2, 2, width=WIDTH).eval()
    image = torch.randn(1, 2, 33, 47)
    assert not torch.equal(other(image), model(image))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(image), model(image))


def test_side_outputs_of_the_hourglass_are_the_earlier_predictions():
    model = small("hourglass", stacks=3).eval()
    features = model.features(torch.randn(1, 2, 64, 64))
    sides = model.side_logits(features)
    assert [tuple(side.shape) for side in sides] == [(1, 2, 16, 16)] * 2
    assert not any(torch.equal(side, model.classify(features)) for side in sides)


def test_side_outputs_of_u2net_are_what_is_fused():
    model = small("u2net").eval()
    features = model.features(torch.randn(1, 2, 64, 64))
    sides = model.side_logits(features)
    assert [tuple(side.shape) for side in sides] == [(1, 2, 64, 64)] * len(features)
    assert torch.equal(model.fuse(torch.cat(sides, dim=1)), model.classify(features))


def test_a_plain_network_has_no_side_outputs():
    model = small("unet").eval()
    assert model.side_logits(model.features(torch.randn(1, 2, 64, 64))) == []


WITHOUT_DECODER = {"full_resolution", "per_pixel", "sliding_window"}


@pytest.mark.parametrize("name", names())
def test_a_decoder_lives_on_what_the_encoder_hands_over(name):
    """Where nothing is handed over, on any scale, what follows no longer depends on the image."""
    model = small(name).eval()
    images = torch.randn(2, 1, 2, 64, 64)
    first, second = (model.changed_features(image, torch.zeros_like) for image in images)
    if name == "hourglass":  # each of them adds its input to what it makes of it
        first, second = first[:1], second[:1]
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    junctions = [module for module in model.modules() if isinstance(module, Junction)]
    assert bool(junctions) == (name not in WITHOUT_DECODER)


@pytest.mark.parametrize("name", sorted(set(names()) - WITHOUT_DECODER))
def test_what_is_handed_over_can_be_changed_for_once(name):
    model, image = small(name).eval(), torch.randn(1, 2, 64, 64)
    before = model.features(image)
    model.changed_features(image, torch.zeros_like)
    for one, other in zip(before, model.features(image), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(before, model.changed_features(image, torch.clone), strict=True):
        assert torch.equal(one, other)


def test_deep_supervision_has_a_prediction_of_every_node_and_their_mean():
    model = small("unetplusplus", depth=3, deep_supervision=True).eval()
    image = torch.randn(1, 2, 48, 64)
    features = model.features(image)
    sides = model.side_logits(features)
    assert [tuple(side.shape) for side in sides] == [(1, 2, 48, 64)] * 3
    assert tuple(f.shape[1] for f in features) == model.feature_channels
    torch.testing.assert_close(model(image), torch.stack(sides).mean(0))
    plain = small("unetplusplus", depth=3).eval()
    assert plain.side_logits(plain.features(image)) == []


def test_the_auxiliary_loss_of_pspnet_weighs_less_and_reaches_the_encoder():
    model = small("pspnet", auxiliary=True)
    image, label = torch.randn(2, 2, 64, 64), torch.randint(0, 2, (2, 64, 64))
    prediction = Prediction(model, image)
    (side,) = prediction.side_logits
    assert side.shape == (2, 2, 64, 64)
    loss = Loss(nn.functional.cross_entropy)
    batch = Samples.of(image.numpy(), label.numpy())
    ours, theirs = (nn.functional.cross_entropy(x, label) for x in (prediction.logits, side))
    assert loss(prediction, batch).item() == pytest.approx((ours + 0.4 * theirs).item())
    theirs.backward()
    silent = [n for n, p in model.encoder.named_parameters() if p.grad is None]
    assert silent
    assert all(name.startswith("layer4") for name in silent)
    assert small("pspnet").side_logits([]) == []


@pytest.mark.parametrize("encoder", [None, "resnet18", "mobilenet_v2", "vgg16", "xception"])
@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("name", ["deeplabv3plus", "pspnet"])
def test_dilated_networks_have_every_encoder_and_stride(name, encoder, stride):
    if (encoder, stride) == ("xception", 8):
        pytest.skip("it goes down to 16")
    with torch.device("meta"):
        model = small(name, encoder=encoder, output_stride=stride).eval()
        assert model(torch.empty(1, 2, 65, 96)).shape == (1, 2, 65, 96)
    if name == "deeplabv3plus":
        rates = [branch[0].dilation[0] for branch in list(model.context.branches)[1:]]
        assert rates == [96 // stride, 192 // stride, 288 // stride]


def test_fcn_takes_the_fully_connected_layers_of_both_classifiers(tmp_path):
    for encoder, kind, layers, window in (
        ("vgg16", VGG16, ("classifier.0", "classifier.3"), 7 * 7 * 512),
        ("alexnet", AlexNet, ("classifier.1", "classifier.4"), 6 * 6 * 256),
    ):
        with torch.device("meta"):
            model = build("fcn32", 3, 2, encoder=encoder)
        assert type(model.encoder) is kind
        weights = dict(zip(layers, (window, 4096), strict=True))
        shapes = {
            f"{name}.weight": torch.empty(4096, n, device="meta") for name, n in weights.items()
        }
        shapes |= {f"{name}.bias": torch.empty(4096, device="meta") for name in layers}
        model.adopt(shapes)  # of another shape it would raise
