"""The right scenes are chosen among decoys, with a line for each."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from floodloom.prepare.candidates import Candidate
from floodloom.prepare.choose import choose
from tests.prepare.scenes import scene

BOX = (10.2, 45.2, 10.8, 45.8)
SINCE = datetime(2023, 5, 14)
AFTER, BEFORE = "2023-05-14T16:58:21", "2023-05-02T16:58:21"
SOUTH, NORTH = (10, 45, 11, 45.51), (10, 45.5, 11, 46.01)


def offer(name: str, taken: str = AFTER, **how: object) -> Candidate:
    """A scene of all of the area, unless `box` or else says otherwise."""
    of_candidate = {k: how.pop(k) for k in ("mode", "version", "problem") if k in how}
    return Candidate(scene(f"{name}.json", taken, **how), name, **of_candidate)


def chosen(*offers: Candidate, dates: int = 1) -> tuple[list[str], list[list[str]], list[str]]:
    """Names of what is chosen, which doesn't depend on the order of what is offered."""
    found = []
    for seed in range(4):
        order = list(offers)
        random.Random(seed).shuffle(order)
        choice = choose(order, BOX, SINCE, dates)
        found.append(
            (
                [one.name for one in choice.after],
                [[one.name for one in members] for members in choice.before],
                choice.reasons,
            )
        )
    assert all(one == found[0] for one in found)
    return found[0]


RIGHT = (offer("after"), offer("before", BEFORE))


@pytest.mark.parametrize(
    ("decoy", "why"),
    [
        (offer("d", "2023-05-14T05:00:00", relative_orbit=95), "no scene before the flood can be"),
        (offer("d", "2023-05-13T16:58:21", relative_orbit=117), "relative orbit 117, not 44"),
        (offer("d", "2023-05-08T16:58:21", relative_orbit=15), "relative orbit 15, not 44"),
        (offer("d", "2023-05-08T16:58:21", orbit_direction="descending"), "direction descending"),
        (offer("d", "2023-05-08T16:58:21", polarisations=("vv",)), "without VH"),
        (offer("d", "2023-05-08T16:58:21", polarisations=("hh",)), "shows hh, no VV or VH"),
        (offer("d", "2023-05-08T16:58:21", mode="EW"), "mode EW, not IW"),
        (offer("d", "2023-05-14T16:00:00", mode="SM"), "mode SM, not IW"),
        (offer("d", "2023-05-08T16:58:21", problem="is SLC, not GRD"), "is SLC, not GRD"),
        (offer("d", "2023-05-14T16:00:00", problem="has no product"), "has no product"),
        (offer("d", "2023-05-08T16:58:21", box=(10, 45, 10.4, 46)), "shows less of the area"),
        (offer("d", "2023-05-14T05:00:00", box=(10, 45, 10.35, 46)), "shows 25% of the area"),
        (offer("d", "2023-04-20T16:58:21"), "earlier"),
        (offer("d", "2023-05-26T16:58:21"), "later"),
        (offer("d", version=("003.40", "")), "the same echoes as after"),
    ],
)
def test_the_right_pair_among_decoys(decoy: Candidate, why: str) -> None:
    right = (offer("after", version=("003.61", "")), RIGHT[1])
    after, before, reasons = chosen(decoy, *right)
    assert (after, before) == (["after"], [["before"]])
    assert [line for line in reasons if line.startswith("not d: ") and why in line]
    assert [line.split()[0] for line in reasons if "not d" not in line] == ["after", "before"]


def test_a_scene_from_before_the_flood_does_not_show_it() -> None:
    early = offer("early", "2023-05-13T16:58:21", relative_orbit=44, platform="S1C")
    after, before, _ = chosen(early, *RIGHT)
    assert (after, before) == (["after"], [["early"]])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("003.9", ""), ("003.61", "")),
        (("IPF 002.82", "2023-05-20"), ("IPF 003.52", "2023-05-15")),
        (("003.61", "2023-05-14T19:00:00Z"), ("003.61", "2023-05-15T03:00:00Z")),
        (("", "2023-05-14T19:00:00Z"), ("", "2023-05-15T03:00:00Z")),
    ],
)
def test_of_the_same_echoes_the_newest_product_counts(old, new) -> None:
    after, _, reasons = chosen(offer("old", version=old), offer("new", version=new), RIGHT[1])
    assert after == ["new"]
    assert [line for line in reasons if line.startswith("not old: the same echoes as new")]


def test_slices_of_one_pass_belong_together_each_once() -> None:
    later = datetime.fromisoformat(AFTER) + timedelta(seconds=25)
    slices = (
        offer("south", box=SOUTH, version=("1", "")),
        offer("south-again", box=SOUTH, version=("2", "")),
        offer("north", str(later), box=NORTH),
    )
    after, before, reasons = chosen(*slices, RIGHT[1])
    assert after == ["south-again", "north"]
    assert before == [["before"]]
    assert any("after south-again and 1 more slice of the pass: shows all" in r for r in reasons)


def test_slices_that_show_no_more_of_the_area_are_left_where_they_are() -> None:
    later = datetime.fromisoformat(AFTER) + timedelta(seconds=25)
    beside = offer("beside", str(later), box=(10, 45.75, 11, 46.5))
    beyond = offer("beyond", str(later), box=(10, 46, 11, 47))
    assert chosen(beside, beyond, *RIGHT)[0] == ["after"]


def test_a_pass_that_shows_all_is_worth_waiting_for() -> None:
    part = offer("part", "2023-05-14T05:00:00", box=SOUTH, relative_orbit=95)
    before = offer("part-before", "2023-05-02T05:00:00", box=SOUTH, relative_orbit=95)
    assert chosen(part, before, *RIGHT)[:2] == (["after"], [["before"]])
    assert chosen(part, before)[:2] == (["part"], [["part-before"]])


def test_a_flood_without_a_scene_before_it_is_still_shown() -> None:
    after, before, reasons = chosen(offer("after"), offer("other", BEFORE, relative_orbit=15))
    assert (after, before) == (["after"], [])
    assert "not other: relative orbit 15, not 44" in reasons


def test_several_dates_before_the_flood() -> None:
    days = [offer(f"b{day}", f"2023-04-{day}T16:58:21") for day in (20, 26)]
    part = offer("part", "2023-05-08T16:58:21", box=SOUTH)
    assert chosen(part, *days, *RIGHT, dates=3)[1] == [["before"], ["b26"], ["b20"]]
    assert chosen(part, *days, *RIGHT, dates=4)[1][-1] == ["part"]


@pytest.mark.parametrize("box", [(179.5, 10, 180.5, 11), (-180.5, 10, -179.5, 11)])
def test_the_antimeridian_is_no_end(box) -> None:
    offers = [offer("east", box=box), offer("before", BEFORE, box=box)]
    choice = choose(offers, (179.8, 10.2, 180.2, 10.8), SINCE, 1)
    assert [one.name for one in choice.after] == ["east"]
    assert choice.reasons[0].startswith("after east: shows all of the area")


def test_nothing_is_chosen_of_nothing() -> None:
    assert chosen() == ([], [], [])
    assert chosen(offer("far", box=(50, 45, 51, 46)))[0] == []
