"""Augmentations change tiles as radar would, keep labels true, and depend on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from floodloom.learning.data.augmentation import (
    Augmentation,
    Draws,
    LosableBands,
    gamma,
    jitter_gain,
    losable_bands,
    mix_boxes,
    radar_noise,
)
from floodloom.learning.data.samples import Samples
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.tiles.inputs import compose_inputs

RECIPE = Recipe(quantity="gamma0").for_inputs(("vv", "vh"))


def tiles_of(value: float, count: int = 1, bands: int = 2, size: int = 32) -> Samples:
    image = torch.full((count, bands, size, size), value)
    return Samples(image, torch.full((count, size, size), int(value > 0), dtype=torch.uint8))


def test_a_tile_is_changed_alike_in_any_company():
    torch.manual_seed(0)
    batch = Samples(torch.rand(6, 2, 32, 32) - 0.5, torch.randint(2, (6, 32, 32)).byte())
    others = Samples(batch.image.flip(0), batch.label.flip(0))
    change = Augmentation(radar_noise(RECIPE, 10.0, 1.0, 1.0), band_drop=0.3, cutmix=0.5)
    seeds = torch.randint(2**62, (6,))
    mixes = change.mixes(seeds)
    assert mixes.any()
    assert not mixes.all()
    whole = change(batch, seeds, others.take(mixes.nonzero().flatten()))
    differs = (whole.label.sum((1, 2)) != batch.label.sum((1, 2))).nonzero().flatten().tolist()
    assert differs == mixes.nonzero().flatten().tolist()
    for part in (slice(0, 2), slice(2, 6), *(slice(one, one + 1) for one in range(6))):
        here = torch.arange(part.start, part.stop)
        alone = change(batch.take(here), seeds[part], others.take(here[mixes[part]]))
        assert torch.equal(alone.image, whole.image[part])
        assert torch.equal(alone.label, whole.label[part])


def test_the_ramp_is_a_plane_that_stays_within_its_height():
    noise = radar_noise(RECIPE, None, 0.0, 2.0)
    image = torch.zeros(200, 2, 32, 32)
    changed = noise(image, torch.ones_like(image, dtype=torch.bool), Draws(torch.arange(200)))
    decibel = changed * 17.5
    assert decibel.abs().max() <= 2.0 + 1e-4
    assert decibel.abs().max() > 1.9
    assert torch.equal(decibel[:, 0], decibel[:, 1])
    second = decibel.diff(n=2, dim=-1).abs().max(), decibel.diff(n=2, dim=-2).abs().max()
    assert max(second) < 1e-4
    torch.testing.assert_close(decibel.mean((2, 3)), torch.zeros(200, 2), atol=1e-4, rtol=0)
    slopes = decibel[:, 0].diff(dim=-1).mean((1, 2))
    assert 0.3 < (slopes > 0).float().mean() < 0.7


def test_a_band_is_lost_as_often_as_asked_and_never_the_only_one():
    dropped = Augmentation(band_drop=0.25)(tiles_of(0.5, 4000, 2, 4), torch.arange(4000)).image
    lost = dropped.abs().amax(dim=(2, 3)) == 0
    assert lost.sum(dim=1).max() == 1
    assert lost.any(dim=1).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert lost[:, 0].float().mean().item() == pytest.approx(0.125, abs=0.02)
    single = Augmentation(band_drop=1.0)(tiles_of(0.5, 10, 1), torch.arange(10))
    assert (single.image == 0.5).all()


def test_bands_that_may_be_missing_are_lost_together():
    bands = ("vv", "vh", "before_vv", "before_vh")
    losable = losable_bands(bands, bands)
    assert losable == LosableBands((2, 3), ((1, 3), (0, 2)))
    tiles = Augmentation(losable=losable)(tiles_of(0.5, 8000, 4, 4), torch.arange(8000))
    lost = tiles.image.abs().amax(dim=(2, 3)) == 0
    assert torch.equal(lost, ~tiles.valid.flatten(2).any(dim=2))
    assert not lost[:, :2].all(dim=1).any()
    kinds = {tuple(row) for row in lost.tolist()}
    assert len(kinds) == 6  # with or without the earlier date: both, VV alone, VH alone
    both_before = (lost[:, 2] & lost[:, 3]).float().mean().item()
    assert both_before == pytest.approx(0.5, abs=0.02)
    assert lost[:, :2].float().mean().item() == pytest.approx(0.2, abs=0.02)


def test_a_band_that_is_always_there_is_never_lost():
    assert losable_bands(("vv", "before_vv"), ("before_vv",)) == LosableBands((1,), ())
    assert losable_bands(("vv", "vh"), ()) is None
    assert losable_bands(("vv",), ("vv",)) is None


def test_mixing_takes_boxes_of_every_area_labels_and_all():
    ours, theirs = tiles_of(-0.5, 2000), tiles_of(0.5, 2000)
    result = Augmentation(cutmix=1.0)(ours, torch.arange(2000), theirs)
    share = (result.label == 1).float().mean((1, 2))
    assert torch.equal(result.label == 1, result.image[:, 0] == 0.5)
    assert stats.kstest(share.numpy(), "uniform")[0] < 0.05
    rows = (result.label == 1).any(dim=2).sum(1)
    cols = (result.label == 1).any(dim=1).sum(1)
    assert torch.equal(rows * cols, (result.label == 1).sum((1, 2)))
    none = Augmentation(cutmix=1e-9)(ours, torch.arange(2000), theirs.between(0, 0))
    assert (none.label == 0).all()


def test_mixing_takes_the_companion_along():
    def with_optical(value):
        plane = torch.full((1, 1, 4, 4), value)
        return Samples(plane, plane[:, 0].byte(), plane * 10, plane[:, 0] > 0)

    box = torch.zeros(1, 4, 4, dtype=torch.bool)
    box[:, :2] = True
    result = mix_boxes(with_optical(0.0), with_optical(1.0), [(slice(0, 2), slice(0, 4))])
    assert torch.equal(result.clear, box)
    assert torch.equal(result.optical[:, 0], 10.0 * box)


def test_everything_of_a_tile_turns_together():
    plane = torch.arange(64.0).view(1, 1, 8, 8).repeat(20, 1, 1, 1)
    batch = Samples(plane, plane[:, 0].byte(), plane.clone(), plane[:, 0] > 20)
    turned = Augmentation()(batch, torch.arange(20))
    assert torch.equal(turned.image[:, 0].byte(), turned.label)
    assert torch.equal(turned.image, turned.optical)
    assert torch.equal(turned.clear, turned.image[:, 0] > 20)
    assert len({tuple(tile.flatten().tolist()) for tile in turned.image}) == 8


@pytest.mark.parametrize("looks", [4.0, 20.0])
def test_speckle_has_mean_one_and_the_variance_of_its_looks(looks):
    normal = torch.randn(400_000, generator=torch.Generator().manual_seed(0))
    drawn = gamma(looks, normal).double()
    assert drawn.mean().item() == pytest.approx(1, abs=0.01)
    assert drawn.var().item() == pytest.approx(1 / looks, rel=0.02)
    assert stats.kstest(drawn[:20_000].numpy(), stats.gamma(looks, scale=1 / looks).cdf)[0] < 0.015


def test_noise_is_what_it_would_be_in_power():
    """Noise on the inputs equals the inputs of a scene with that noise on its power."""
    bands = ("vv", "vh", "ratio", "before_vv")
    recipe = Recipe(quantity="gamma0").for_inputs(bands)
    gains = {"vv": 1.2, "vh": 0.7, "before_vv": 0.9}
    power = {"vv": 0.08, "vh": 0.02}

    def inputs(changes):
        now = {name: ("yx", value * changes.get(name, 1)) for name, value in power.items()}
        then = {name: value * changes.get(f"before_{name}", 1) for name, value in power.items()}
        planes = [
            stamp(
                xr.Dataset({n: (("y", "x"), np.full((1, 1), v, np.float32)) for n, v in p.items()}),
                recipe,
            )
            for p in ({n: v for n, (_, v) in now.items()}, then)
        ]
        return compose_inputs(planes[0], recipe, before=planes[1]).values[:, 0, 0]

    noise = radar_noise(recipe, None, 1.0)
    sources = [band for band in bands if band != "ratio"]
    decibel = torch.tensor([10 * np.log10(gains[name]) for name in sources], dtype=torch.float32)
    np.testing.assert_allclose(
        inputs({}) + (noise.gain @ decibel).numpy(), inputs(gains), atol=1e-5
    )


def test_noise_spares_no_data_and_stays_in_range():
    recipe = Recipe(quantity="gamma0").for_inputs(("vv", "vh", "ratio"))
    image = torch.full((2, 3, 8, 8), 0.99)
    valid = torch.ones_like(image, dtype=torch.bool)
    image[:, :, 0], valid[:, :, 0] = 0, False
    noisy = radar_noise(recipe, 4.0, 1.0, 1.0)(image, valid, Draws(torch.arange(2)))
    assert not noisy[:, :, 0].any()
    assert noisy.abs().max() <= 1
    assert (noisy[:, :, 1:] != image[:, :, 1:]).float().mean() > 0.4


def test_display_products_get_no_decibel_noise():
    display = Recipe(quantity="display").for_inputs(("vv",), normalisation="scene")
    assert radar_noise(display, 4.0, 1.0) is None
    other = Recipe(quantity="gamma0").for_inputs(("slope",))
    assert radar_noise(other, 4.0, 1.0) is None


def test_a_lost_sensor_is_lost_whole_and_noise_stays_on_the_radar():
    recipe = Recipe(quantity="gamma0").for_inputs(("vv", "vh"))
    image = torch.full((400, 5, 4, 4), 0.1)
    batch = Samples(image, torch.zeros(400, 4, 4, dtype=torch.uint8))
    noise = radar_noise(recipe, 20.0, 1.0)
    change = Augmentation(noise, sensor_drop=0.3, second_sensor=2)
    seen = change(batch, torch.arange(400)).image
    kept = (seen[:, 2:] == 0.1).flatten(1).all(dim=1)
    lost = (seen[:, 2:] == 0).flatten(1).all(dim=1)
    assert (kept | lost).all()
    assert lost.float().mean().item() == pytest.approx(0.3, abs=0.07)
    assert (seen[:, :2] != 0.1).float().mean() > 0.9


def test_jitter_changes_gain_and_offset_and_leaves_no_data():
    image = torch.linspace(-2, 2, 64).view(1, 1, 8, 8).repeat(3, 2, 1, 1)
    valid = torch.ones(3, 2, 8, 8, dtype=torch.bool)
    image[:, :, 0, 0], valid[:, :, 0, 0] = 0, False
    found = jitter_gain(image, valid, 0.5, Draws(torch.arange(3)))
    assert (found[:, :, 0, 0] == 0).all()
    flat, before = found[0, 0].flatten()[1:], image[0, 0].flatten()[1:]
    gain = (flat[-1] - flat[0]) / (before[-1] - before[0])
    assert 1 / 1.5 <= gain <= 1.5
    torch.testing.assert_close(flat - gain * before, (flat - gain * before)[:1].expand(63))
    assert not torch.equal(found[0], found[1])
