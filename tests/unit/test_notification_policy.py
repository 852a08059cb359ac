"""When notices are told: merged, cooled down, gathered in digests, kept out of quiet hours; and that none is lost."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.risk import RiskLevel
from trafficmon.notifications.policy import QuietHours, Terms, Told, Waiting, pause_before, plan

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def notice(number: int, *, camera: int = 1, level: RiskLevel = RiskLevel.MEDIUM, created: datetime = NOON) -> Waiting:
    return Waiting(number, camera, level, created)


def test_what_comes_within_the_merging_time_is_told_together() -> None:
    terms = Terms(merge=timedelta(seconds=10))
    waiting = [notice(1), notice(2, camera=2, created=after(9))]
    assert plan(waiting, Told(), terms, now=after(9)).later == {1: after(10), 2: after(19)}
    assert plan(waiting, Told(), terms, now=after(10)).now == (1, 2)


def test_camera_that_was_told_of_waits_and_another_does_not() -> None:
    terms = Terms(camera_cooldown=timedelta(minutes=5))
    told = Told(NOON, {1: (NOON, RiskLevel.MEDIUM)})
    waiting = [notice(1, created=after(60)), notice(2, camera=2, created=after(60))]
    planned = plan(waiting, told, terms, now=after(60))
    assert (planned.now, planned.later) == ((2,), {1: after(300)})


def test_what_is_graver_than_what_was_told_does_not_wait() -> None:
    terms = Terms(camera_cooldown=timedelta(minutes=5))
    told = Told(NOON, {1: (NOON, RiskLevel.MEDIUM)})
    worse = notice(1, level=RiskLevel.HIGH, created=after(1))
    assert plan([worse], told, terms, now=after(1)).now == (1,)


def test_overall_cooldown_holds_back_everything() -> None:
    terms = Terms(overall_cooldown=timedelta(seconds=30))
    waiting = [notice(number, camera=number, level=RiskLevel.HIGH, created=after(1)) for number in (1, 2)]
    planned = plan(waiting, Told(NOON), terms, now=after(1))
    assert (planned.now, planned.later) == ((), {1: after(30), 2: after(30)})
    assert plan(waiting, Told(NOON), terms, now=after(30)).now == (1, 2)


def test_digest_tells_all_at_once_at_its_times() -> None:
    terms = Terms(merge=timedelta(seconds=10), digest=timedelta(hours=1))
    waiting = [notice(1, created=after(600)), notice(2, camera=2, created=after(3000))]
    assert plan(waiting, Told(), terms, now=after(3599)).now == ()
    assert plan(waiting, Told(), terms, now=after(3600)).now == (1, 2)


@pytest.mark.parametrize(
    ("begin", "end", "at", "until"),
    [
        (time(22), time(6), "2026-05-04T23:00", "2026-05-05T06:00"),
        (time(22), time(6), "2026-05-05T05:59", "2026-05-05T06:00"),
        (time(22), time(6), "2026-05-05T06:00", None),
        (time(22), time(6), "2026-05-04T21:59", None),
        (time(12), time(14), "2026-05-04T12:00", "2026-05-04T14:00"),
        (time(12), time(14), "2026-05-04T14:00", None),
        (time(8), time(8), "2026-05-04T08:00", None),
    ],
)
def test_quiet_hours_are_those_of_their_time_zone(begin: time, end: time, at: str, until: str | None) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=SHANGHAI)
    expected = datetime.fromisoformat(until).replace(tzinfo=SHANGHAI) if until else None
    assert QuietHours(begin, end, SHANGHAI).ends_after(moment.astimezone(UTC)) == expected


@pytest.mark.parametrize("spares_high", [True, False])
def test_high_risks_may_be_spared_quiet_hours(spares_high: bool) -> None:
    terms = Terms(quiet=QuietHours(time(11), time(13), ZoneInfo("UTC"), spares_high))
    waiting = [notice(1, level=RiskLevel.HIGH), notice(2)]
    planned = plan(waiting, Told(), terms, now=NOON)
    assert planned.now == ((1,) if spares_high else ())
    assert planned.later[2] == after(3600)


def test_pauses_between_attempts_grow_to_half_an_hour() -> None:
    assert [pause_before(attempt).total_seconds() for attempt in (1, 2, 3, 9, 12)] == [10, 20, 40, 1800, 1800]


durations = st.integers(0, 7200).map(lambda seconds: timedelta(seconds=seconds))
quiet = st.none() | st.builds(QuietHours, st.times(), st.times(), st.just(SHANGHAI), st.booleans())
terms = st.builds(Terms, durations, durations, durations, durations, quiet)
notices = st.lists(
    st.builds(
        Waiting,
        st.integers(),
        st.integers(1, 3),
        st.sampled_from([RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH]),
        st.integers(-86_400, 0).map(after),
    ),
    unique_by=lambda each: each.notice_id,
    max_size=6,
)


@given(terms, notices, st.none() | st.integers(-7200, 0).map(after))
def test_every_notice_is_told_now_or_has_its_time_later_and_within_two_days(
    terms: Terms, waiting: list[Waiting], last_at: datetime | None
) -> None:
    told = Told(last_at, {1: (last_at, RiskLevel.MEDIUM)} if last_at else {})
    planned = plan(waiting, told, terms, now=NOON)
    assert {*planned.now, *planned.later} == {each.notice_id for each in waiting}
    assert not set(planned.now) & set(planned.later)
    assert all(NOON - timedelta(0) <= at <= NOON + timedelta(days=2) for at in planned.later.values())
