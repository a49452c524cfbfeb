import threading
import time
import weakref

import pytest

from floodloom.mapping.ahead import Ahead


def test_items_come_in_order() -> None:
    assert list(Ahead(range(100), depth=3)) == list(range(100))
    assert list(Ahead([])) == []


def test_no_more_is_made_than_asked_for() -> None:
    made = []

    def source():
        for number in range(10):
            made.append(number)
            yield number

    items = Ahead(source(), depth=2)
    assert next(items) == 0
    time.sleep(0.05)
    assert len(made) == 3
    assert list(items) == list(range(1, 10))


def test_error_is_raised_where_the_item_would_have_come() -> None:
    def source():
        yield 1
        raise ValueError("broken strip")

    items = Ahead(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken strip"):
        next(items)


def test_thread_ends_with_a_consumer_that_stops_early() -> None:
    before = threading.active_count()
    items = Ahead(iter(int, 1))
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

    for item in Ahead(items()):
        del item
        assert len(alive) <= 1
