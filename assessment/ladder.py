"""How far assessment is reduced while not everything can be judged. Pure: time and figures are passed in.

What people decide (assessment switched off, a budget spent, no key) reduces it at once and no longer than it lasts.
What is measured moves it one step at a time: down after seconds of poor service, up after a minute of good one. A step
up that has to be taken back doubles the wait before the next, so that a lasting shortage comes to rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class LadderLevel(StrEnum):
    """What is still judged, and by whom; each level keeps the restrictions of those before it."""

    ALL = "all"
    URGENT_ONLY = "urgent_only"
    CHEAPER_MODEL = "cheaper_model"
    GEOMETRY_ONLY = "geometry_only"
    DETECTION_ONLY = "detection_only"

    @property
    def step(self) -> int:
        """From 0, where everything is judged, to 4, where nothing is."""
        return list(LadderLevel).index(self)

    @property
    def asks_a_model(self) -> bool:
        return self.step < LadderLevel.GEOMETRY_ONLY.step


class LadderReason(StrEnum):
    """Why assessment is reduced."""

    NONE = ""
    TOO_LATE = "too_late"
    """Questions are answered too late or not at all."""
    KEYS_COOLING = "keys_cooling"
    DATABASE_SLOW = "database_slow"
    BUDGET_SCARCE = "budget_scarce"
    BUDGET_SPENT = "budget_spent"
    NO_KEY = "no_key"
    """None is configured, or all were taken out."""
    SWITCHED_OFF = "switched_off"


POOR_SECONDS = 10.0
"""Service must be poor for so long before a step down."""
DWELL_SECONDS = 15.0
"""From any change to the next step down: what is measured must be of the level in force."""
FIRST_PATIENCE_SECONDS, MOST_PATIENCE_SECONDS = 60.0, 960.0
"""Service must be good for so long before a step up: at first, and after several that had to be taken back."""
PROBE_SECONDS = 300.0
"""A step down so soon after one up takes it back; after one down, it goes on falling."""

USELESS_SHARE, POOR_SHARE, GOOD_SHARE = 0.5, 0.9, 0.98
"""Of the questions that ended, answered in time. As long as half of them are, to ask is better than not to."""
FEWEST_MISSED = 3
"""Fewer than these say nothing."""
OLD_SHARE, YOUNG_SHARE = 1 / 3, 0.15
"""Of its patience that the oldest question has waited."""
HOPELESS_SHARE = 0.5
"""Of a question's patience: when no key may be used before that has passed, nobody is asked at all."""
SLOW_SECONDS, FAST_SECONDS = 1.0, 0.25
"""That the database needs to say how many questions wait."""
SCARCE_BUDGET, SPENT_BUDGET = 0.9, 1.0


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """What was measured of the questions asked at the level in force, and what is left to ask with.

    `in_time` and `missed` are those that ended within the last minute. Where only the urgent are asked, only they
    count: what of the others is left over from before will not be answered. Shares of waiting are of a question's
    patience, the time from its asking to its deadline. Waits for a key are 0 where one may be used now and infinite
    where none will be by itself; `cheaper_wait_share` also where no cheaper model is named.
    """

    in_time: int = 0
    missed: int = 0
    oldest_share: float = 0.0
    key_wait_share: float = 0.0
    cheaper_wait_share: float = math.inf
    budget_share: float = 0.0
    database_seconds: float = 0.0
    switched_on: bool = True

    @property
    def in_time_share(self) -> float:
        """Of the questions that ended; 1 where none did."""
        ended = self.in_time + self.missed
        return self.in_time / ended if ended else 1.0

    def misses_more_than(self, share: float) -> bool:
        """Of the questions that ended; never where too few were missed to tell."""
        return self.missed >= FEWEST_MISSED and 1 - self.in_time_share > share

    def wait_share_at(self, level: LadderLevel) -> float:
        """How long a question asked at `level` waits for a key."""
        if not level.asks_a_model:
            return 0.0
        return self.cheaper_wait_share if level is LadderLevel.CHEAPER_MODEL else self.key_wait_share


@dataclass(frozen=True, slots=True)
class LadderState:
    """The level in force since a moment, and what led to it."""

    level: LadderLevel = LadderLevel.ALL
    reason: LadderReason = LadderReason.NONE
    since: datetime | None = None
    """None where it has been so from the start."""
    measured: LadderLevel = LadderLevel.ALL
    """The level by what was measured alone, whatever people have decided."""
    measured_reason: LadderReason = LadderReason.NONE
    poor_since: datetime | None = None
    good_since: datetime | None = None
    raised_at: datetime | None = None
    """When the last step up was made that may still have to be taken back."""
    patience_seconds: float = FIRST_PATIENCE_SECONDS


def next_step(state: LadderState, service: ServiceLevel, now: datetime) -> LadderState:
    """The state from `now` on."""
    decided, why = _decided(service)
    moved = _moved(state, service, decided, now)
    measured = _offered(moved.measured, service)
    level, reason = (measured, moved.measured_reason) if measured.step > decided.step else (decided, why)
    if level is state.level:
        return replace(moved, reason=reason)
    return replace(moved, level=level, reason=reason, since=now, poor_since=None, good_since=None)


