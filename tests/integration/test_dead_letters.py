"""Questions that were given up: kept with their reason, and sent again or dropped once."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from assessment.alerts import apply_verdicts
from assessment.assess import Asked, RetryPolicy, WorkerLost, claim_next, store_failure
from assessment.clients import ContentBlocked, ModelTimedOut, QuestionRejected, RateLimited, UnableToAssess
from assessment.dead_letters import Chosen, drop, send_again, waiting
from assessment.models import Alert, Assessment, DeadLetter, FrameResult
from assessment.results import close_frames, expire_overdue, forget_frames
from tests.factories import NOON, PATIENCE, frames_before, make_camera, record
from trafficmon.live.compose import assessment_result

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LATER = NOON + timedelta(minutes=5)


def give_up(error: UnableToAssess) -> FrameResult:
    row = record(make_camera())
    claim = claim_next(now=NOON, seconds=30)
    assert claim
    assert store_failure(claim, error, Asked(), now=NOON, retries=RetryPolicy(most=0))
    assert close_frames([row.pk], now=NOON)
    return row


def test_given_up_question_is_kept_with_its_reason() -> None:
    row = give_up(ModelTimedOut("No whole answer."))
    letter = DeadLetter.objects.get()
    assert (letter.assessment.frame_result, letter.reason, letter.detail) == (row, "timeout", "No whole answer.")
    assert (letter.attempts, letter.state, letter.died_at) == (1, "waiting", NOON)


def test_what_will_be_refused_again_is_no_dead_letter() -> None:
    give_up(ContentBlocked("no"))
    assert DeadLetter.objects.count() == 0


def test_throttled_question_uses_up_no_attempt() -> None:
    record(make_camera())
    for _ in range(5):
        Assessment.objects.update(next_at=NOON)
        claim = claim_next(now=NOON, seconds=30)
        assert claim
        assert not store_failure(claim, RateLimited("slow"), Asked(), now=NOON, retries=RetryPolicy(most=0))
    assert Assessment.objects.get().attempts == 0


def test_sent_again_it_waits_anew_and_its_answer_alarms_nobody() -> None:
    row = give_up(ModelTimedOut(""))
    [again] = send_again(Chosen(), now=LATER, patience=PATIENCE)
    question = Assessment.objects.get()
    assert (question.pk, question.status, question.late, question.attempts) == (again, "pending", True, 0)
    assert question.deadline_at == LATER + PATIENCE
    assert FrameResult.objects.get().status == "pending"
    assert send_again(Chosen(), now=LATER, patience=PATIENCE) == []
    Assessment.objects.update(status="done", risk_level="high", risk_type="collision")
    assert close_frames([row.pk], now=LATER)
    assert apply_verdicts(row) == []
    assert FrameResult.objects.get().max_risk_level == "high"


@pytest.mark.parametrize(("reason", "partial"), [("cooldown", True), ("low_prior", False)])
def test_sent_again_its_frame_is_as_partial_as_it_was_stored(reason: str, partial: bool) -> None:
    row = give_up(ModelTimedOut(""))
    FrameResult.objects.filter(pk=row.pk).update(skipped_groups=[[2, reason, 0.5, "near_person"]])
    send_again(Chosen(), now=LATER, patience=PATIENCE)
    Assessment.objects.update(status="done", risk_level="none")
    assert close_frames([row.pk], now=LATER)
    row.refresh_from_db()
    # What was never asked about is not safe for an answer about something else.
    assert (row.status, row.max_risk_level, row.partial) == ("done", "none", partial)


def give_up_one_of_two() -> FrameResult:
    """A frame whose first group was found to be in danger, and whose second has no answer."""
    row = record(make_camera(), groups=2)
    row.assessments.filter(group_index=1).update(status="done", risk_level="high", risk_type="collision")
    claim = claim_next(now=NOON, seconds=30)
    assert claim
    assert store_failure(claim, ModelTimedOut(""), Asked(), now=NOON, retries=RetryPolicy(most=0))
    return row


def close(row: FrameResult) -> tuple[int, int]:
    """Alerts that closing the frame changed, and that there are."""
    [closed] = close_frames([row.pk], now=LATER)
    return len(apply_verdicts(closed)), Alert.objects.count()


@pytest.mark.parametrize("outcome", [{"status": "failed"}, {"status": "done", "risk_level": "high"}])
def test_sent_again_it_repeats_no_alarm_of_its_frames_other_groups(outcome: dict[str, str]) -> None:
    row = give_up_one_of_two()
    assert close(row) == (1, 1)
    Alert.objects.update(state="closed", closed_at=LATER)
    assert len(send_again(Chosen(), now=LATER, patience=PATIENCE)) == 1
    row.assessments.filter(group_index=2).update(risk_type="collision", **outcome)
    assert close(row) == (0, 1)
    row.refresh_from_db()
    assert (row.max_risk_level, assessment_result(row, list(row.assessments.all())).late) == ("high", True)


def test_risky_frame_is_kept_while_its_letter_is_answered_again() -> None:
    row = give_up_one_of_two()
    close(row)
    send_again(Chosen(), now=LATER, patience=PATIENCE)
    assert forget_frames(frames_before(calm=NOON + timedelta(days=1), risky=NOON)) == 0
    row.assessments.filter(group_index=2).update(status="failed")
    close(row)
    assert forget_frames(frames_before(calm=NOON + timedelta(days=1), risky=NOON)) == 0


def test_letter_goes_with_its_calm_frame() -> None:
    give_up(ModelTimedOut(""))
    assert forget_frames(frames_before(calm=LATER, risky=NOON)) == 1
    assert DeadLetter.objects.count() == 0


def test_sent_again_they_come_behind_all_that_waits_of_their_camera() -> None:
    first, second = give_up(ModelTimedOut("")), give_up(ModelTimedOut(""))
    Assessment.objects.update(camera=first.camera, urgent=True)
    FrameResult.objects.filter(pk=second.pk).update(camera=first.camera)
    live = record(first.camera, captured_at=LATER).assessments.get()
    send_again(Chosen(), now=LATER, patience=PATIENCE)
    sent = Assessment.objects.filter(late=True).order_by("turn_at")
    turns = [LATER + timedelta(seconds=number) for number in (1, 2)]
    assert live.turn_at == LATER
    assert [(each.urgent, each.turn_at, each.deadline_at) for each in sent] == [
        (False, turn, turn + PATIENCE) for turn in turns
    ]
    # What is asked after them need not wait for them.
    assert record(first.camera, captured_at=LATER).assessments.get().turn_at == LATER + timedelta(seconds=1)


def test_it_is_not_sent_again_while_its_frame_may_still_alarm() -> None:
    row = give_up_one_of_two()
    assert send_again(Chosen(), now=LATER, patience=PATIENCE) == []
    assert close(row) == (1, 1)
    assert len(send_again(Chosen(), now=LATER, patience=PATIENCE)) == 1


def test_given_up_twice_it_waits_twice() -> None:
    give_up(ModelTimedOut(""))
    send_again(Chosen(), now=LATER, patience=PATIENCE)
    claim = claim_next(now=LATER, seconds=30)
    assert claim
    assert store_failure(claim, QuestionRejected("no"), Asked(), now=LATER, retries=RetryPolicy(most=0))
    letter = DeadLetter.objects.get()
    assert (letter.state, letter.reason, letter.ended_at) == ("waiting", "bad_request", None)


def test_sent_again_and_expired_it_waits_anew() -> None:
    row = give_up(ModelTimedOut("No whole answer."))
    give_up(ModelTimedOut("of another frame"))
    send_again(Chosen(ids=[row.assessments.get().dead_letter.pk]), now=LATER, patience=PATIENCE)
    assert expire_overdue(now=LATER + PATIENCE) == [row.pk]
    assert close_frames([row.pk], now=LATER + PATIENCE)
    letter = row.assessments.get().dead_letter
    assert (letter.state, letter.reason, letter.detail) == ("waiting", "expired", "deadline passed")
    assert (letter.died_at, letter.ended_at, letter.ended_by) == (LATER + PATIENCE, None, None)
    assert list(waiting(Chosen(reason="expired"))) == [letter]
    assert len(send_again(Chosen(reason="expired"), now=LATER + PATIENCE, patience=PATIENCE)) == 1


def test_live_question_that_expires_is_no_dead_letter() -> None:
    record(make_camera())
    expire_overdue(now=NOON + PATIENCE)
    assert DeadLetter.objects.count() == 0


def test_sent_again_it_may_outlive_as_many_workers_as_before() -> None:
    give_up(ModelTimedOut(""))
    Assessment.objects.update(takeovers=3)
    send_again(Chosen(), now=LATER, patience=PATIENCE)
    assert Assessment.objects.get().takeovers == 0


def test_attempts_of_a_letter_are_failed_calls_and_dead_workers() -> None:
    record(make_camera())
    Assessment.objects.update(takeovers=3, attempts=1)
    claim = claim_next(now=NOON, seconds=30)
    assert claim
    assert store_failure(claim, WorkerLost("3 workers died."), Asked(), now=NOON, retries=RetryPolicy())
    assert (Assessment.objects.get().attempts, DeadLetter.objects.get().attempts) == (1, 4)


def test_dropped_it_stays_failed() -> None:
    give_up(ModelTimedOut(""))
    assert drop(Chosen(), now=LATER) == 1
    assert drop(Chosen(), now=LATER) == 0
    assert send_again(Chosen(), now=LATER, patience=PATIENCE) == []
    assert Assessment.objects.get().status == "failed"


def test_empty_selection_is_none_rather_than_all(admin_client: Client) -> None:
    give_up(ModelTimedOut(""))
    assert drop(Chosen(ids=()), now=LATER) == 0
    page = reverse("admin:assessment_deadletter_changelist")
    for action in ("drop", "send_again"):
        admin_client.post(page, {"action": action, "_selected_action": ["0"]})
    assert DeadLetter.objects.get().state == "waiting"


def test_filters_choose() -> None:
    first, second = give_up(ModelTimedOut("")), give_up(QuestionRejected(""))
    letters = {each.reason: each.pk for each in DeadLetter.objects.all()}
    assert [each.pk for each in waiting(Chosen(reason="timeout"))] == [letters["timeout"]]
    assert [each.pk for each in waiting(Chosen(camera_id=second.camera_id))] == [letters["bad_request"]]
    assert [each.pk for each in waiting(Chosen(ids=(letters["timeout"],)))] == [letters["timeout"]]
    assert waiting(Chosen(before=NOON)).count() == 0
    assert waiting(Chosen(before=LATER)).count() == 2
    assert first.pk != second.pk


def run(*words: str) -> str:
    output = StringIO()
    call_command("dead_letters", *words, stdout=output)
    return output.getvalue()


def test_command_lists_sends_again_and_drops() -> None:
    give_up(ModelTimedOut("No whole answer."))
    give_up(QuestionRejected("Bad."))
    assert run("list").splitlines()[-1] == "2 waiting."
    assert run("send_again", "--reason", "timeout") == "1 sent again.\n"
    for action in ("drop", "send_again"):
        with pytest.raises(CommandError, match="or say --all"):
            run(action)
    assert run("drop", "--all") == "1 dropped.\n"
    assert run("list") == "0 waiting.\n"


@pytest.mark.parametrize("count", [1, 3])
def test_admin_lists_and_sends_again(
    admin_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for _ in range(count):
        give_up(ModelTimedOut(""))
    page = reverse("admin:assessment_deadletter_changelist")
    with django_assert_num_queries(6):
        assert admin_client.get(page).context["cl"].result_count == count
    chosen = [str(each) for each in DeadLetter.objects.values_list("pk", flat=True)]
    admin_client.post(page, {"action": "send_again", "_selected_action": chosen})
    assert set(DeadLetter.objects.values_list("state", "ended_by__username")) == {("sent_again", "admin")}
