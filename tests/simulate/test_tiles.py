"""Tile stores of simulated chips."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.raster.store import recipe_of
from floodloom.simulate import tiles as simulated
from floodloom.simulate.tiles import ACCEPTED, simulated_tiles, write_simulated_tiles
from floodloom.tiles.store import open_tiles


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> list:
    folder = tmp_path_factory.mktemp("chips")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "_SIDE", 64)
        return write_simulated_tiles(folder, 6, first=40, part=4)


def test_chips_are_tiles_of_both_sides_of_the_split(stores) -> None:
    assert [store.name for store in stores] == ["000040-000043.zarr", "000044-000045.zarr"]
    tiles = open_tiles(stores)
    assert tiles.split.values.tolist() == ["validation"] * 4 + ["train"] * 2
    assert tiles.image.shape == (6, 4, 64, 64)
    assert tiles.band.values.tolist() == ["vv", "vh", "before_vv", "before_vh"]
    assert set(np.unique(tiles.label)) <= {0, 1, 255}
    assert {0, 1} <= set(np.unique(tiles.label))
    recipe_of(tiles).require_scene(recipe_of(tiles), "itself", ACCEPTED)


def test_a_store_that_is_there_is_kept(stores, monkeypatch) -> None:
    monkeypatch.setattr(simulated, "write_tiles", None)
    assert write_simulated_tiles(stores[0].parent, 6, first=40, part=4) == stores


def test_the_seed_makes_the_tile(stores) -> None:
    again = simulated_tiles([44], size=64)
    np.testing.assert_array_equal(again.image[0], open_tiles(stores).image[4])
