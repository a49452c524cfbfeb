"""Batches and items come in order and ahead of time, from memory or from disk."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest
import torch

from floodloom.learning.data.samples import Prefetch, prefetch_batches, radar_samples
from floodloom.learning.data.zarr_tiles import ZarrTiles, load_radar_tiles, locate_tiles
from floodloom.tiles.store import concatenate_tiles, open_tiles, write_tiles


@pytest.fixture
def stores(make_tiles, tmp_path):
    paths = [tmp_path / "first.zarr", tmp_path / "second.zarr"]
    write_tiles(make_tiles(70), paths[0])
    write_tiles(make_tiles(5, seed=3, event="other"), paths[1])
    return paths


class Slow:
    """Tiles that note when they are read."""

    def __init__(self, samples):
        self.samples, self.read, self.changed = samples, 0, threading.Condition()

    def __len__(self):
        return len(self.samples)

    def take(self, index):
        with self.changed:
            self.read += 1
            self.changed.notify_all()
        return self.samples.take(index)

    def identity(self):
        return "slow"


@pytest.mark.parametrize("readers", [1, 3])
def test_order_is_kept_whatever_the_number_of_threads(make_tiles, readers, monkeypatch):
    monkeypatch.setattr("floodloom.learning.data.samples._READERS", readers)
    samples = radar_samples(make_tiles(12))
    order = torch.randperm(12).split(3)
    found = list(prefetch_batches(Slow(samples), order))
    for index, batch in zip(order, found, strict=True):
        assert torch.equal(batch.image, samples.image[index])
        assert batch.ids == tuple(samples.ids[i] for i in index)


def test_batches_are_read_while_one_is_worked_on(make_tiles):
    tiles = Slow(radar_samples(make_tiles(4)))
    batches = prefetch_batches(tiles, torch.zeros(20, 2, dtype=torch.int64))
    next(batches)
    with tiles.changed:
        assert tiles.changed.wait_for(lambda: tiles.read == 5, timeout=20)
    batches.close()
    assert tiles.read < 20


def test_an_error_of_a_reader_reaches_the_loop(make_tiles):
    tiles = radar_samples(make_tiles(4))
    with pytest.raises(IndexError):
        list(prefetch_batches(Slow(tiles), [torch.tensor([99])]))


def test_tiles_on_disk_are_those_in_memory(stores):
    tiles = locate_tiles(open_tiles(stores), stores)
    tiles = tiles.isel(tile=np.random.default_rng(0).permutation(75)[:60])
    stored, held = ZarrTiles(tiles), radar_samples(tiles)
    index = torch.tensor([59, 0, 7, 7, 31])
    found, expected = stored.take(index), held.take(index)
    assert torch.equal(found.image, expected.image)
    assert torch.equal(found.label, expected.label)
    assert found.ids == expected.ids
    assert len(stored) == len(held) == 60
    assert {name.split("_")[0] for name in stored.take(torch.arange(60)).ids} == {"event", "other"}


def test_the_identity_of_stored_tiles_follows_them(stores, make_tiles, tmp_path):
    tiles = locate_tiles(open_tiles(stores), stores)
    whole, fewer = ZarrTiles(tiles), ZarrTiles(tiles.isel(tile=slice(1, None)))
    assert whole.identity() == ZarrTiles(tiles).identity() != fewer.identity()
    other = tmp_path / "changed.zarr"
    write_tiles(make_tiles(70).assign(label=1 - make_tiles(70).label), other)
    changed = locate_tiles(open_tiles([other, stores[1]]), [other, stores[1]])
    assert ZarrTiles(changed).identity() != whole.identity()


def test_the_limit_decides_where_tiles_lie(stores):
    first = locate_tiles(open_tiles(stores[0]), stores[0])
    second = locate_tiles(open_tiles([stores[1]]), [stores[1]])
    tiles = concatenate_tiles([first, second])
    size = 75 * 32 * 32 * (2 * (4 + 1) + 1) / 2**30
    assert isinstance(load_radar_tiles(tiles, 0.99 * size), ZarrTiles)
    held = load_radar_tiles(tiles, 1.01 * size)
    assert torch.equal(held.label, ZarrTiles(tiles).take(torch.arange(75)).label)


def test_items_come_in_order() -> None:
    assert list(Prefetch(range(100), depth=3)) == list(range(100))
    assert list(Prefetch([])) == []


def test_no_more_is_made_than_asked_for() -> None:
    made = []

    def source():
        for number in range(10):
            made.append(number)
            yield number

    items = Prefetch(source(), depth=2)
    assert next(items) == 0
    time.sleep(0.05)
    assert len(made) == 3
    assert list(items) == list(range(1, 10))


def test_error_is_raised_where_the_item_would_have_come() -> None:
    def source():
        yield 1
        raise ValueError("broken strip")

    items = Prefetch(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken strip"):
        next(items)


def test_thread_ends_with_a_consumer_that_stops_early() -> None:
    before = threading.active_count()
    items = Prefetch(iter(int, 1))
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before


def test_consumer_decides_how_long_an_item_lives() -> None:
    class Large:
        pass

    alive: weakref.WeakSet[Large] = weakref.WeakSet()

    def items():
        for _ in range(3):
            large = Large()
            alive.add(large)
            yield large
            del large

    for item in Prefetch(items()):
        del item
        assert len(alive) <= 1
