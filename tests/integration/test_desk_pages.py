"""The pages of keys and of the system: who sees them, what they say of what runs and of nothing, what buttons do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
import redis
from django.conf import settings
from django.test import Client
from pydantic import SecretStr, TypeAdapter

from assessment import keys, ledger
from assessment.clients import ModelTimedOut, ProviderFailed
from assessment.clients.failures import Scope
from assessment.ladder import LadderLevel, LadderReason, LadderState
from assessment.limits import Wish
from assessment.models import Account, ApiKey, Assessment, DeadLetter, DeadLetterState, ModelPrice, PoolPolicy, Spending
from assessment.service_level import LADDER_KEY, current_ladder
from cameras.frames import connect_redis
from cameras.load import note_skipped
from cameras.models import Wanted
from tests.factories import make_camera, record, seal
from tests.integration.test_dead_letters import give_up
from tests.integration.test_pages import browser, make_user
from trafficmon.accounts.models import AuditEntry
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard import system
from workers import health
from workers.broker import BrokerUnreachable
from workers.health import note_seen, workers_seen
from workers.queues import Queue

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def empty_pool(redis_client: redis.Redis) -> Iterator[None]:
    keys.forget_pool()
    yield
    keys.forget_pool()


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was seen is seen for the whole test."""
    monkeypatch.setattr(health, "SEEN_SECONDS", 3600)


@pytest.fixture
def chief() -> Client:
    return browser(make_user(Role.ADMINISTRATOR))


@pytest.fixture
def supervisor() -> Client:
    return browser(make_user(Role.SUPERVISOR))


def make_keys(count: int = 1) -> Account:
    account = Account.objects.create(slug="acct", requests_per_minute=300, most_in_flight=4, daily_budget=2)
    for number in range(count):
        ApiKey.objects.create(slug=f"key-{number}", account=account, secret_encrypted=seal())
    keys.pool_changed()
    return account


def text_of(desk: Client, path: str) -> str:
    """What the page says, without its tags and spaces."""
    answer = desk.get(path)
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def told(desk: Client) -> list[str]:
    return [str(each) for each in desk.get("/keys/").context["messages"]]


PATHS = ["/keys/", "/keys/now/", "/system/", "/system/now/"]


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_for_supervisors_and_administrators(path: str, chief: Client, supervisor: Client) -> None:
    assert browser(None).get(path).status_code == 302
    assert browser(make_user(Role.OPERATOR)).get(path).status_code == 403
    assert [each.get(path).status_code for each in (supervisor, chief)] == [200, 200]


def test_navigation_offers_the_pages_to_those_who_may_see_them(supervisor: Client) -> None:
    assert 'href="/keys/"' in supervisor.get("/").content.decode()
    assert 'href="/keys/"' not in browser(make_user(Role.OPERATOR)).get("/").content.decode()


