"""When samples are due, and how long a failing camera waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.models import Sampling
from cameras.sampling import Schedule, offsets_of_burst
from cameras.sources.streams import STEADY_SECONDS, Attempts, back_off_seconds

intervals = st.floats(0.04, 60)


@given(intervals, st.lists(st.floats(0.001, 100), max_size=60))
def test_schedule_never_samples_more_often_than_its_interval_allows(interval: float, steps: list[float]) -> None:
    schedule, seconds, begun = Schedule(interval), 0.0, []
    for step in steps:
        seconds += step
        if schedule.is_due(seconds):
            schedule.advance(seconds)
            begun.append(seconds)
    if begun:
        assert len(begun) <= (seconds - begun[0]) / interval + 1 + 1e-6


@given(intervals, st.integers(1, 200))
def test_schedule_keeps_the_mean_interval_when_packets_come_often(interval: float, samples: int) -> None:
    schedule, tick = Schedule(interval), 0
    begun: list[float] = []
    while len(begun) < samples:
        seconds = tick * interval / 7.3
        tick += 1
        if schedule.is_due(seconds):
            schedule.advance(seconds)
            begun.append(seconds)
    assert (begun[-1] - begun[0]) == pytest.approx((samples - 1) * interval, abs=interval / 7)


@given(intervals, st.floats(0, 1000), st.floats(0, 1000))
def test_held_schedule_waits_for_the_later_of_both(interval: float, begun: float, until: float) -> None:
    schedule = Schedule(interval)
    schedule.advance(begun)
    due = schedule.due
    schedule.hold(until)
    assert schedule.due == max(due, until)


@given(intervals)
def test_burst_ends_before_the_next_sample_is_due(interval: float) -> None:
    offsets = offsets_of_burst(Sampling.BURST, interval)
    assert len(offsets) == 3
    assert list(offsets) == sorted(set(offsets))
    assert offsets[-1] <= min(0.5, interval)


@pytest.mark.parametrize("sampling", [Sampling.KEY_FRAME, Sampling.EVERY_FRAME])
def test_other_samplings_take_one_picture(sampling: Sampling) -> None:
    assert offsets_of_burst(sampling, 1.8) == (0.0,)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wait_after_failures_is_between_a_second_and_a_minute(failures: int, jitter: float) -> None:
    assert 1 <= back_off_seconds(failures, jitter=jitter) <= 60


@pytest.mark.parametrize(
    ("lasted", "showed", "longest"),
    [(STEADY_SECONDS + 1, True, 2), (STEADY_SECONDS + 1, False, 16), (STEADY_SECONDS - 1, True, 16)],
)
def test_waiting_begins_anew_only_after_a_source_that_lasted_and_showed_something(
    lasted: float, showed: bool, longest: float
) -> None:
    attempts = Attempts()
    for _failure in range(3):
        attempts.begin()
        attempts.fail(showed=False)
    attempts.begin()
    attempts.began -= lasted
    wait_seconds = attempts.fail(showed=showed)
    assert longest / 2 < wait_seconds <= longest
