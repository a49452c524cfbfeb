"""Real land with drawn water: what is changed, what stays, and what is labelled."""

from __future__ import annotations

import json

import numpy as np
import pytest

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.raster.store import accepted_of
from floodloom.simulate import tiles as simulated
from floodloom.simulate.semisynthetic import RealPlace, flood_place
from floodloom.simulate.tiles import ACCEPTED, semisynthetic_tiles

SIDE = 96
LAND = np.array([[[0.1]], [[0.02]]], np.float32)


def place(**changes) -> RealPlace:
    """A valley from north to south, with a wood on its east and unknown water in a corner."""
    rows, cols = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    elevation = 0.4 * np.abs(cols - SIDE / 2) + 0.02 * rows
    water = np.zeros((SIDE, SIDE), np.uint8)
    water[:8, :8] = IGNORE
    hides = cols > SIDE / 2 + 6
    speckle = np.random.default_rng(0).gamma(4.4, 1 / 4.4, (2, SIDE, SIDE))
    known = {
        "power": (LAND * speckle).astype(np.float32),
        "elevation": elevation,
        "water": water,
        "hides": hides,
        "spacing": 10.0,
    }
    return RealPlace(**(known | changes))


def flooded(share: float, seed: int = 1, **changes):
    return flood_place(np.random.default_rng(seed), place(**changes), share)


def test_dry_places_stay_as_the_radar_saw_them() -> None:
    dry = flooded(0.0)
    np.testing.assert_array_equal(dry.power, place().power)
    assert set(np.unique(dry.label)) == {0, IGNORE}


def test_only_what_lies_low_is_flooded_and_the_rest_stays() -> None:
    found, before = flooded(0.3), place()
    flood = found.label == 2
    assert before.elevation[flood].mean() < before.elevation[found.label == 0].mean() / 2
    far = (found.label == 0) & (np.abs(np.arange(SIDE) - SIDE / 2) > 30)[np.newaxis]
    np.testing.assert_allclose(found.power[:, far], before.power[:, far], rtol=1e-4)
    assert found.power[0][flood].mean() < before.power[0][flood].mean() / 2


def test_a_larger_share_floods_more() -> None:
    shares = [(flooded(share).label == 2).mean() for share in (0.05, 0.2, 0.5)]
    assert shares[0] < shares[1] < shares[2]


def test_hidden_and_unknown_ground_has_no_label() -> None:
    found, before = flooded(0.4), place()
    assert not (found.label[before.hides] == 2).any()
    assert (found.label[before.water == IGNORE] == IGNORE).all()


def test_ground_as_dark_as_water_has_no_label() -> None:
    dark = flooded(0.3, power=np.full((2, SIDE, SIDE), 1e-3, np.float32))
    assert not (dark.label == 2).any()
    assert (dark.label == IGNORE).mean() > 0.1


def test_no_data_stays_no_data() -> None:
    power = place().power.copy()
    power[:, 40:50] = np.nan
    found = flooded(0.5, power=power)
    assert np.isnan(found.power[:, 40:50]).all()
    assert (found.label[40:50] == IGNORE).all()


def test_rasters_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="cut them to one square"):
        place(elevation=np.zeros((SIDE, SIDE - 1), np.float32))


def test_floods_of_places_are_tiles_without_an_image_before(monkeypatch) -> None:
    monkeypatch.setattr(simulated, "_SIDE", 128)
    tiles = semisynthetic_tiles([place()], 3, share=0.3)
    assert tiles.image.shape == (3, 4, 128, 128)
    assert not tiles.image.sel(band=["before_vv", "before_vh"]).any()
    assert (tiles.label[:, SIDE:] == IGNORE).all()
    assert (tiles.fraction_water > 0.02).all()
    assert accepted_of(tiles) == ACCEPTED
    assert json.loads(tiles.attrs["classes"]) == ["dry", "water"]