def test_keys_page_without_any_key_says_what_to_do(chief: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    without = settings.ENVIRONMENT.model_copy(update={"dashscope_api_key": SecretStr("")})
    monkeypatch.setattr(settings, "ENVIRONMENT", without)
    assert "There is no key. Set DASHSCOPE_API_KEY" in text_of(chief, "/keys/")


def test_key_is_shown_with_its_state_use_record_answers_and_cost(chief: Client) -> None:
    make_keys()
    PoolPolicy.objects.create(pk=1, daily_budget=10)
    model = settings.ENVIRONMENT.llm_model
    limiter, pool = keys.limiter(), keys.load_pool(model)
    slot = limiter.reserve(pool, Wish(tokens=100), patience_seconds=5, lease_seconds=30)
    limiter.begin(slot)
    row = record(make_camera(), captured_at=utc_now())
    row.assessments.update(status="done", account="acct", key="key-0", llm_seconds=1.25, risk_level="none")
    Spending.objects.create(day=ledger.day_of(utc_now()), account="acct", key="key-0", model=model, cost=Decimal("1.5"))
    ledger.forget_remembered()
    text = text_of(chief, "/keys/now/")
    assert slot.key_id == "key-0"
    assert "in flight 1 / 4" in text
    assert "spent today 1.5000 / 2.00" in text
    assert "Spent today: 1.5000 of 10.00" in text
    assert re.search(r"key-0 … in use [01] / 5 [01] / 300 ", text)  # a second is soon over
    assert re.search(r"1\.25 s at most 1\.[23] s", text)


def test_no_page_shows_a_secret(chief: Client) -> None:
    make_keys()
    for path in PATHS:
        assert "sk-of-tests" not in chief.get(path).content.decode()


def test_cooling_key_says_why_and_for_how_long(chief: Client) -> None:
    make_keys()
    limiter, pool = keys.limiter(), keys.load_pool(settings.ENVIRONMENT.llm_model)
    slot = limiter.reserve(pool, Wish(tokens=100), patience_seconds=5, lease_seconds=30)
    limiter.begin(slot)
    limiter.cool(pool, Scope.KEY, slot, reason="throttled", seconds=60)
    limiter.settle(slot, tokens=0, succeeded=False)
    assert re.search(r"cooling for \d\d s throttled", text_of(chief, "/keys/now/"))


def test_administrator_takes_a_key_out_and_puts_it_back(chief: Client) -> None:
    make_keys()
    switch = {"kind": "key", "slug": "key-0"}
    assert chief.post("/keys/switch/", {**switch, "on": "no"})["Location"] == "/keys/"
    assert told(chief) == ["key-0 is taken out of the pool."]
    assert ApiKey.objects.get().disabled_reason == "by desk administrator"
    assert "taken out by desk administrator" in text_of(chief, "/keys/now/")
    chief.post("/keys/switch/", {**switch, "on": "yes"})
    assert ApiKey.objects.get().disabled_at is None
    actions = AuditEntry.objects.filter(action__startswith="apikey").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["apikey.take_out", "apikey.put_back"]


def test_account_is_taken_out_with_all_its_keys(chief: Client) -> None:
    make_keys(2)
    chief.post("/keys/switch/", {"kind": "account", "slug": "acct", "on": "no"})
    assert Account.objects.get().disabled_at is not None
    assert text_of(chief, "/keys/now/").count("taken out by desk administrator") == 2


def test_supervisor_looks_and_switches_nothing(supervisor: Client) -> None:
    make_keys()
    assert "/keys/switch/" not in supervisor.get("/keys/").content.decode()
    assert supervisor.post("/keys/switch/", {"kind": "key", "slug": "key-0", "on": "no"}).status_code == 403
    assert ApiKey.objects.get().disabled_at is None


def test_keys_page_without_redis_says_so(chief: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from assessment.limiter import Limiter

    make_keys()
    away = Limiter(redis.Redis(host="127.0.0.1", port=1))
    monkeypatch.setattr(keys, "limiter", lambda: away)
    keys.forget_pool()
    assert "Where the keys stand cannot be seen now." in text_of(chief, "/keys/")


@pytest.mark.parametrize("count", [1, 3])
def test_keys_take_the_same_queries_however_many(count: int, chief: Client, django_assert_num_queries: Any) -> None:
    make_keys(count)
    text_of(chief, "/keys/now/")
    keys.forget_pool()
    ledger.forget_remembered()
    with django_assert_num_queries(15):
        text_of(chief, "/keys/now/")


@pytest.fixture
def letters() -> list[DeadLetter]:
    """Three questions that were given up, for two reasons."""
    rows = [give_up(error) for error in (ModelTimedOut("late"), ProviderFailed("broken"), ModelTimedOut("late"))]
    return [DeadLetter.objects.get(assessment__frame_result=row) for row in rows]


def states() -> list[str]:
    return list(DeadLetter.objects.order_by("pk").values_list("state", flat=True))


WAITING, SENT, DROPPED = DeadLetterState.WAITING, DeadLetterState.SENT_AGAIN, DeadLetterState.DROPPED


def test_one_question_is_sent_again_and_one_dropped(supervisor: Client, letters: list[DeadLetter]) -> None:
    supervisor.post("/keys/letters/send/", {"only": letters[0].pk, "letter": [each.pk for each in letters]})
    supervisor.post("/keys/letters/drop/", {"only": letters[1].pk})
    assert states() == [SENT, DROPPED, WAITING]
    assert Assessment.objects.get(pk=letters[0].assessment_id).late is True
    assert told(supervisor) == ["1 question is put again.", "1 question is dropped."]


def test_ticked_questions_are_dropped_together(supervisor: Client, letters: list[DeadLetter]) -> None:
    supervisor.post("/keys/letters/drop/", {"letter": [letters[0].pk, letters[2].pk]})
    assert states() == [DROPPED, WAITING, DROPPED]


def test_all_that_match_the_filter_are_sent_again(supervisor: Client, letters: list[DeadLetter]) -> None:
    answer = supervisor.post("/keys/letters/send/", {"all": "yes", "reason": "timeout"})
    assert answer["Location"] == "/keys/?reason=timeout#letters"
    assert states() == [SENT, WAITING, SENT]


@pytest.mark.parametrize("narrowed", [{"all": "yes", "reason": "nonsense"}, {}, {"letter": "x"}, {"camera": "x"}])
def test_what_names_no_question_changes_none(
    narrowed: dict[str, str], supervisor: Client, letters: list[DeadLetter]
) -> None:
    supervisor.post("/keys/letters/drop/", narrowed)
    assert states() == [WAITING] * 3
    assert told(supervisor) == ["No question is selected."]


def test_questions_are_filtered_by_reason_camera_and_time(supervisor: Client, letters: list[DeadLetter]) -> None:
    DeadLetter.objects.update(died_at=utc_now())
    DeadLetter.objects.filter(pk=letters[0].pk).update(died_at=utc_now() - timedelta(days=2))
    camera = letters[0].assessment.camera_id
    yesterday = (utc_now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    asked = ["", "?reason=timeout", f"?camera={camera}", f"?reason=timeout&camera={camera}", f"?before={yesterday}"]
    counts = [supervisor.get(f"/keys/{query}").context["letter_count"] for query in [*asked, "?camera=99999"]]
    assert counts == [3, 2, 1, 1, 1, 0]


def test_operator_deals_with_no_question(letters: list[DeadLetter]) -> None:
    desk = browser(make_user(Role.OPERATOR))
    assert desk.post("/keys/letters/drop/", {"only": letters[0].pk}).status_code == 403
    assert states() == [WAITING] * 3


def test_system_page_with_nothing_running_says_so(supervisor: Client) -> None:
    text = text_of(supervisor, "/system/")
    for words in (
        "Nothing runs but this web process.",
        "Capture not seen",
        "Assessment not seen",
        "No worker has said within 15 seconds that it is there.",
        "everything is judged",
        "as configured",
        "No fleet of manage.py fleet runs",
    ):
        assert words in text


def test_system_page_is_there_while_the_broker_is_away(
    supervisor: Client, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_queue: str) -> int:
        raise BrokerUnreachable

    monkeypatch.setattr("workers.queues.waiting_messages", fail)
    assert "frames to detect –" in text_of(supervisor, "/system/")


def test_system_page_without_redis_says_so(supervisor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "connect_redis", lambda: redis.Redis(host="127.0.0.1", port=1))
    text = text_of(supervisor, "/system/")
    assert "Redis does not answer." in text
    assert "Redis does not answer Disk" in text
    assert re.search(r"Database (SQLite [\d.]+|PostgreSQL \S+).* answered in [\d.]+ ms", text)


def test_system_page_shows_workers_queues_lag_drops_and_the_ladder(
    supervisor: Client, redis_client: redis.Redis
) -> None:
    for node in ("assessment-1@east", "assessment-2@west"):
        note_seen(redis_client, [Queue.ASSESS, Queue.ASSESS_URGENT], node=node)
    redis_client.rpush(Queue.ASSESS, "a message", "another")
    camera = make_camera(wanted=Wanted.RUNNING)
    row = record(camera, captured_at=utc_now() - timedelta(seconds=20))
    row.assessments.update(deadline_at=utc_now() + timedelta(days=1))
    note_skipped(redis_client, camera.pk, "stale")
    state = LadderState(LadderLevel.URGENT_ONLY, LadderReason.TOO_LATE, since=utc_now() - timedelta(minutes=5))
    redis_client.set(LADDER_KEY, TypeAdapter(LadderState).dump_json(state))
    current_ladder.forget()
    text = text_of(supervisor, "/system/")
    assert "Assessment seen" in text
    assert "only urgent groups are judged answers come too late for " in text
    assert re.search(r" assess questions 2 \d+\.\d s 2 ", text)
    assert re.search(r" assess\.urgent urgent questions 0 – 2 ", text)
    assert re.search(r"assessment-1@east assess, assess\.urgent \d+ s ago assessment-2@west", text)
    assert "too old when its turn came 1" in text


def test_worker_that_says_nothing_more_is_not_seen_any_more(redis_client: redis.Redis) -> None:
    note_seen(redis_client, [Queue.DETECT], node="detection-1@here")
    assert [(each.node, each.queues) for each in workers_seen(redis_client)] == [("detection-1@here", ("detect",))]
    [member] = cast("list[bytes]", redis_client.zrange("workers:seen", 0, -1))
    redis_client.zincrby("workers:seen", -health.SEEN_SECONDS - 1, member.decode())
    assert workers_seen(redis_client) == []


@pytest.mark.parametrize("count", [1, 3])
def test_system_page_takes_the_same_queries_however_much_there_is(
    count: int, supervisor: Client, redis_client: redis.Redis, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        note_seen(redis_client, [Queue.DETECT], node=f"detection-{number}@here")
        note_skipped(redis_client, make_camera(wanted=Wanted.RUNNING).pk, "late")
    text_of(supervisor, "/system/now/")
    ledger.forget_remembered()
    with django_assert_num_queries(16):
        text_of(supervisor, "/system/now/")


def test_frames_that_wait_for_a_worker_are_as_old_as_the_oldest() -> None:
    from cameras.frames import FrameStore

    client = connect_redis()
    assert FrameStore(client).longest_wait_seconds() == 0.0
    seconds, _microseconds = client.time()
    client.zadd("cameras:waiting", {"1": 1000 * (seconds - 8), "2": 1000 * (seconds - 3)})
    assert round(FrameStore(client).longest_wait_seconds()) in {8, 9}


def test_what_has_no_limit_and_no_price_is_not_shown_as_nothing(chief: Client) -> None:
    make_keys()
    said = text_of(chief, "/keys/now/")
    assert "0 / 300" in said
    assert "no limit" in said
    assert f"No price of {settings.ENVIRONMENT.llm_model} is known" in said
    ModelPrice.objects.create(model=settings.ENVIRONMENT.llm_model, input_price=1, output_price=2)
    ledger.forget_remembered()
    assert "No price of" not in text_of(chief, "/keys/now/")
