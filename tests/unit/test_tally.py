"""What frames add to the figures of an hour, without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.models import CameraHour
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, SkipReason
from assessment.tally import (
    DONE_BY,
    GROWTH,
    LEFT_OUT_BY_REASON,
    STEPS,
    VERDICTS_BY_LEVEL,
    ClosedFrame,
    Count,
    EndedQuestion,
    Tally,
    add_up,
    quantile,
    seconds_of,
    step_of,
    tally_frame,
)
from tests.factories import NOON

HOUR = timedelta(hours=1)
DONE = AssessmentStatus.DONE


def question(**fields: object) -> EndedQuestion:
    usual = {"created_at": NOON, "status": DONE, "judged_by": JudgedBy.MODEL, "level": RiskLevel.LOW, "seconds": 1.0}
    return EndedQuestion(**{**usual, **fields})  # type: ignore[arg-type]


def test_frame_counts_once_with_all_that_was_left_out() -> None:
    left_out = (SkipReason.LOW_PRIOR, SkipReason.LOW_PRIOR, SkipReason.COOLDOWN)
    hours = tally_frame(ClosedFrame(NOON, AssessmentStatus.SKIPPED, left_out))
    assert list(hours) == [NOON]
    assert dict(hours[NOON].counts) == {Count.FRAMES_SKIPPED: 1, Count.LEFT_LOW_PRIOR: 2, Count.LEFT_COOLDOWN: 1}


def test_question_belongs_to_the_hour_in_which_it_was_put() -> None:
    late = question(created_at=NOON + timedelta(seconds=1))
    hours = tally_frame(ClosedFrame(NOON - timedelta(seconds=1), DONE, questions=[late]))
    assert dict(hours[NOON - HOUR].counts) == {Count.FRAMES_DONE: 1}
    assert dict(hours[NOON].counts) == {Count.ANSWERED: 1, Count.VERDICTS_LOW: 1, Count.TIMED: 1}


@pytest.mark.parametrize("status", [AssessmentStatus.FAILED, AssessmentStatus.EXPIRED])
def test_question_without_an_answer_has_no_verdict(status: AssessmentStatus) -> None:
    unanswered = question(status=status, level=None, seconds=None)
    hours = tally_frame(ClosedFrame(NOON, status, questions=[unanswered]))
    assert hours[NOON].counts == {Count(f"frames_{status}"): 1, Count(status.value): 1}


def test_verdict_of_a_moment_before_takes_no_time() -> None:
    reused = question(judged_by=JudgedBy.REUSE, seconds=1.5)
    counted = tally_frame(ClosedFrame(NOON, DONE, questions=[reused]))[NOON]
    assert (counted.counts[Count.REUSED], counted.counts[Count.TIMED], dict(counted.steps)) == (1, 0, {})


def test_sample_is_missed_where_it_would_have_alarmed() -> None:
    asked = [question(sampled=True, level=level) for level in RiskLevel]
    counted = tally_frame(ClosedFrame(NOON, DONE, questions=asked))[NOON].counts
    assert (counted[Count.SAMPLED], counted[Count.MISSED]) == (4, 2)


def test_closed_sets_are_counted_wholly_and_have_their_columns() -> None:
    assert set(DONE_BY) == set(JudgedBy)
    assert set(VERDICTS_BY_LEVEL) == set(RiskLevel)
    assert set(LEFT_OUT_BY_REASON) == set(SkipReason)
    columns = {field.name for field in CameraHour._meta.concrete_fields}
    assert columns - {"id", "camera", "hour", "seconds", "steps"} == {each.value for each in Count}


@given(st.lists(st.sampled_from(list(Count))), st.lists(st.sampled_from(list(Count))))
def test_what_is_taken_back_leaves_nothing(first: list[Count], second: list[Count]) -> None:
    tallies = [Tally(), Tally()]
    for tally, counts in zip(tallies, (first, second), strict=True):
        tally.counts.update(counts)
        tally.steps.update(map(len, counts))
    together = add_up(tallies)
    together.add(tallies[0], sign=-1)
    assert +together.counts == +tallies[1].counts
    assert +together.steps == +tallies[1].steps


@given(st.floats(min_value=0.06, max_value=700))
def test_step_stands_for_a_time_within_two_and_a_half_percent(seconds: float) -> None:
    assert seconds_of(step_of(seconds)) == pytest.approx(seconds, rel=0.0251)


def test_steps_end_where_no_call_lasts_so_long() -> None:
    assert (step_of(0), step_of(0.05), step_of(1e9)) == (0, 0, STEPS)
    assert seconds_of(STEPS) > 600


@given(st.lists(st.floats(min_value=0.06, max_value=600), min_size=1, max_size=200))
def test_quantile_is_that_of_the_times_themselves(times: list[float]) -> None:
    tally = Tally()
    tally.steps.update(map(step_of, times))
    ordered = sorted(times)
    for share in (0.5, 0.95):
        exact = ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
        assert quantile(tally.steps, share) == pytest.approx(exact, rel=GROWTH - 1)


def test_quantile_of_nothing_is_unknown() -> None:
    assert (quantile({}, 0.5), Tally().average_seconds) == (None, None)
