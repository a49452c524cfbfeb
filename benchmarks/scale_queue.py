"""A discrete-event simulation of scenes that wait for cores, a link and disk space.

A scene is admitted, in the order of arrival, once the disk has room for all that it will write; so
none waits for another's space while it holds its own. Its stages follow each other, each on one
server of a kind. Of the jobs that wait for a kind, that of the earliest scene goes first.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """What scenes are worked through with.

    Attributes
    ----------
    servers
        How many there are of each kind, such as cores; a link counts as one.
    disk_gb
        Space for what is in work, GB.
    """

    servers: Mapping[str, int]
    disk_gb: float = float("inf")


@dataclass(frozen=True)
class Outcome:
    """What has become of the scenes.

    Attributes
    ----------
    admitted, ended
        When each was begun, and mapped, s: (scene,) float64.
    busy
        Share of the time from the first arrival to the last end that servers of a kind worked.
    peak_gb
        Greatest space that was in use.
    """

    admitted: Floats
    ended: Floats
    busy: Mapping[str, float]
    peak_gb: float


class _State:
    """Queues and free servers while time goes on."""

    def __init__(self, kinds: Sequence[str], seconds: Floats, space_gb: float, site: Site) -> None:
        self.kinds, self.seconds, self.space_gb = kinds, seconds, space_gb
        self.free = dict(site.servers)
        self.disk_gb = site.disk_gb
        self.used_gb = self.peak_gb = 0.0
        self.arrived: deque[int] = deque()
        self.waiting: dict[str, list[tuple[int, int]]] = {kind: [] for kind in site.servers}
        self.admitted = np.full(len(seconds), np.nan)

    def admit(self, now: float) -> None:
        """Begin scenes, as long as there is room."""
        while self.arrived and self.used_gb + self.space_gb <= self.disk_gb:
            scene = self.arrived.popleft()
            self.used_gb += self.space_gb
            self.peak_gb = max(self.peak_gb, self.used_gb)
            self.admitted[scene] = now
            heapq.heappush(self.waiting[self.kinds[0]], (scene, 0))

    def start(self) -> Iterator[tuple[float, int, int]]:
        """Start jobs on free servers; yield how long each takes, its scene and its stage."""
        for kind, jobs in self.waiting.items():
            while jobs and self.free[kind]:
                self.free[kind] -= 1
                scene, stage = heapq.heappop(jobs)
                yield float(self.seconds[scene, stage]), scene, stage

    def finish(self, scene: int, stage: int) -> bool:
        """Free the server of a job; whether its scene is through."""
        self.free[self.kinds[stage]] += 1
        if stage + 1 < len(self.kinds):
            heapq.heappush(self.waiting[self.kinds[stage + 1]], (scene, stage + 1))
            return False
        self.used_gb -= self.space_gb
        return True


def simulate(
    arrivals: Floats, kinds: Sequence[str], seconds: Floats, space_gb: float, site: Site
) -> Outcome:
    """Work through scenes.

    Parameters
    ----------
    arrivals
        When each scene arrives, s, ascending: (scene,) float64.
    kinds
        Kind of server that each stage takes, in their order.
    seconds
        What each stage takes of each scene: (scene, stage) float64.
    space_gb
        Space that a scene holds from its admission to its end, GB.
    site
        Servers and space.

    Raises
    ------
    ValueError
        If a scene needs more space, or another kind of server, than there is.
    """
    lacking = [kind for kind in kinds if not site.servers.get(kind)]
    if lacking or space_gb > site.disk_gb:
        raise ValueError(f"no scene can end: {space_gb:g} of {site.disk_gb:g} GB, no {lacking}")
    state = _State(kinds, seconds, space_gb, site)
    ended = np.full(len(arrivals), np.nan)
    events = [(float(time), -1, scene) for scene, time in enumerate(arrivals)]  # a heap: sorted
    while events:
        now, stage, scene = heapq.heappop(events)
        if stage < 0:
            state.arrived.append(scene)
        elif state.finish(scene, stage):
            ended[scene] = now
        state.admit(now)
        for needed, other, following in state.start():
            heapq.heappush(events, (now + needed, following, other))
    span = max(float(ended.max() - arrivals.min()), 1e-9)
    busy = {
        kind: float(seconds[:, [one == kind for one in kinds]].sum()) / (number * span)
        for kind, number in site.servers.items()
    }
    return Outcome(state.admitted, ended, busy, state.peak_gb)


def passes(per_day: float, days: float, of_a_pass: int, seed: int) -> Floats:
    """Return arrivals, s: passes at random times, of whose scenes all arrive at once.

    Parameters
    ----------
    per_day
        Scenes a day.
    days
        Days.
    of_a_pass
        Scenes of a pass.
    seed
        Of the random numbers.
    """
    random = np.random.default_rng(seed)
    count = round(per_day * days / of_a_pass)
    times = np.sort(random.uniform(0.0, days * 86_400.0, count))
    return np.repeat(times, of_a_pass)
