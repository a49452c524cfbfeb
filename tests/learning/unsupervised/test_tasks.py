"""Tasks without labels by hand, and what they are worth to a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from floodloom.cli import main
from floodloom.errors import CheckpointError, InputError
from floodloom.learning.checkpoint import load_checkpoint
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Samples, radar_samples
from floodloom.learning.distillation.settings import DistillSettings, TeachSettings
from floodloom.learning.inference import load_ensemble
from floodloom.learning.loss import mask_contrast, prototypes
from floodloom.learning.training.settings import TrainSettings
from floodloom.learning.unsupervised.dark_regions import dark_regions
from floodloom.learning.unsupervised.pretraining import starting
from floodloom.learning.unsupervised.task import learn
from floodloom.learning.unsupervised.tasks import TASKS
from floodloom.learning.unsupervised.tasks.mask_contrast import (
    Embedding,
    MaskContrast,
    balanced_cross_entropy,
)
from floodloom.learning.unsupervised.tasks.masked import MaskedReconstruction, hidden_patches
from floodloom.models.registry import build
from floodloom.stages.pretrain import pretrain
from floodloom.stages.train import train
from tests.learning.conftest import QUICK

SEEDS = torch.tensor([3, 4, 5])
PLAIN = Augmentation(None)


def network(bands: int = 2):
    torch.manual_seed(0)
    return build("unet", bands, 2, width=4)


def batch(count: int = 3, side: int = 32) -> Samples:
    draw = torch.Generator().manual_seed(1)
    image = torch.rand(count, 2, side, side, generator=draw) - 0.5
    image[:, :, 8:24, 4:20] -= 2.0
    valid = torch.ones_like(image, dtype=torch.bool)
    valid[:, :, :3] = False
    return Samples(image * valid, torch.full((count, side, side), 255).byte(), valid=valid)


def test_the_same_share_of_patches_is_hidden_by_the_seed_alone() -> None:
    hidden = hidden_patches(SEEDS, 40, 24)
    patches = hidden.view(3, 5, 8, 3, 8).float().mean(dim=(2, 4))
    assert set(patches.unique().tolist()) == {0.0, 1.0}
    assert patches.sum(dim=(1, 2)).tolist() == [9, 9, 9]
    assert torch.equal(hidden_patches(SEEDS.flip(0), 40, 24), hidden.flip(0))
    assert not torch.equal(hidden[0], hidden[1])


def test_the_error_counts_on_hidden_pixels_with_data_alone() -> None:
    task = MaskedReconstruction(network(), ["vv", "vh"])
    torch.nn.init.zeros_(task.head.weight)
    torch.nn.init.constant_(task.head.bias, 0.25)
    tiles = batch()
    found = task(tiles, SEEDS, lambda one, seeds: one).detach()
    counted = (hidden_patches(SEEDS + 1, 32, 32) & tiles.valid).numpy()
    expected = np.abs(0.25 - tiles.image.numpy())[counted].mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_nothing_of_a_hidden_pixel_is_seen() -> None:
    task = MaskedReconstruction(network(), ["vv", "vh"]).eval()
    tiles = batch()
    hidden = hidden_patches(SEEDS + 1, 32, 32)
    other = replace(tiles, image=torch.where(hidden, torch.tensor(5.0), tiles.image))
    seen = []
    task.network.register_forward_pre_hook(lambda module, given: seen.append(given))
    features = task.network.features
    task.network.features = lambda image: seen.append(image) or features(image)  # type: ignore
    task(tiles, SEEDS, lambda one, seeds: one)
    task(other, SEEDS, lambda one, seeds: one)
    assert torch.equal(seen[0], seen[1])


def test_dark_regions_are_those_of_two_levels() -> None:
    tiles = batch()
    regions = dark_regions(tiles.image, tiles.valid, [0, 1])
    dark = torch.zeros(32, 32, dtype=torch.bool)
    dark[8:24, 4:20] = True
    found, known = regions == 1, regions != 255
    assert torch.equal(known, tiles.all_valid)
    for one in found:
        assert (one & dark).sum() / (one | dark).sum() > 0.7  # a fifth of a tile is dark
        assert not one[:, 24:].any()
    again = dark_regions(4 * tiles.image - 11, tiles.valid, [0, 1])
    assert torch.equal(again, regions)


@pytest.mark.parametrize("level", [-2.0, 1.0])
def test_a_tile_of_one_level_has_no_dark_region(level: float) -> None:
    noise = torch.randn(4, 2, 48, 48, generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones_like(noise, dtype=torch.bool)
    assert not (dark_regions(level + noise, everywhere, [0, 1]) == 1).any()
    flat = dark_regions(torch.full_like(noise, level), everywhere, [0, 1])
    assert (flat == 0).all()
    assert (dark_regions(noise, ~everywhere, [0, 1]) == 255).all()


def test_salience_is_balanced_by_hand() -> None:
    """One salient pixel of four that are known; logits of 0 cost ln 2."""
    mask = torch.tensor([[[1, 0, 0, 0, 255]]], dtype=torch.uint8)
    found = balanced_cross_entropy(torch.zeros(1, 1, 5), mask)
    assert float(found) == pytest.approx(np.log(2) * (0.75 + 3 * 0.25) / 4, rel=1e-6)


def test_the_second_network_follows_and_the_memory_holds_prototypes() -> None:
    task = MaskContrast(network(), ["vv", "vh"]).train()
    tiles, views = batch(), PLAIN
    ahead = task.leading.embed.weight
    loss = task(tiles, SEEDS, views)
    assert task.memory.shape == (3, 32)
    torch.testing.assert_close(task.memory.norm(dim=1), torch.ones(3))
    loss.backward()
    assert ahead.grad is not None
    assert all(one.grad is None for one in task.following.parameters())
    behind = task.following.embed.weight.clone()
    with torch.no_grad():
        ahead += 1.0
    task.follow()
    torch.testing.assert_close(task.following.embed.weight, behind + 0.01, rtol=0, atol=1e-5)
    task(tiles, SEEDS, views)
    assert len(task.memory) == 6


def test_embeddings_have_the_size_of_the_image() -> None:
    embedded, salience = Embedding(network())(torch.zeros(2, 2, 40, 56))
    assert embedded.shape == (2, 32, 40, 56)
    assert salience.shape == (2, 40, 56)


@pytest.fixture(scope="module")
def pretrained(stores, tmp_path_factory) -> dict[str, Path]:
    """A checkpoint of every task."""
    folder = tmp_path_factory.mktemp("pretrained")
    tiles = [stores["train"], stores["validation"], stores["target"]]
    return {
        name: pretrain(
            tiles=tiles,
            out=folder / f"{name}.safetensors",
            settings=TrainSettings(**QUICK | {"epochs": 10}, encoder_weights=name),
        )
        for name in TASKS.names
    }


@pytest.mark.parametrize("name", TASKS.names)
def test_the_checkpoint_says_what_it_is(pretrained, name: str) -> None:
    found = load_checkpoint(pretrained[name])
    assert [epoch["epoch"] for epoch in found.history] == list(range(1, 11))
    assert found.training["pretraining"] == name
    assert found.training["tiles"] == 36  # those of validation take no part
    assert found.training["epochs"] == 10
    assert found.code
    assert found.is_pretrained


def test_hidden_backscatter_is_learnt(pretrained) -> None:
    losses = [epoch["loss"] for epoch in load_checkpoint(pretrained["masked"]).history]
    assert losses[-1] < 0.7 * losses[0]


def two_kinds(count: int = 24, side: int = 32) -> Samples:
    """Tiles with a dark square each, in turn dark in the one and in the other band."""
    draw = np.random.default_rng(0)
    image = draw.normal(0, 0.25, (count, 2, side, side)).astype(np.float32)
    for tile in range(count):
        row, col = draw.integers(2, 14, 2)
        darker = np.array([1.5, 0.3] if tile % 2 else [0.3, 1.5], np.float32)
        image[tile, :, row : row + 14, col : col + 14] -= darker.reshape(2, 1, 1)
    return Samples(torch.from_numpy(image), torch.full((count, side, side), 255).byte())


def test_regions_of_two_kinds_come_apart() -> None:
    """The contrast is least, ln 12, where each is like the twelve of its kind alone."""
    tiles = two_kinds()
    task = MaskContrast(network(), ["vv", "vh"])
    learn(task, tiles, TrainSettings(**QUICK | {"epochs": 12}), PLAIN)
    task.eval()
    with torch.no_grad():
        embedded, salience = task.leading(tiles.image)
    regions = dark_regions(tiles.image, tiles.valid, [0, 1])
    found, dark = salience > 0, regions == 1
    assert (found & dark).sum() / (found | dark).sum() > 0.6  # all of a tile would be .2
    contrast = float(mask_contrast(embedded, embedded, regions))
    assert np.log(12) < contrast < np.log(24) - 0.3
    prototype, _ = prototypes(embedded, regions)
    alike, kind = prototype @ prototype.T, torch.arange(24) % 2
    same = kind.unsqueeze(1) == kind
    assert alike[same].min() > alike[~same].max() + 0.5


@pytest.mark.parametrize("name", TASKS.names)
def test_no_label_counts(pretrained, name: str, stores, make_tiles, tmp_path: Path) -> None:
    from floodloom.tiles.store import write_tiles

    tiles = make_tiles(24, optical=True)
    tiles["label"].values[:] = 1 - np.minimum(tiles["label"].values, 1)
    write_tiles(tiles, tmp_path / "turned.zarr")
    again = pretrain(
        tiles=[tmp_path / "turned.zarr", stores["validation"], stores["target"]],
        out=tmp_path / "again.safetensors",
        settings=TrainSettings(**QUICK | {"epochs": 10}, encoder_weights=name),
    )
    weights = load_checkpoint(pretrained[name]).weights
    for key, tensor in load_checkpoint(again).weights.items():
        assert torch.equal(tensor, weights[key]), key


def begun(stores, out: Path, init: Path | None, seed: int = 0):
    """A short training, from random weights or from others."""
    return load_checkpoint(
        train(
            tiles=[stores["train"], stores["validation"]],
            out=out,
            init=init,
            settings=TrainSettings(**QUICK | SHORT, seed=seed),
        )
    )


SHORT = {"epochs": 3, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def from_random(stores, tmp_path_factory) -> list[float]:
    """Validation IoU of trainings from random weights, by seed."""
    out = tmp_path_factory.mktemp("random") / "model.safetensors"
    return [begun(stores, out, None, seed).history[-1]["iou"] for seed in range(3)]


@pytest.mark.parametrize("name", TASKS.names)
def test_a_training_learns_faster_from_pretrained_weights(
    pretrained, name: str, stores, from_random, tmp_path: Path
) -> None:
    """After the same 18 steps of three trainings each, by .2 of IoU on average."""
    out = tmp_path / "model.safetensors"
    found = [begun(stores, out, pretrained[name], seed) for seed in range(3)]
    ious = [one.history[-1]["iou"] for one in found]
    assert np.mean(ious) > np.mean(from_random) + 0.2
    assert found[0].notes["pretrained"]["pretraining"] == name
    assert not found[0].is_pretrained
    assert found[0].training["epochs"] == 3


def test_pretrained_weights_map_nothing(pretrained) -> None:
    with pytest.raises(CheckpointError, match=r"masked\.safetensors: .*no label; train it"):
        load_ensemble(pretrained["masked"])


def test_only_pretrained_weights_are_a_start(pretrained) -> None:
    found = load_checkpoint(pretrained["masked"])
    with pytest.raises(CheckpointError, match="floodloom pretrain"):
        starting(starting(found))


def test_what_is_missing_is_named(stores, tmp_path: Path, capsys) -> None:
    with pytest.raises(InputError, match="names no task; choose one of mask-contrast, masked"):
        pretrain(tiles=[stores["train"]], out=tmp_path / "p.safetensors")
    with pytest.raises(InputError, match="no tile is in the splits train and target"):
        pretrain(
            tiles=[stores["validation"]],
            out=tmp_path / "p.safetensors",
            settings=TrainSettings(encoder_weights="masked"),
        )
    words = ["--tiles", str(stores["train"]), "--encoder-weights", "masked"]
    out = tmp_path / "m.safetensors"
    assert main(["train", *words, "--out", str(out)]) == 1
    assert "give the checkpoint of `floodloom pretrain` as init" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("kind", [TeachSettings, DistillSettings])
def test_teachers_and_students_begin_with_files_alone(kind) -> None:
    assert kind(encoder_weights="x.safetensors").weights_file == Path("x.safetensors")
    with pytest.raises(ValidationError, match="masked is for `train` alone"):
        kind(encoder_weights="masked")


def test_a_task_sees_what_a_tile_store_holds(make_tiles) -> None:
    samples = radar_samples(make_tiles(4))
    for name in TASKS.names:
        loss = TASKS.load(name)(network(), ["vv", "vh"])(samples, SEEDS[:1].repeat(4), PLAIN)
        assert torch.isfinite(loss)
