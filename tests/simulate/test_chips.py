"""Chips for training: what holds for each, and what occurs among many."""

from collections import Counter

import numpy as np
import pytest

from floodloom.simulate.chips import VISIBLE_DB, Chip, make_chip
from floodloom.simulate.place import BIOMES, Cover

SIZE = 96


@pytest.fixture(scope="module")
def chips() -> list[Chip]:
    return [make_chip(seed, SIZE) for seed in range(50)]


@pytest.mark.parametrize("seed", [3, 4])
def test_a_seed_gives_the_same_chip(chips, seed) -> None:
    again = make_chip(seed, SIZE)
    for field in ("before", "after", "label", "visible", "valid", "elevation"):
        np.testing.assert_array_equal(getattr(again, field), getattr(chips[seed], field))
    assert again.sensor == chips[seed].sensor


def test_no_two_chips_are_alike(chips) -> None:
    assert len({chip.after.tobytes() for chip in chips}) == len(chips)


def test_power_is_finite_and_never_negative_and_zero_without_data(chips) -> None:
    for chip in chips:
        for image in (chip.before, chip.after):
            assert image.dtype == np.float32
            assert image.shape == (len(chip.polarisations), SIZE, SIZE)
            assert np.isfinite(image).all()
            assert (image >= 0).all()
            assert (image[:, ~chip.valid] == 0).all()
        assert np.ptp(chip.incidence) < 0.3
        assert 29 < chip.incidence.min() < chip.incidence.max() < 46


def test_all_that_is_promised_occurs_among_fifty(chips) -> None:
    shares = np.array([(chip.label == 2).mean() for chip in chips])
    assert 0.3 < (shares == 0).mean() < 0.6
    assert shares.max() > 0.5
    assert ((shares > 0) & (shares < 0.1)).any()
    assert sum((chip.label == 1).any() for chip in chips) > 25
    covers = Counter(int(code) for chip in chips for code in np.unique(chip.cover))
    assert set(covers) == {int(cover) for cover in Cover}
    assert {chip.biome for chip in chips} == set(BIOMES)
    sensors = [chip.sensor for chip in chips]
    assert {sensor.spacing for sensor in sensors} == {10.0, 20.0, 30.0}
    assert {sensor.quantity for sensor in sensors} == {"sigma0", "gamma0"}
    for fact in ("flattened", "filtered", "descending"):
        assert {getattr(sensor, fact) for sensor in sensors} == {True, False}
    assert {sensor.removed[0] > 0 for sensor in sensors} == {True, False}
    assert {len(chip.polarisations) for chip in chips} == {1, 2}
    assert any(not chip.valid.all() for chip in chips)
    assert any((~chip.visible & (chip.label == 2)).any() for chip in chips)


def test_a_flood_that_is_visible_is_darker_than_before_it(chips) -> None:
    changes = []
    for chip in chips:
        seen = (chip.label == 2) & chip.visible & chip.valid
        if seen.sum() > 300:
            after, before = (image[:, seen].mean(axis=1) for image in (chip.after, chip.before))
            changes.append((after / before).min())
    assert len(changes) > 10
    assert np.median(changes) < 10 ** (-VISIBLE_DB / 10)


def test_permanent_water_is_there_before_and_after(chips) -> None:
    """Open water is darker than dry land on both days, but for wind."""
    contrasts = []
    for chip in chips:
        water, dry = (chip.valid & (chip.label == value) for value in (1, 0))
        if water.sum() > 300 and dry.sum() > 300 and len(chip.polarisations) == 2:
            contrasts += [
                np.median(image[1][dry]) / max(np.median(image[1][water]), 1e-6)
                for image in (chip.before, chip.after)
            ]
    assert len(contrasts) > 20
    assert np.median(contrasts) > 3


def test_a_biome_can_be_chosen() -> None:
    chip = make_chip(0, 64, biome="desert")
    assert chip.biome == "desert"
    assert np.isin(chip.cover, (Cover.SAND, Cover.SOIL, Cover.ROCK, Cover.FLAT)).mean() > 0.2
