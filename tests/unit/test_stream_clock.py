"""What is made of time stamps: even moments, whatever the packets' delays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.sources.stream_clock import StreamClock

delays = st.lists(st.floats(0, 5), min_size=2, max_size=400)


@given(delays, st.floats(-1e6, 1e6))
def test_moments_are_as_even_as_the_stamps_where_some_packets_are_prompt(late: list[float], start: float) -> None:
    clock, arrived, moments = StreamClock(), 0.0, []
    for number, delay in enumerate([0.0, *late]):
        arrived = number / 25 + (delay if number % 25 else 0.0)
        moments.append(clock.moment(start + number / 25, arrived))
    steps = [later - earlier for earlier, later in pairwise(moments)]
    assert steps == pytest.approx([1 / 25] * len(late), abs=1e-6)


@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(-1e9, 1e9)), st.floats(0, 100)), max_size=50))
def test_moment_is_never_after_the_arrival(packets: list[tuple[float | None, float]]) -> None:
    clock, arrived = StreamClock(), 0.0
    for stamp, passed in packets:
        arrived += passed
        assert clock.moment(stamp, arrived) <= arrived + 1e-6


def test_packets_that_were_kept_waiting_are_dated_when_they_should_have_come() -> None:
    clock = StreamClock()
    assert [clock.moment(number / 25, 100 + number / 25) for number in range(3)] == pytest.approx([100, 100.04, 100.08])
    assert [clock.moment(number / 25, 103.0) for number in (3, 4)] == pytest.approx([100.12, 100.16], abs=0.01)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_other_time_scale_begins_anew(jump: float) -> None:
    clock = StreamClock()
    clock.moment(50.0, 100.0)
    assert clock.moment(50.04 + jump, 100.04) == pytest.approx(100.04)


def test_silence_is_no_other_time_scale() -> None:
    clock = StreamClock()
    clock.moment(50.0, 100.0)
    assert clock.moment(80.0, 130.5) == pytest.approx(130.0)


@pytest.mark.parametrize("rate", [0.9, 0.99, 1.01, 1.1])
def test_clock_of_a_camera_that_runs_slow_or_fast_is_followed(rate: float) -> None:
    clock, delays = StreamClock(), []
    for number in range(25 * 600):
        arrived = number / 25
        delays.append(arrived - clock.moment(arrived * rate, arrived))
    assert max(delays) <= 10 * abs(1 - rate) + 0.01


def test_delay_that_stays_is_taken_for_none_after_a_while() -> None:
    clock = StreamClock()
    late = [clock.moment(number / 25, number / 25 + (0 if number < 100 else 2)) for number in range(600)]
    assert pytest.approx([late[100], late[599]]) == [100 / 25, 599 / 25 + 2]
