"""How the interval stretches under load: the rule, driven by a queueing model of cameras and detection."""

from __future__ import annotations

import itertools
import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.pacing import CEILING, Load, Pace, next_pace, roll_call_seconds, window_seconds

TICK = 0.005
INTERVAL = 1.8


@dataclass
class Fleet:
    """`cameras` that offer a frame every interval times stretch, the newest replacing the one that waits, and a
    detection that works on one frame after the other, the cameras in turn, `capacity` a second on average."""

    cameras: int
    capacity: float
    clumped: bool = False
    random: random.Random = field(default_factory=lambda: random.Random(1))
    pace: Pace = field(default_factory=Pace)
    seconds: float = 1000.0
    history: list[tuple[float, float, Load]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.due = {n: self.seconds + self._phase() for n in range(self.cameras)}
        self.offered_at: dict[int, float] = {}
        self.turns: deque[int] = deque()
        self.waiting_since: dict[int, float] = {}
        self.free_at = self.seconds
        self.buckets: dict[int, Load] = {}

    def _phase(self) -> float:
        return 0.0 if self.clumped else self.random.uniform(0, INTERVAL)

    def resize(self, cameras: int) -> None:
        """From now on so many cameras offer, the new ones all at once."""
        for camera in range(self.cameras, cameras):
            self.due[camera] = self.seconds + self._phase()
        self.turns = deque(camera for camera in self.turns if camera < cameras)
        self.waiting_since = {camera: since for camera, since in self.waiting_since.items() if camera < cameras}
        self.cameras = cameras

    def run(self, seconds: float) -> None:
        until, next_look = self.seconds + seconds, self.seconds + 2
        while self.seconds < until:
            self.seconds += TICK
            self._offer_what_is_due()
            self._take()
            if self.seconds >= next_look:
                next_look += 2
                self._look()

    def _offer_what_is_due(self) -> None:
        for camera in range(self.cameras):
            if self.seconds < self.due[camera]:
                continue
            self.due[camera] += INTERVAL * self.pace.stretch
            self.offered_at[camera] = self.seconds
            replaced = camera in self.waiting_since
            self._count(offered=1, given_up=int(replaced))
            if not replaced:
                self.waiting_since[camera] = self.seconds
                self.turns.append(camera)

    def _take(self) -> None:
        while self.turns and self.free_at <= self.seconds:
            waited = self.seconds - self.waiting_since.pop(self.turns.popleft())
            self._count(taken=1, waited=waited)
            self.free_at = max(self.free_at, self.seconds - TICK) + self.random.uniform(0.5, 1.5) / self.capacity

    def _count(self, *, offered: int = 0, taken: int = 0, given_up: int = 0, waited: float = 0.0) -> None:
        old = self.buckets.get(int(self.seconds), Load())
        least = min(waited, old.least_wait_seconds if old.taken else waited) if taken else old.least_wait_seconds
        self.buckets[int(self.seconds)] = Load(old.offered + offered, old.taken + taken, old.given_up + given_up, least)

    def load_of(self, first: int, end: int) -> Load:
        loads = [self.buckets.get(second, Load()) for second in range(first, end)]
        waits = [each.least_wait_seconds for each in loads if each.taken]
        return Load(
            sum(each.offered for each in loads),
            sum(each.taken for each in loads),
            sum(each.given_up for each in loads),
            min(waits, default=0.0),
            sum(at >= end - roll_call_seconds(self.pace, INTERVAL) for at in self.offered_at.values()),
        )

    def _look(self) -> None:
        now = int(self.seconds)
        load = self.load_of(now - window_seconds(self.pace, INTERVAL), now)
        self.pace = next_pace(self.pace, load, now=self.seconds, interval_seconds=INTERVAL)
        self.history.append((self.seconds, self.pace.stretch, load))

    def dropped_share(self, seconds: int) -> float:
        load = self.load_of(int(self.seconds) - seconds, int(self.seconds))
        return load.given_up / load.offered

    def stretches(self, seconds: float) -> list[float]:
        return [stretch for at, stretch, _load in self.history if at > self.seconds - seconds]

    @property
    def needed(self) -> float:
        return self.cameras / INTERVAL / self.capacity


def test_fleet_with_room_to_spare_is_never_stretched() -> None:
    for clumped in (False, True):
        fleet = Fleet(50, 50 / INTERVAL / 0.9, clumped=clumped)
        fleet.run(120)
        assert set(fleet.stretches(120)) == {1.0}


@settings(max_examples=6, deadline=None)
@given(st.integers(20, 80), st.floats(1.2, 6), st.integers(0, 1000))
def test_stretch_comes_to_rest_where_load_and_capacity_meet(cameras: int, shortage: float, seed: int) -> None:
    """Of 354 such fleets all but one came within 15 % of what is needed, that one within 16 %."""
    fleet = Fleet(cameras, cameras / INTERVAL / shortage, random=random.Random(seed))
    fleet.run(300)
    mean = sum(fleet.stretches(100)) / len(fleet.stretches(100))
    assert mean == pytest.approx(fleet.needed, rel=0.2)
    assert fleet.dropped_share(100) < 0.02


def test_cameras_that_offer_all_at_once_come_to_rest_too() -> None:
    fleet = Fleet(50, 50 / INTERVAL / 2, clumped=True)
    fleet.run(420)
    assert sum(fleet.stretches(300)) / len(fleet.stretches(300)) == pytest.approx(fleet.needed, rel=0.15)
    assert fleet.dropped_share(300) < 0.02


def test_stretch_moves_little_at_a_steady_load() -> None:
    fleet = Fleet(50, 50 / INTERVAL / 3)
    fleet.run(900)
    late = fleet.stretches(600)
    assert max(late) / min(late) < 1.25
    rises = sum(after > before for before, after in itertools.pairwise(late))
    assert rises <= 600 / 60


def test_overload_is_answered_within_ten_seconds() -> None:
    fleet = Fleet(50, 50 / INTERVAL / 2)
    fleet.run(12)
    assert fleet.pace.stretch > 1.3
    fleet.run(18)
    assert fleet.pace.stretch > 1.8


def test_interval_is_its_own_again_after_the_load_has_fallen() -> None:
    fleet = Fleet(50, 50 / INTERVAL / 3)
    fleet.run(300)
    fleet.capacity *= 4
    fleet.run(300)
    assert fleet.pace.stretch == 1.0


def share_within(fleet: Fleet, seconds: float, *, tolerance: float = 0.15) -> float:
    """Of the last `seconds`: how much of it the stretch was within the tolerance of what the capacity asks for."""
    stretches, needed = fleet.stretches(seconds), max(fleet.needed, 1.0)
    return sum(abs(stretch / needed - 1) <= tolerance for stretch in stretches) / len(stretches)


@pytest.mark.parametrize("shortage", [0.8, 1.5, 2.5, 4.0, 6.0])
@pytest.mark.parametrize("slowed", [1, 3])
def test_hundred_cameras_opened_at_once_are_settled_within_half_a_minute(shortage: float, slowed: int) -> None:
    """Opening them may leave detection a third of its capacity for ten seconds; the figures begin thirty later.

    The tries at a longer step leave the bounds for some seconds each.
    """
    inside = []
    for seed in range(3):
        fleet = Fleet(100, 100 / INTERVAL / shortage / slowed, random=random.Random(seed))
        fleet.run(10)
        fleet.capacity *= slowed
        fleet.run(30 + 120)
        inside.append(share_within(fleet, 120))
        assert max(fleet.stretches(120)) < 1.35 * max(fleet.needed, 1)
        assert min(fleet.stretches(120)) > 0.7 * max(fleet.needed, 1)
    assert sum(inside) / len(inside) > 0.85


@pytest.mark.parametrize(("before", "after"), [(50, 100), (100, 50)])
def test_stretch_follows_the_number_of_cameras_within_half_a_minute(before: int, after: int) -> None:
    fleet = Fleet(before, 100 / INTERVAL / 3)
    fleet.run(150)
    fleet.resize(after)
    fleet.run(30 + 60)
    assert share_within(fleet, 60) > 0.85


@pytest.mark.parametrize("shortage", [2, 4, 6])
@pytest.mark.parametrize("left", [0, 10])
def test_interval_is_its_own_again_within_half_a_minute_after_the_cameras_have_gone(shortage: float, left: int) -> None:
    fleet = Fleet(100, 100 / INTERVAL / shortage)
    fleet.run(120)
    fleet.resize(left)
    fleet.run(31)
    assert fleet.pace.stretch == 1.0


@pytest.mark.parametrize(("seconds_after", "stretch"), [(10, 1.1), (300, 1.0)])
def test_step_down_is_taken_back_soon_and_later_trouble_is_a_hiccup(seconds_after: float, stretch: float) -> None:
    stepped_down = Pace(1.0, changed_at=1000.0, settled_at=1006.0, tried_from=1.1, cameras=50)
    trouble = Load(offered=100, taken=80, given_up=20, least_wait_seconds=0.5, cameras=50)
    after = next_pace(stepped_down, trouble, now=1000.0 + seconds_after, interval_seconds=INTERVAL)
    assert after.stretch == stretch


def test_hopeless_overload_stretches_up_to_the_ceiling_and_no_further() -> None:
    fleet = Fleet(60, 60 / INTERVAL / 30)
    fleet.run(200)
    assert fleet.pace.stretch == CEILING


def test_hiccup_stretches_nothing() -> None:
    fleet = Fleet(50, 50 / INTERVAL / 0.6)
    fleet.run(20)
    fleet.free_at += 2.5
    fleet.run(60)
    assert set(fleet.stretches(60)) == {1.0}


def test_detection_that_stands_still_stretches_nothing() -> None:
    """That no worker runs says nothing of how many would be enough; nor does what they then catch up with."""
    fleet = Fleet(50, 50 / INTERVAL / 0.6)
    fleet.free_at += 40
    fleet.run(100)
    assert set(fleet.stretches(100)) == {1.0}


figures = st.builds(
    Load,
    offered=st.integers(0, 500),
    taken=st.integers(0, 500),
    given_up=st.integers(0, 500),
    least_wait_seconds=st.floats(0, 20),
    cameras=st.integers(0, 100),
)


@given(st.lists(st.tuples(figures, st.floats(0.1, 10)), max_size=60), st.floats(0.04, 3600))
def test_stretch_stays_between_one_and_its_ceiling(looks: list[tuple[Load, float]], interval: float) -> None:
    pace, now = Pace(), 1000.0
    for load, seconds in looks:
        now += seconds
        pace = next_pace(pace, load, now=now, interval_seconds=interval)
        assert 1 <= pace.stretch <= CEILING
        assert 4 <= window_seconds(pace, interval) <= 20
