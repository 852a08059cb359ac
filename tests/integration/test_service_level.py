"""How well questions are answered, as measured from their rows, and the ladder's level kept in Redis."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.db import connections
from pydantic import SecretStr
from pytest_django import Settings

from assessment import keys, ledger, service_level
from assessment.clients import Scope
from assessment.ladder import LadderLevel, LadderReason, LadderState, ServiceLevel
from assessment.ledger import day_of
from assessment.limits import Wish
from assessment.models import Account, ApiKey, Assessment, CameraRoute, DeadLetter, PoolPolicy, Spending
from assessment.risk import AssessmentStatus, RiskLevel
from assessment.service_level import (
    LADDER_KEY,
    LADDER_SECONDS,
    Workload,
    adjust_ladder,
    current_ladder,
    measure_service,
    measure_workload,
    read_ladder,
    seconds_until_key,
)
from tests.factories import NOON, make_camera, record, seal
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def ask(*, ago: float, **fields: Any) -> Assessment:
    """A question asked `ago` seconds before noon, with 60 seconds to answer it in."""
    row = record(make_camera(), captured_at=NOON - timedelta(seconds=ago))
    row.assessments.update(**fields)
    return row.assessments.get()


def end(status: AssessmentStatus = AssessmentStatus.DONE, *, ago: float = 1, asked: float = 10, **fields: Any) -> None:
    level = RiskLevel.NONE if status == AssessmentStatus.DONE else ""
    ask(ago=asked, status=status, risk_level=level, ended_at=NOON - timedelta(seconds=ago), **fields)


def test_workload_of_nothing_is_nothing() -> None:
    assert measure_workload(NOON) == Workload(0, 0, 0, 0.0, 0.0, 0, 0)


def test_waiting_questions_are_counted_by_urgency_and_those_in_hand_apart() -> None:
    lease = {"lease_token": "t", "lease_until": NOON + timedelta(seconds=5)}
    ask(ago=2, urgent=True)
    ask(ago=12)
    ask(ago=9)
    ask(ago=50, **lease)
    ask(ago=15, lease_token="dead", lease_until=NOON - timedelta(seconds=1))
    workload = measure_workload(NOON)
    assert (workload.urgent_waiting, workload.others_waiting, workload.in_flight) == (1, 3, 1)
    assert (workload.oldest_seconds, workload.oldest_share) == (15.0, 0.25)


def test_question_that_failed_by_itself_does_not_count_as_old() -> None:
    ask(ago=40, attempts=1, next_at=NOON + timedelta(seconds=10))
    ask(ago=6, next_at=NOON + timedelta(seconds=10))
    assert measure_workload(NOON).oldest_share == pytest.approx(0.1)


def test_camera_that_waits_for_a_key_of_its_own_does_not_count_as_old() -> None:
    pinned = ask(ago=40)
    CameraRoute.objects.create(camera=pinned.camera, key=make_key())
    ask(ago=6)
    workload = measure_workload(NOON)
    assert workload.others_waiting == 2
    assert workload.oldest_share == pytest.approx(0.1)


def test_questions_of_the_last_minute_were_answered_in_time_or_missed() -> None:
    end()
    end(ago=59)
    end(AssessmentStatus.EXPIRED, asked=61)
    end(AssessmentStatus.FAILED, reason="timeout")
    workload = measure_workload(NOON)
    assert (workload.in_time, workload.missed, workload.in_time_share) == (2, 2, 0.5)


def test_live_question_that_was_answered_after_its_deadline_was_missed() -> None:
    end()
    end(late=True, asked=65)
    workload = measure_workload(NOON)
    assert (workload.in_time, workload.missed) == (1, 1)


def test_what_is_put_again_counts_neither_as_waiting_nor_as_answered() -> None:
    end(late=True, asked=70)
    end(AssessmentStatus.EXPIRED, late=True, asked=70)
    ask(ago=100_000, late=True)
    for again in Assessment.objects.all():
        letter = {"reason": "timeout", "attempts": 3, "died_at": NOON, "state": "sent_again"}
        DeadLetter.objects.create(assessment=again, **letter)
    ask(ago=6)
    workload = measure_workload(NOON)
    assert (workload.others_waiting, workload.oldest_seconds) == (1, 6.0)
    assert (workload.in_time, workload.missed) == (0, 0)


def test_what_says_nothing_of_the_service_is_not_counted() -> None:
    end(ago=61, asked=65)
    end(AssessmentStatus.FAILED, reason="blocked")
    end(AssessmentStatus.FAILED, reason="bad_request")
    workload = measure_workload(NOON)
    assert (workload.in_time, workload.missed, workload.in_time_share) == (0, 0, None)


def test_questions_of_before_and_of_another_kind_are_left_out_where_wanted() -> None:
    ask(ago=30, urgent=True)
    ask(ago=12)
    ask(ago=6, urgent=True)
    end(asked=15, urgent=True)
    end(asked=5)
    since = NOON - timedelta(seconds=20)
    asked_since = measure_workload(NOON, since=since)
    assert (asked_since.urgent_waiting, asked_since.others_waiting, asked_since.in_time) == (1, 1, 2)
    assert asked_since.oldest_share == pytest.approx(0.2)
    urgent = measure_workload(NOON, since=since, urgent_only=True)
    assert (urgent.urgent_waiting, urgent.others_waiting, urgent.in_time) == (1, 0, 1)
    assert urgent.oldest_share == pytest.approx(0.1)


def configure(settings: Settings, **fields: object) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=fields)


def make_key(slug: str = "key-1", *, account: Account | None = None, **fields: object) -> ApiKey:
    account = account or Account.objects.create(slug=f"of-{slug}")
    keys.forget_pool()
    return ApiKey.objects.create(slug=slug, account=account, secret_encrypted=seal(), **fields)


def test_single_key_of_the_environment_is_enough(settings: Settings) -> None:
    assert seconds_until_key("qwen") == math.inf
    configure(settings, dashscope_api_key=SecretStr("sk-only"))
    keys.forget_pool()
    assert seconds_until_key("qwen") == 0.0


def test_keys_that_may_not_be_used_are_none(settings: Settings) -> None:
    configure(settings, dashscope_api_key=SecretStr("sk-unused-where-others-are-configured"))
    closed = Account.objects.create(slug="closed", enabled=False)
    unpaid = Account.objects.create(slug="unpaid", disabled_at=NOON)
    spent = Account.objects.create(slug="spent", daily_budget=Decimal(1))
    Spending.objects.create(
        day=day_of(utc_now()), account="spent", key="k", prompt_version="p", model="m", cost=Decimal(1)
    )
    for account in (closed, unpaid, spent):
        make_key(f"{account}-key", account=account)
    make_key("off", enabled=False)
    make_key("revoked", disabled_at=NOON)
    make_key("cheap-only", refused_models=["qwen"])
    assert seconds_until_key("qwen") == math.inf
    assert seconds_until_key("qwen-flash") == 0.0


def cool(model: str = "qwen", *, retry_after_seconds: float = 0.0) -> None:
    """Let the key that is next to be asked throttle."""
    pool = keys.load_pool(model)
    slot = keys.limiter().reserve(pool, Wish(), patience_seconds=5, lease_seconds=60)
    keys.limiter().cool(pool, Scope.ACCOUNT, slot, reason="rate_limited", retry_after_seconds=retry_after_seconds)


@pytest.mark.usefixtures("redis_client")
def test_wait_for_a_key_is_that_for_the_first_that_has_cooled() -> None:
    for slug in ("key-1", "key-2"):
        make_key(slug)
    cool(retry_after_seconds=60)
    assert seconds_until_key("qwen") == 0.0
    cool()
    assert 0 < seconds_until_key("qwen") <= 11
    assert seconds_until_key("qwen-flash") == 0.0


def test_nobody_is_asked_while_all_keys_cool_for_longer_than_a_question_can_wait(
    redis_client: redis.Redis, settings: Settings
) -> None:
    make_key()
    cool(settings.ENVIRONMENT.llm_model, retry_after_seconds=40)
    reduced = look(redis_client, NOON)
    assert (reduced.level, reduced.reason) == (LadderLevel.GEOMETRY_ONLY, LadderReason.KEYS_COOLING)


def test_service_is_measured_of_the_level_in_force(settings: Settings) -> None:
    configure(settings, llm_model="qwen", llm_cheaper_model="qwen-flash")
    make_key(refused_models=["qwen"])
    PoolPolicy.objects.create(pk=1, daily_budget=Decimal(4))
    Spending.objects.create(day=day_of(utc_now()), account="a", key="k", prompt_version="p", model="m", cost=Decimal(3))
    ask(ago=30, urgent=True)
    ask(ago=18)
    ask(ago=12, urgent=True)
    end(AssessmentStatus.EXPIRED)
    reduced = LadderState(level=LadderLevel.URGENT_ONLY, since=NOON - timedelta(seconds=20))
    for state, oldest, missed in ((LadderState(), 0.5, 1), (reduced, 0.2, 0)):
        service = measure_service(state, NOON)
        assert 0 < service.database_seconds < 30
        assert service.oldest_share == pytest.approx(oldest)
        assert service.missed == missed
        assert (service.key_wait_share, service.cheaper_wait_share) == (math.inf, 0.0)
        assert (service.budget_share, service.switched_on) == (0.75, True)


@pytest.mark.parametrize("cheaper", ["", "qwen"])
def test_without_another_model_there_is_no_cheaper_one(settings: Settings, cheaper: str) -> None:
    configure(settings, llm_model="qwen", llm_cheaper_model=cheaper)
    make_key()
    service = measure_service(LadderState(), NOON)
    assert (service.key_wait_share, service.cheaper_wait_share) == (0.0, math.inf)


def test_assessment_that_is_switched_off_leaves_detection(settings: Settings, redis_client: redis.Redis) -> None:
    llm = settings.MODEL_FILE.llm.model_copy(update={"enabled": False})
    settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"llm": llm})
    before, after = adjust_ladder(redis_client, now=NOON)
    assert before == LadderState()
    assert (after.level, after.reason, after.since) == (LadderLevel.DETECTION_ONLY, LadderReason.SWITCHED_OFF, NOON)


def look(client: redis.Redis, at: datetime) -> LadderState:
    client.delete(f"{LADDER_KEY}:look")
    return adjust_ladder(client, now=at)[1]


def test_lasting_overload_reduces_assessment_and_everybody_reads_so(redis_client: redis.Redis) -> None:
    make_key()
    ask(ago=30)
    looks = [look(redis_client, NOON + timedelta(seconds=seconds)) for seconds in range(0, 12, 2)]
    assert [each.level for each in looks] == [*[LadderLevel.ALL] * 5, LadderLevel.URGENT_ONLY]
    assert current_ladder() == looks[-1]
    assert (looks[-1].reason, looks[-1].since) == (LadderReason.TOO_LATE, NOON + timedelta(seconds=10))
    assert 0 < redis_client.ttl(LADDER_KEY) <= LADDER_SECONDS


def test_level_is_read_once_a_second(redis_client: redis.Redis) -> None:
    assert current_ladder() == LadderState()
    redis_client.set(LADDER_KEY, json.dumps({"level": "urgent_only"}))
    assert current_ladder().level is LadderLevel.ALL
    current_ladder.forget()
    assert current_ladder().level is LadderLevel.URGENT_ONLY


def test_two_looks_at_once_are_one(redis_client: redis.Redis) -> None:
    first = adjust_ladder(redis_client, now=NOON)[1]
    assert first.reason is LadderReason.NO_KEY
    make_key()
    assert adjust_ladder(redis_client, now=NOON) == (first, first)


def test_slower_of_two_writers_gives_way(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures are older than what the other has decided meanwhile."""

    def measure_slowly(_state: LadderState, _now: datetime) -> ServiceLevel:
        redis_client.set(LADDER_KEY, json.dumps({"level": "detection_only"}))
        return ServiceLevel(key_wait_share=math.inf)

    monkeypatch.setattr(service_level, "measure_service", measure_slowly)
    assert adjust_ladder(redis_client, now=NOON) == (LadderState(), LadderState())
    assert read_ladder(redis_client.get(LADDER_KEY)).level is LadderLevel.DETECTION_ONLY


