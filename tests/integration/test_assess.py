"""Claims: one worker at a time has a question, and only its holder may answer it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from assessment.assess import Asked, Claim, RetryPolicy, claim_next, store_failure, store_verdict
from assessment.clients import Answer, ContentBlocked, ProviderUnreachable, UnableToAssess
from assessment.judge import Judgement
from assessment.limiter import NoSlot
from assessment.models import Assessment
from assessment.results import expire_overdue
from assessment.risk import AssessmentStatus, RiskLevel, RiskType, RiskVerdict
from tests.factories import NOON, make_camera, record

pytestmark = pytest.mark.django_db
CALL_SECONDS = 30.0
LEASE = timedelta(seconds=35)
"""The default time-out of a call, and what it takes to store its answer."""
RETRIES = RetryPolicy(most=2)
ASKED = Asked("acct-a", "key-1", 1)
JUDGEMENT = Judgement(
    RiskVerdict(1, RiskLevel.HIGH, RiskType.RED_LIGHT, "runs the red light", 0.9, ("red light",), 1, (1,)),
    Answer("{}", "qwen-vl-plus", 400, 60, "request-1", 1.2),
    "default-v3/en@1234",
)


def claim(now: datetime = NOON) -> Claim:
    taken = claim_next(now=now, seconds=CALL_SECONDS)
    assert taken is not None
    return taken


def test_question_is_held_by_one_worker_until_its_lease_ends() -> None:
    row = record(make_camera())
    first = claim()
    assert (first.frame_result_id, first.group_index, first.attempts) == (row.pk, 1, 0)
    assert first.seconds == CALL_SECONDS
    assert claim_next(now=NOON + LEASE - timedelta(seconds=1), seconds=CALL_SECONDS) is None


def test_question_of_a_dead_worker_is_taken_over_and_its_late_answer_is_dropped() -> None:
    record(make_camera())
    dead = claim()
    heir = claim(NOON + LEASE)
    assert heir.assessment_id == dead.assessment_id
    assert (heir.takeovers, heir.attempts, heir.calls) == (1, 0, 1)
    assert heir.seconds == 25.0
    assert store_verdict(dead, JUDGEMENT, ASKED, now=NOON + LEASE) is False
    assert store_verdict(heir, JUDGEMENT, ASKED, now=NOON + LEASE) is True
    assert store_verdict(heir, JUDGEMENT, ASKED, now=NOON + LEASE) is False


def test_urgent_question_goes_first_then_the_one_due_first() -> None:
    late, early, urgent = (record(make_camera(), captured_at=NOON + timedelta(seconds=s)) for s in (2, 0, 3))
    Assessment.objects.filter(frame_result=urgent).update(urgent=True)
    order = [claim(NOON + timedelta(seconds=3)).frame_result_id for _ in range(3)]
    assert order == [urgent.pk, early.pk, late.pk]


def test_question_past_its_deadline_is_not_taken() -> None:
    record(make_camera())
    assert claim_next(now=NOON + timedelta(seconds=60), seconds=CALL_SECONDS) is None


def test_stored_verdict_is_the_whole_answer() -> None:
    record(make_camera())
    held = claim()
    assert store_verdict(held, JUDGEMENT, ASKED, now=NOON) is True
    row = Assessment.objects.get()
    assert (row.status, row.risk_level, row.risk_type, row.description) == (
        "done",
        "high",
        "red_light",
        "runs the red light",
    )
    assert (row.llm_model, row.input_tokens, row.output_tokens, row.llm_seconds) == ("qwen-vl-plus", 400, 60, 1.2)
    assert (row.prompt_version, row.lease_token, row.ended_at) == ("default-v3/en@1234", "", NOON)


def test_passing_failure_gives_the_question_back_until_the_tries_are_used_up() -> None:
    record(make_camera())
    now = NOON
    ends = []
    for _try in range(3):
        ends.append(store_failure(claim(now), ProviderUnreachable("no route"), ASKED, now=now, retries=RETRIES))
        now = Assessment.objects.get().next_at + timedelta(seconds=1)
    assert ends == [False, False, True]
    row = Assessment.objects.get()
    assert (row.status, row.reason, row.risk_level, row.attempts) == ("failed", ProviderUnreachable.reason, "", 3)


def test_final_failure_ends_the_question_at_once() -> None:
    record(make_camera())
    assert store_failure(claim(), ContentBlocked("blocked"), ASKED, now=NOON, retries=RETRIES) is True
    assert Assessment.objects.get().status == AssessmentStatus.FAILED


def test_failure_under_a_lost_claim_changes_nothing() -> None:
    record(make_camera())
    held = claim()
    stranger = replace(held, token="another")
    assert store_failure(stranger, ContentBlocked("blocked"), ASKED, now=NOON, retries=RETRIES) is False
    assert Assessment.objects.get().status == AssessmentStatus.PENDING


@pytest.mark.django_db(transaction=True)
def test_no_wake_up_is_wasted_when_many_workers_claim_at_once() -> None:
    for _ in range(6):
        record(make_camera(), groups=4)
    claims: list[int | None] = []

    def answer_one_wake_up() -> None:
        taken = claim_next(now=NOON, seconds=CALL_SECONDS)
        claims.append(taken.assessment_id if taken else None)
        connection.close()

    workers = [threading.Thread(target=answer_one_wake_up) for _ in range(24)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert sorted(filter(None, claims)) == sorted(Assessment.objects.values_list("pk", flat=True))


@given(st.integers(0, 50), st.floats(0, 1))
def test_wait_before_a_retry_stays_within_its_bounds(attempts: int, roll: float) -> None:
    policy = RetryPolicy()
    wait = policy.wait(attempts, roll).total_seconds()
    assert 0 <= wait <= min(policy.longest_seconds, policy.first_seconds * 2**attempts) + 1e-6


def test_every_failure_names_a_reason() -> None:
    kinds: list[type[UnableToAssess]] = [UnableToAssess, *UnableToAssess.__subclasses__()]
    assert [kind for kind in kinds if not kind.reason] == []


def test_cameras_that_ask_much_do_not_crowd_out_those_that_ask_little() -> None:
    greedy, modest = make_camera(), make_camera()
    for number in range(6):
        record(greedy, captured_at=NOON + timedelta(milliseconds=number))
    record(modest, captured_at=NOON + timedelta(milliseconds=900))
    now = NOON + timedelta(seconds=1)
    order = [claim(now).camera_id for _ in range(7)]
    assert order[:2] == [greedy.pk, modest.pk]


def test_flood_of_urgent_questions_starves_nobody() -> None:
    waiting = record(make_camera())
    for number in range(5):
        urgent = record(make_camera(), captured_at=NOON + timedelta(seconds=1 + number))
        Assessment.objects.filter(frame_result=urgent).update(urgent=True)
    now = NOON + timedelta(seconds=10)
    taken = claim_next(now=now, seconds=CALL_SECONDS, urgent_first=False)
    assert taken
    assert taken.frame_result_id == waiting.pk
    assert claim(now).frame_result_id != waiting.pk


def test_question_with_too_little_time_left_is_not_begun_and_expires() -> None:
    row = record(make_camera())
    now = NOON + timedelta(seconds=58)
    assert claim_next(now=now, seconds=CALL_SECONDS, least_seconds=3) is None
    assert expire_overdue(now=now, least=timedelta(seconds=3)) == [row.pk]
    assert Assessment.objects.get().reason == "no time left for an answer"


@pytest.mark.parametrize(("seconds", "late"), [(59, False), (60, True), (65, True)])
def test_verdict_after_its_deadline_is_a_late_one(seconds: int, late: bool) -> None:
    record(make_camera())
    taken = claim(NOON + timedelta(seconds=50))
    assert store_verdict(taken, JUDGEMENT, ASKED, now=NOON + timedelta(seconds=seconds))
    assert Assessment.objects.get().late is late


def test_try_without_a_call_forgets_nothing_of_the_one_before() -> None:
    record(make_camera())
    store_failure(claim(), ProviderUnreachable("gone"), ASKED, now=NOON, retries=RETRIES)
    later = NOON + timedelta(seconds=10)
    store_failure(claim(later), NoSlot("cooling", 1.0), Asked(), now=later, retries=RETRIES)
    question = Assessment.objects.get()
    assert (question.account, question.key, question.calls, question.attempts) == ("acct-a", "key-1", 1, 1)


def test_claim_takes_what_is_claimable_in_the_order_that_is_told() -> None:
    now, second = NOON + timedelta(seconds=20), timedelta(seconds=1)
    states = product(
        ("pending", "expired"),
        ({}, {"lease_token": "x", "lease_until": now}, {"lease_token": "x", "lease_until": now + second}),
        (now, now + second),
        (now + 3 * second, now + 4 * second),
        (False, True),
    )
    for status, lease, next_at, deadline_at, urgent in states:
        row = record(make_camera())
        told = {"status": status, "next_at": next_at, "deadline_at": deadline_at, "urgent": urgent, **lease}
        Assessment.objects.filter(frame_result=row).update(**told)
    least = timedelta(seconds=3)
    expected = list(Assessment.objects.claimable(now, least=least).most_pressing_first().values_list("pk", flat=True))
    taken = []
    while found := claim_next(now=now, seconds=CALL_SECONDS, least_seconds=least.total_seconds()):
        taken.append(found.assessment_id)
    assert len(expected) == 4
    assert taken == expected
