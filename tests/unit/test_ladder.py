"""How assessment is reduced and restored: the rule, driven by a model of questions, keys and a provider."""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.ladder import (
    MOST_PATIENCE_SECONDS,
    LadderLevel,
    LadderReason,
    LadderState,
    ServiceLevel,
    next_step,
)

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
PATIENCE = 60.0
LOOK = 2.0
TICK = 0.1
ALL, URGENT, CHEAPER = LadderLevel.ALL, LadderLevel.URGENT_ONLY, LadderLevel.CHEAPER_MODEL
GEOMETRY, DETECTION = LadderLevel.GEOMETRY_ONLY, LadderLevel.DETECTION_ONLY


@dataclass(frozen=True)
class Ended:
    """A question that was answered, or was not before its deadline."""

    at: float
    asked_at: float
    is_urgent: bool
    in_time: bool


@dataclass
class Desk:
    """Questions that come in at `urgent` and `others` a second, and a pool that answers `capacity` a second of them,
    the urgent first and each after `call` seconds; one that could no more be answered in time is given up.

    While the provider `is_down`, every call fails, and all keys cool for longer each time, as the pool's do; the first
    call after that is a probe.
    """

    urgent: float
    others: float
    capacity: float
    cheaper_capacity: float = 0.0
    call: float = 2.0
    is_down: bool = False
    random: random.Random = field(default_factory=lambda: random.Random(1))
    state: LadderState = field(default_factory=LadderState)
    seconds: float = 0.0
    looks: list[tuple[float, LadderLevel]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting: dict[bool, deque[float]] = {True: deque(), False: deque()}
        self.ended: deque[Ended] = deque()
        self.due = {True: 0.0, False: 0.0}
        self.credit = 0.0
        self.cooling_until = 0.0
        self.failures = 0

    def run(self, seconds: float) -> None:
        until, next_look = self.seconds + seconds, self.seconds + LOOK
        while self.seconds < until:
            self.seconds += TICK
            self._ask()
            self._expire()
            self._answer()
            if self.seconds >= next_look:
                next_look += LOOK
                self.state = next_step(self.state, self.service(), self.now)
                self.looks.append((self.seconds, self.state.level))

    def _ask(self) -> None:
        for is_urgent, rate in ((True, self.urgent), (False, self.others)):
            asked = self.state.level is ALL or (is_urgent and self.state.level.asks_a_model)
            self.due[is_urgent] += rate * TICK * self.random.uniform(0, 2)
            while self.due[is_urgent] >= 1:
                self.due[is_urgent] -= 1
                if asked:
                    self.waiting[is_urgent].append(self.seconds)

    def _answer(self) -> None:
        rate = self.cheaper_capacity if self.state.level is CHEAPER else self.capacity
        self.credit = min(self.credit + rate * TICK, 1 + rate * TICK)
        while self.credit >= 1 and self.seconds >= self.cooling_until and (self.waiting[True] or self.waiting[False]):
            self.credit -= 1
            if self.is_down:
                self._cool()
                return
            is_urgent = bool(self.waiting[True])
            asked_at, ends = self.waiting[is_urgent].popleft(), self.seconds + self.call
            self.failures = 0
            self.ended.append(Ended(ends, asked_at, is_urgent, in_time=ends - asked_at < PATIENCE))

    def _cool(self) -> None:
        self.failures += 1
        self.cooling_until = self.seconds + min(10 * 2 ** (self.failures - 1), 120) * self.random.uniform(0.9, 1.1)

    def _expire(self) -> None:
        for is_urgent, queue in self.waiting.items():
            while queue and self.seconds - queue[0] >= PATIENCE - self.call:
                self.ended.append(Ended(self.seconds, queue.popleft(), is_urgent, in_time=False))
        while self.ended and self.ended[0].at < self.seconds - 60 - self.call:
            self.ended.popleft()

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def service(self) -> ServiceLevel:
        """As it is measured: of the questions asked at the level in force."""
        since = (self.state.since - START).total_seconds() if self.state.since else 0.0
        kinds = (True, False) if self.state.level is ALL else (True,)
        lately = [
            each.in_time
            for each in self.ended
            if self.seconds - 60 < each.at <= self.seconds and each.asked_at >= since and each.is_urgent in kinds
        ]
        asked = [at for is_urgent in kinds for at in self.waiting[is_urgent] if at >= since]
        wait = max(0.0, self.cooling_until - self.seconds) / PATIENCE
        return ServiceLevel(
            in_time=sum(lately),
            missed=len(lately) - sum(lately),
            oldest_share=(self.seconds - min(asked, default=self.seconds)) / PATIENCE,
            key_wait_share=wait,
            cheaper_wait_share=wait if self.cheaper_capacity else math.inf,
        )

    def changes(self, seconds: float) -> int:
        levels = [level for at, level in self.looks if at > self.seconds - seconds]
        return sum(before is not after for before, after in itertools.pairwise(levels))

    def share_at(self, level: LadderLevel, seconds: float) -> float:
        levels = [each for at, each in self.looks if at > self.seconds - seconds]
        return levels.count(level) / len(levels)

    def first(self, level: LadderLevel) -> float:
        """The second at which `level` was first in force."""
        return next(at for at, each in self.looks if each is level)


def test_pool_with_room_to_spare_is_never_reduced() -> None:
    desk = Desk(urgent=2, others=8, capacity=12)
    desk.run(600)
    assert {level for _at, level in desk.looks} == {ALL}
    assert desk.state == LadderState(good_since=desk.state.good_since)


def test_overload_leaves_the_urgent_within_a_minute_and_answers_them_all() -> None:
    desk = Desk(urgent=2, others=18, capacity=10)
    desk.run(70)
    assert (desk.state.level, desk.state.reason) == (URGENT, LadderReason.TOO_LATE)
    assert 30 < desk.first(URGENT) < 60
    urgent_before = [each for each in desk.ended if each.is_urgent]
    desk.run(60)
    urgent = [each for each in desk.ended if each.is_urgent]
    assert len(urgent_before) > 100
    assert len(urgent) > 100
    assert {each.in_time for each in [*urgent_before, *urgent]} == {True}


@pytest.mark.parametrize("seed", range(5))
def test_lasting_overload_comes_to_rest(seed: int) -> None:
    desk = Desk(urgent=2, others=18, capacity=10, random=random.Random(seed))
    desk.run(2 * 3600)
    assert desk.changes(3600) <= 10
    assert desk.share_at(URGENT, 3600) > 0.9
    assert desk.share_at(ALL, 3600) + desk.share_at(URGENT, 3600) == 1.0
    assert desk.state.patience_seconds == MOST_PATIENCE_SECONDS


def test_everything_is_judged_again_soon_after_the_overload() -> None:
    desk = Desk(urgent=2, others=18, capacity=10)
    desk.run(120)
    desk.capacity = 40
    over_at = desk.seconds
    desk.run(600)
    back = next(at for at, level in desk.looks if at > over_at and level is ALL)
    assert back - over_at < 130
    assert desk.changes(600 - 130) == 0
    assert (desk.state.level, desk.state.reason) == (ALL, LadderReason.NONE)


def test_too_many_urgent_questions_go_to_the_cheaper_model_where_there_is_one() -> None:
    desk = Desk(urgent=20, others=0, capacity=10, cheaper_capacity=50)
    desk.run(3600)
    assert desk.share_at(CHEAPER, 1800) > 0.9
    assert desk.share_at(GEOMETRY, 1800) == 0
    assert desk.changes(1800) <= 10


@pytest.mark.parametrize(("capacity", "level"), [(11, URGENT), (8, GEOMETRY)])
def test_urgent_questions_are_asked_as_long_as_half_are_answered_in_time(capacity: float, level: LadderLevel) -> None:
    desk = Desk(urgent=20, others=10, capacity=capacity)
    desk.run(3600)
    assert desk.share_at(level, 1800) > 0.85
    assert desk.changes(1800) <= 10


def test_hiccup_of_the_provider_reduces_nothing() -> None:
    desk = Desk(urgent=2, others=6, capacity=16)
    desk.run(60)
    desk.is_down = True
    desk.run(8)
    desk.is_down = False
    desk.run(120)
    assert {level for _at, level in desk.looks} == {ALL}


def test_outage_of_the_provider_ends_asking_until_it_is_over() -> None:
    desk = Desk(urgent=2, others=6, capacity=16)
    desk.run(60)
    desk.is_down = True
    desk.run(1200)
    assert (desk.state.level, desk.state.reason) == (GEOMETRY, LadderReason.KEYS_COOLING)
    assert desk.first(GEOMETRY) < 60 + 60
    assert desk.share_at(GEOMETRY, 900) > 0.9
    assert desk.changes(900) <= 10
    desk.is_down = False
    desk.run(2400)
    assert desk.state.level is ALL
    assert desk.changes(300) == 0


def test_short_outage_is_over_within_minutes() -> None:
    desk = Desk(urgent=2, others=6, capacity=16)
    desk.run(60)
    desk.is_down = True
    desk.run(60)
    desk.is_down = False
    desk.run(420)
    assert desk.state.level is ALL


def after(state: LadderState, service: ServiceLevel, seconds: float, *, begin: datetime = START) -> LadderState:
    """The state after `service` was seen every two seconds for so long."""
    for look in range(1 + round(seconds / LOOK)):
        state = next_step(state, service, begin + timedelta(seconds=look * LOOK))
    return state


def test_poor_service_is_borne_for_ten_seconds() -> None:
    poor = ServiceLevel(in_time=80, missed=20)
    assert after(LadderState(), poor, 8).level is ALL
    assert after(LadderState(), poor, 10).level is URGENT


def test_steps_down_are_a_dwell_apart_and_end_at_geometry() -> None:
    nothing_answered = ServiceLevel(oldest_share=0.9, missed=100)
    levels = [after(LadderState(), nothing_answered, seconds).level for seconds in (10, 24, 26, 600)]
    assert levels == [URGENT, URGENT, GEOMETRY, GEOMETRY]


def test_answers_that_come_slowly_end_at_the_last_level_that_asks() -> None:
    slow = ServiceLevel(oldest_share=0.9, in_time=60, missed=40)
    assert after(LadderState(), slow, 600).level is URGENT
    assert after(LadderState(), replace(slow, cheaper_wait_share=0.0), 600).level is CHEAPER
    assert after(LadderState(), replace(slow, missed=70), 600).level is GEOMETRY


def test_slow_database_leads_down_to_detection_alone() -> None:
    state = after(LadderState(), ServiceLevel(database_seconds=1.5), 60)
    assert (state.level, state.reason) == (DETECTION, LadderReason.DATABASE_SLOW)
    assert after(state, ServiceLevel(), 58, begin=START + timedelta(minutes=5)).level is DETECTION
    assert after(state, ServiceLevel(), 60, begin=START + timedelta(minutes=5)).level is GEOMETRY


def test_few_misses_and_middling_service_change_nothing() -> None:
    reduced = LadderState(level=URGENT, reason=LadderReason.TOO_LATE, since=START, measured=URGENT)
    for middling in (
        ServiceLevel(in_time=95, missed=5),
        ServiceLevel(oldest_share=0.3),
        ServiceLevel(key_wait_share=0.1),
    ):
        assert after(LadderState(), middling, 600).level is ALL
        assert after(reduced, middling, 600).level is URGENT
    assert after(LadderState(), ServiceLevel(in_time=0, missed=2), 600).level is ALL


@pytest.mark.parametrize(
    ("service", "level", "reason"),
    [
        (ServiceLevel(key_wait_share=math.inf), GEOMETRY, LadderReason.NO_KEY),
        (ServiceLevel(key_wait_share=math.inf, cheaper_wait_share=0), CHEAPER, LadderReason.NO_KEY),
        (ServiceLevel(key_wait_share=0.6), GEOMETRY, LadderReason.KEYS_COOLING),
        (ServiceLevel(key_wait_share=0.6, cheaper_wait_share=0.1), CHEAPER, LadderReason.KEYS_COOLING),
        (ServiceLevel(key_wait_share=math.inf, cheaper_wait_share=0.6), GEOMETRY, LadderReason.KEYS_COOLING),
        (ServiceLevel(key_wait_share=0.4), ALL, LadderReason.NONE),
        (ServiceLevel(budget_share=0.89), ALL, LadderReason.NONE),
        (ServiceLevel(budget_share=0.9), URGENT, LadderReason.BUDGET_SCARCE),
        (ServiceLevel(budget_share=0.9, cheaper_wait_share=0), CHEAPER, LadderReason.BUDGET_SCARCE),
        (ServiceLevel(budget_share=1.0, cheaper_wait_share=0), GEOMETRY, LadderReason.BUDGET_SPENT),
        (ServiceLevel(budget_share=1.0, key_wait_share=math.inf), GEOMETRY, LadderReason.BUDGET_SPENT),
        (ServiceLevel(switched_on=False, budget_share=1.0), DETECTION, LadderReason.SWITCHED_OFF),
    ],
)
def test_what_leaves_nobody_to_ask_reduces_at_once(
    service: ServiceLevel, level: LadderLevel, reason: LadderReason
) -> None:
    state = next_step(LadderState(), service, START)
    assert (state.level, state.reason) == (level, reason)
    assert state.since == (None if level is ALL else START)


@pytest.mark.parametrize(
    "decided",
    [ServiceLevel(switched_on=False), ServiceLevel(budget_share=1), ServiceLevel(key_wait_share=math.inf)],
)
def test_what_people_decide_ends_at_once(decided: ServiceLevel) -> None:
    state = after(LadderState(), decided, 600)
    assert state.level is not ALL
    over = next_step(state, ServiceLevel(), START + timedelta(seconds=601))
    assert (over.level, over.reason, over.since) == (ALL, LadderReason.NONE, START + timedelta(seconds=601))


def test_cheaper_model_whose_keys_all_cool_is_given_up_though_the_other_could_be_asked() -> None:
    state = LadderState(level=CHEAPER, reason=LadderReason.TOO_LATE, since=START, measured=CHEAPER)
    reduced = next_step(state, ServiceLevel(cheaper_wait_share=0.6), START + timedelta(seconds=2))
    assert (reduced.level, reduced.reason) == (GEOMETRY, LadderReason.KEYS_COOLING)


def test_keys_that_cooled_are_trusted_after_a_minute_only() -> None:
    state = next_step(LadderState(), ServiceLevel(key_wait_share=2.0), START)
    begin = START + timedelta(seconds=10)
    assert after(state, ServiceLevel(), 58, begin=begin).level is GEOMETRY
    assert after(state, ServiceLevel(), 60, begin=begin).level is URGENT
    assert after(state, ServiceLevel(), 122, begin=begin).level is ALL


def test_shortage_within_a_scarce_budget_goes_on_from_there() -> None:
    scarce = ServiceLevel(budget_share=0.95, missed=100)
    state = after(LadderState(), scarce, 600)
    assert (state.level, state.reason) == (GEOMETRY, LadderReason.TOO_LATE)
    assert after(state, replace(scarce, missed=0), 600, begin=START + timedelta(hours=1)).level is URGENT


def test_cheaper_model_that_is_no_longer_named_is_not_asked() -> None:
    state = LadderState(level=CHEAPER, reason=LadderReason.TOO_LATE, since=START, measured=CHEAPER)
    assert next_step(state, ServiceLevel(), START + timedelta(seconds=2)).level is URGENT
    assert after(state, ServiceLevel(), 70).level is ALL


shares = st.sampled_from([0.0, 0.15, 0.3, 0.55, 0.95, 1.0, 3.0, math.inf])
services = st.builds(
    ServiceLevel,
    in_time=st.integers(0, 100),
    missed=st.integers(0, 100),
    oldest_share=st.floats(0, 2),
    key_wait_share=shares,
    cheaper_wait_share=shares,
    budget_share=st.sampled_from([0.0, 0.5, 0.9, 1.2]),
    database_seconds=st.sampled_from([0.01, 0.5, 2.0]),
    switched_on=st.booleans(),
)


@given(st.lists(st.tuples(services, st.floats(1, 100)), max_size=60))
def test_nothing_is_asked_that_cannot_or_must_not_be(looks: list[tuple[ServiceLevel, float]]) -> None:
    state, now = LadderState(), START
    for service, seconds in looks:
        now += timedelta(seconds=seconds)
        before, state = state, next_step(state, service, now)
        assert (state.reason is LadderReason.NONE) == (state.level is ALL)
        assert (state.since == now) == (state.level is not before.level)
        assert not (state.level.asks_a_model and service.wait_share_at(state.level) == math.inf)
        assert not (state.level.asks_a_model and (service.budget_share >= 1 or not service.switched_on))
        assert 60 <= state.patience_seconds <= MOST_PATIENCE_SECONDS