@pytest.mark.django_db(transaction=True)
def test_many_sweeps_at_once_change_the_level_once(redis_client: redis.Redis) -> None:
    def sweep(_number: int) -> bool:
        before, after = adjust_ladder(redis_client, now=NOON)
        connections.close_all()
        return before.level is not after.level

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(sweep, range(16))) == 1


@pytest.mark.parametrize("kept", [b"rubbish", b'{"level": "of another version"}', None])
def test_state_that_cannot_be_read_is_no_reduction(kept: bytes | None) -> None:
    assert read_ladder(kept) == LadderState()


def test_budget_that_is_used_up_leaves_geometry_until_it_is_raised(redis_client: redis.Redis) -> None:
    make_key()
    PoolPolicy.objects.create(pk=1, daily_budget=Decimal(1))
    Spending.objects.create(
        day=day_of(utc_now()), account="of-key-1", key="k", prompt_version="p", model="m", cost=Decimal(1)
    )
    spent = look(redis_client, NOON)
    assert (spent.level, spent.reason) == (LadderLevel.GEOMETRY_ONLY, LadderReason.BUDGET_SPENT)
    PoolPolicy.objects.update(daily_budget=Decimal("1.1"))
    ledger.forget_remembered()
    scarce = look(redis_client, NOON + timedelta(seconds=2))
    assert (scarce.level, scarce.reason) == (LadderLevel.URGENT_ONLY, LadderReason.BUDGET_SCARCE)
    PoolPolicy.objects.update(daily_budget=Decimal(2))
    ledger.forget_remembered()
    assert look(redis_client, NOON + timedelta(seconds=4)).level is LadderLevel.ALL
