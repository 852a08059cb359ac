"""What is made of time stamps: even moments, whatever the packets' delays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.sources.stream_clock import StreamClock

delays = st.lists(st.floats(0, 5), min_size=2, max_size=200)


@given(delays, st.floats(-1e6, 1e6))
def test_moments_are_as_even_as_the_stamps_once_a_prompt_packet_has_come(late: list[float], start: float) -> None:
    clock, arrived, moments = StreamClock(), 0.0, []
    for number, delay in enumerate([0.0, *late]):
        arrived = max(arrived, number / 25 + delay)
        moments.append(clock.moment(start + number / 25, arrived))
    steps = [later - earlier for earlier, later in pairwise(moments)]
    assert steps == pytest.approx([1 / 25] * len(late), abs=0.01)


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
    assert clock.moment(80.0, 130.5) == pytest.approx(130.0, abs=0.02)


def test_slow_clock_of_a_camera_is_followed() -> None:
    clock, moment = StreamClock(), 0.0
    for number in range(25 * 3600):
        moment = clock.moment(number / 25 * (1 - 1e-4), number / 25)
    assert 3600 - moment < 0.1
