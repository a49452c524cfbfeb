"""The simulation of queue, cores and storage: what queueing theory knows, and conservation."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from benchmarks.record import RESULTS
from benchmarks.scale_plan import (
    CORE,
    KEPT,
    LINK,
    SCENARIOS,
    SOURCES,
    Assumptions,
    gpu_break_even,
    needs,
    outcome,
    stage_costs,
)
from benchmarks.scale_queue import Site, passes, simulate
from benchmarks.workflow import REPOSITORY
from floodloom.files import read_json


def erlang_c(servers: int, load: float) -> float:
    """Probability that a job waits in an M/M/c queue."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    full = load**servers / math.factorial(servers) * servers / (servers - load)
    return full / (sum(terms) + full)


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.5), (4, 0.7), (16, 0.8)])
def test_waits_of_random_jobs_are_those_of_erlang(servers: int, busy: float) -> None:
    random, count, service = np.random.default_rng(servers), 60_000, 100.0
    load = servers * busy
    arrivals = np.cumsum(random.exponential(service / load, count))
    seconds = random.exponential(service, (count, 1))
    found = simulate(arrivals, [CORE], seconds, 0.0, Site({CORE: servers}))
    waits = found.ended - arrivals - seconds[:, 0]
    chance = erlang_c(servers, load)
    assert (waits > 1e-6).mean() == pytest.approx(chance, abs=0.02)
    assert waits.mean() == pytest.approx(chance * service / (servers - load), rel=0.12)
    assert found.busy[CORE] == pytest.approx(busy, abs=0.02)


def test_equal_jobs_in_step_wait_only_where_they_are_too_many() -> None:
    arrivals = np.repeat(np.arange(50.0) * 10.0, 3)
    seconds = np.full((150, 1), 10.0)
    enough = simulate(arrivals, [CORE], seconds, 0.0, Site({CORE: 3}))
    np.testing.assert_allclose(enough.ended, arrivals + 10.0)
    assert enough.busy[CORE] == pytest.approx(1.0)
    lacking = simulate(arrivals, [CORE], seconds, 0.0, Site({CORE: 2}))
    np.testing.assert_allclose(lacking.ended, (np.arange(150) // 2 + 1) * 10.0)


def test_stages_follow_each_other_on_their_own_servers() -> None:
    seconds = np.tile([2.0, 5.0, 1.0], (3, 1))
    found = simulate(np.zeros(3), [LINK, CORE, CORE], seconds, 1.0, Site({LINK: 1, CORE: 9}))
    np.testing.assert_allclose(found.ended, [8.0, 10.0, 12.0])
    assert found.peak_gb == 3.0


def test_space_is_never_exceeded_and_holds_scenes_back() -> None:
    found = simulate(np.zeros(5), [CORE], np.full((5, 1), 4.0), 2.0, Site({CORE: 9}, 5.0))
    np.testing.assert_allclose(found.admitted, [0, 0, 4, 4, 8])
    np.testing.assert_allclose(found.ended, [4, 4, 8, 8, 12])
    assert found.peak_gb == 4.0


@pytest.mark.parametrize("site", [Site({CORE: 9}, 1.0), Site({LINK: 1}), Site({CORE: 0})])
def test_a_site_on_which_no_scene_can_end_is_refused(site: Site) -> None:
    with pytest.raises(ValueError, match="no scene can end"):
        simulate(np.zeros(1), [CORE], np.ones((1, 1)), 2.0, site)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scene_ends_sooner_with_more_cores(name: str) -> None:
    given = Assumptions()
    costs = stage_costs(given)
    load = {"per_day": SCENARIOS[name], "days": 2.0, "seed": 3.0}
    arrivals = passes(SCENARIOS[name], 2.0, given.of_a_pass, 3)
    least = sum(cost.seconds for cost in costs.values())
    mean = math.inf
    for cores in (1, 8, 40, 80):
        found = outcome(costs, given, load, Site({CORE: cores, LINK: 1}, 1000.0))
        assert np.isfinite(found.ended).all()
        assert (found.admitted >= arrivals).all()
        assert found.peak_gb <= 1000.0
        taken = float((found.ended - arrivals).mean())
        assert 0.8 * least < taken <= mean
        mean = taken


def test_passes_arrive_in_order_at_their_rate() -> None:
    arrivals = passes(1000.0, 3.0, 10, 0)
    assert len(arrivals) == 3000
    assert (np.diff(arrivals) >= 0).all()
    assert arrivals[-1] <= 3 * 86_400
    assert len(np.unique(arrivals)) == 300


def test_the_page_states_what_was_recorded() -> None:
    found = read_json(RESULTS / "scale.json")
    page = (REPOSITORY / "docs" / "scale.md").read_text()
    for needs_of in found["plan"]["needs"].values():
        for text in (
            f"{needs_of['core_seconds_per_scene']:,} processor seconds",
            f"| {needs_of['cores_at_least']:.1f} |",
            f"{needs_of['products_tb_per_year']:,.0f} TB",
            f"{needs_of['compute_usd_per_month']:,} USD",
            f"{needs_of['storage_usd_per_month_after_a_year']:,} USD",
        ):
            assert text in page, text
    assert f"{found['dry_run']['cpu_seconds']:.0f} processor seconds" in page
    stated = re.search(r"within an hour, 90 % within two \| (\d+) \| (\d+) \|", page)
    assert stated is not None
    for name, cores in zip(SCENARIOS, stated.groups(), strict=True):
        hours = found["plan"]["latency"][name]["cores"][cores]["hours"]
        assert hours["50"] <= 1.0
        assert hours["90"] <= 2.0


def test_costs_are_proportional_and_every_assumption_has_a_source() -> None:
    given = Assumptions()
    costs = stage_costs(given)
    one, ten = needs(costs, given, 1.0), needs(costs, given, 1000.0)
    seconds = sum(cost.seconds for cost in costs.values() if cost.kind == CORE)
    assert ten["cores_at_least"] == pytest.approx(1000 * seconds / 86_400, abs=0.01)
    assert ten["usd_per_scene"] == one["usd_per_scene"]
    assert set(KEPT) < set(costs)
    assert set(SOURCES) == set(vars(given))
    assert gpu_break_even(costs, given, 100.0)["gpu_mpx_per_s_at_least"] > 0