def _decided(service: ServiceLevel) -> tuple[LadderLevel, LadderReason]:
    """What people's decisions allow at the most, and which of them that is."""
    if not service.switched_on:
        return LadderLevel.DETECTION_ONLY, LadderReason.SWITCHED_OFF
    if service.budget_share >= SPENT_BUDGET:
        return LadderLevel.GEOMETRY_ONLY, LadderReason.BUDGET_SPENT
    with_keys = _first_level(service, lambda wait: wait < math.inf)
    if with_keys is not LadderLevel.ALL:
        return with_keys, LadderReason.NO_KEY
    if service.budget_share >= SCARCE_BUDGET:
        return _offered(LadderLevel.CHEAPER_MODEL, service), LadderReason.BUDGET_SCARCE
    return LadderLevel.ALL, LadderReason.NONE


def _first_level(
    service: ServiceLevel, is_bearable: Callable[[float], bool], *, start: LadderLevel = LadderLevel.ALL
) -> LadderLevel:
    """The least reduced level from `start` on at which the wait for a key is bearable."""
    levels = (each for each in LadderLevel if each.step >= start.step)
    return next(each for each in levels if is_bearable(service.wait_share_at(each)))


def _offered(level: LadderLevel, service: ServiceLevel) -> LadderLevel:
    """`level`, or the one before it where there is no cheaper model to ask."""
    is_missing = level is LadderLevel.CHEAPER_MODEL and service.cheaper_wait_share == math.inf
    return LadderLevel.URGENT_ONLY if is_missing else level


def _moved(state: LadderState, service: ServiceLevel, decided: LadderLevel, now: datetime) -> LadderState:
    """The state after what was measured, from the level in force."""
    start = max(_offered(state.level, service), decided, key=lambda level: level.step)
    bearable = _first_level(service, lambda wait: wait <= HOPELESS_SHARE, start=start)
    if bearable is not start:
        return _lowered(state, bearable, LadderReason.KEYS_COOLING, now)
    trouble = _trouble(state.level, service)
    if trouble is not LadderReason.NONE:
        return _troubled(state, trouble, service, now)
    higher = _next_up(state.level, service)
    # What was decided keeps it down: how well little is done then says nothing.
    if state.measured.step > decided.step and _is_good(service, at=higher):
        return _good(state, higher, now)
    return replace(state, poor_since=None, good_since=None)


def _trouble(level: LadderLevel, service: ServiceLevel) -> LadderReason:
    """What is wrong that a step down from `level` would relieve."""
    if service.database_seconds > SLOW_SECONDS:
        return LadderReason.DATABASE_SLOW if level is not LadderLevel.DETECTION_ONLY else LadderReason.NONE
    if not level.asks_a_model:
        return LadderReason.NONE
    if _next_down(level, service).asks_a_model:
        is_poor = service.misses_more_than(1 - POOR_SHARE) or service.oldest_share > OLD_SHARE
    else:
        is_poor = service.misses_more_than(1 - USELESS_SHARE)
    if not is_poor:
        return LadderReason.NONE
    return LadderReason.KEYS_COOLING if service.wait_share_at(level) > 0 else LadderReason.TOO_LATE


def _troubled(state: LadderState, trouble: LadderReason, service: ServiceLevel, now: datetime) -> LadderState:
    since = state.poor_since or now
    lasted = now - since >= timedelta(seconds=POOR_SECONDS)
    dwelt = state.since is None or now - state.since >= timedelta(seconds=DWELL_SECONDS)
    if lasted and dwelt:
        return _lowered(state, _next_down(state.level, service), trouble, now)
    return replace(state, poor_since=since, good_since=None)


def _lowered(state: LadderState, level: LadderLevel, reason: LadderReason, now: datetime) -> LadderState:
    return replace(
        state, measured=level, measured_reason=reason, raised_at=None, patience_seconds=_patience_after(state, now)
    )


def _patience_after(state: LadderState, now: datetime) -> float:
    """Longer where the step down takes one up back, as before where it goes on falling, else the first again."""
    lately = now - timedelta(seconds=PROBE_SECONDS)
    if state.raised_at is not None and state.raised_at >= lately:
        return min(2 * state.patience_seconds, MOST_PATIENCE_SECONDS)
    is_falling = state.since is not None and state.since >= lately
    return state.patience_seconds if is_falling else FIRST_PATIENCE_SECONDS


def _is_good(service: ServiceLevel, *, at: LadderLevel) -> bool:
    """Whether service leaves room to spare, and somebody can be asked `at` the next level."""
    quick = service.oldest_share <= YOUNG_SHARE and service.database_seconds <= FAST_SECONDS
    return quick and not service.misses_more_than(1 - GOOD_SHARE) and service.wait_share_at(at) == 0


def _good(state: LadderState, higher: LadderLevel, now: datetime) -> LadderState:
    since = state.good_since or now
    if now - since < timedelta(seconds=state.patience_seconds):
        return replace(state, good_since=since, poor_since=None)
    return replace(state, measured=higher, raised_at=now)


def _next_down(level: LadderLevel, service: ServiceLevel) -> LadderLevel:
    lower = [each for each in LadderLevel if each.step > level.step and _offered(each, service) is each]
    return lower[0]


def _next_up(level: LadderLevel, service: ServiceLevel) -> LadderLevel:
    higher = [each for each in LadderLevel if each.step < level.step and _offered(each, service) is each]
    return higher[-1] if higher else level
