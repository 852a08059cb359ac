"""A frame's life in the database."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

from assessment.gate import Gated
from assessment.models import Assessment, FrameResult
from assessment.results import close_frames, detected_frame, expire_overdue, join, record_frame
from assessment.risk import AssessmentStatus, RiskLevel, highest
from tests.factories import NOON, PATIENCE, make_camera, make_frame, record

DONE, FAILED, EXPIRED = AssessmentStatus.DONE, AssessmentStatus.FAILED, AssessmentStatus.EXPIRED
LATER = NOON + timedelta(seconds=5)
pytestmark = pytest.mark.django_db


def answer(row: FrameResult, index: int, status: AssessmentStatus, level: RiskLevel | str = "") -> None:
    question = Assessment.objects.filter(frame_result=row, group_index=index)
    assert question.update(status=status, risk_level=level, risk_type="other" if level else "", ended_at=LATER) == 1


def test_recorded_frame_is_read_back_as_it_was() -> None:
    frame = make_frame(make_camera().pk, groups=2)
    row = record_frame(frame, Gated(()), now=NOON, patience=PATIENCE)
    assert row is not None
    assert detected_frame(FrameResult.objects.get(pk=row.pk)) == frame


def test_recording_a_frame_twice_changes_nothing() -> None:
    row = record(make_camera(), groups=2)
    again = record_frame(detected_frame(row), Gated(()), now=LATER, patience=PATIENCE)
    assert again is None
    assert (FrameResult.objects.count(), Assessment.objects.count()) == (1, 2)


def test_frame_with_nothing_to_ask_is_skipped_with_its_reason() -> None:
    row = record_frame(make_frame(make_camera().pk), Gated((), "cooldown"), now=NOON, patience=PATIENCE)
    assert row is not None
    assert (row.status, row.reason, row.closed_at) == (AssessmentStatus.SKIPPED, "cooldown", NOON)


def test_frame_closes_once_when_its_last_question_ends() -> None:
    row = record(make_camera(), groups=2)
    answer(row, 1, DONE, RiskLevel.HIGH)
    assert close_frames([row.pk], now=LATER) == []
    answer(row, 2, DONE, RiskLevel.NONE)
    assert [close_frames([row.pk], now=LATER) for _ in range(2)] == [[row], []]
    row.refresh_from_db()
    assert (row.status, row.max_risk_level, row.partial, row.closed_at) == (DONE, RiskLevel.HIGH, False, LATER)


def test_question_past_its_deadline_expires_and_its_frame_says_so() -> None:
    row = record(make_camera(), groups=2)
    answer(row, 1, DONE, RiskLevel.LOW)
    assert expire_overdue(now=NOON + PATIENCE - timedelta(seconds=1)) == []
    assert expire_overdue(now=NOON + PATIENCE) == [row.pk]
    assert close_frames([row.pk], now=NOON + PATIENCE) == [row]
    row.refresh_from_db()
    assert (row.status, row.max_risk_level, row.partial) == (DONE, RiskLevel.LOW, True)


@pytest.mark.parametrize(
    ("ends", "status"), [((FAILED, FAILED), FAILED), ((FAILED, EXPIRED), FAILED), ((EXPIRED, EXPIRED), EXPIRED)]
)
def test_frame_without_an_answer_is_never_called_safe(
    ends: tuple[AssessmentStatus, AssessmentStatus], status: AssessmentStatus
) -> None:
    row = record(make_camera(), groups=2)
    for index, end in enumerate(ends, 1):
        answer(row, index, end)
    assert close_frames([row.pk], now=LATER) == [row]
    row.refresh_from_db()
    assert (row.status, row.partial) == (status, True)


@pytest.mark.parametrize("end", [FAILED, EXPIRED])
def test_frame_with_one_unanswered_group_is_never_called_safe(end: AssessmentStatus) -> None:
    row = record(make_camera(), groups=2)
    answer(row, 1, DONE, RiskLevel.NONE)
    answer(row, 2, end)
    assert close_frames([row.pk], now=LATER) == [row]
    row.refresh_from_db()
    assert (row.status, row.max_risk_level, row.partial) == (end, RiskLevel.NONE, True)


@pytest.mark.parametrize(("status", "level"), [(FAILED, "none"), (DONE, "")])
def test_database_refuses_a_level_without_an_answer_and_the_reverse(status: str, level: str) -> None:
    row = record(make_camera())
    with pytest.raises(IntegrityError):
        Assessment.objects.filter(frame_result=row).update(status=status, risk_level=level)


ANSWERS = st.one_of(
    st.tuples(st.just(DONE), st.sampled_from(RiskLevel)), st.tuples(st.sampled_from([FAILED, EXPIRED]), st.none())
)


@given(st.lists(ANSWERS, min_size=1), st.randoms(use_true_random=False))
def test_join_takes_the_highest_level_in_any_order(
    answers: list[tuple[AssessmentStatus, RiskLevel | None]], random: Random
) -> None:
    shuffled = random.sample(answers, len(answers))
    outcome = join(answers)
    assert join(shuffled) == outcome
    assert outcome.level == highest(level for _status, level in answers if level)
    assert outcome.partial == any(status != DONE for status, _level in answers)
    safe = outcome.status == DONE and outcome.level == RiskLevel.NONE
    assert safe == all(answer == (DONE, RiskLevel.NONE) for answer in answers)
