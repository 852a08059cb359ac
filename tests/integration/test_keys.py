"""Accounts and keys as the pool sees them: what may be used, what refusals do to them, and that no secret leaks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pydantic import SecretStr
from pytest_django import DjangoAssertNumQueries, Settings

from assessment import keys, ledger
from assessment.calling import Caller, OutOfTime
from assessment.clients import (
    ContentBlocked,
    EmptyResponse,
    ModelTimedOut,
    NoKey,
    ProviderFailed,
    ProviderUnreachable,
    Question,
    Scope,
)
from assessment.key_record import KeyRecord, records_of
from assessment.limiter import Limiter, LimiterUnreachable, NoSlot
from assessment.limits import KeyStanding, KeyState, Limits, Slot, Strategy, Wish
from assessment.models import Account, ApiKey, CameraRoute, ModelLimit, PoolPolicy, Spending
from assessment.simulator import FaultKind, Latency, RunningSimulator, running_simulator
from tests.factories import NOON, make_camera
from trafficmon.core.encryption import encrypt

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
MODEL = "qwen-vl-plus"
QUESTION = Question(MODEL, "Answer in JSON.", 'Say {"ok": true} as JSON.', (), "test")


@pytest.fixture(autouse=True)
def empty_pool(redis_client: redis.Redis) -> Iterator[None]:
    keys.forget_pool()
    yield
    keys.forget_pool()


@pytest.fixture
def simulator(settings: Settings) -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0)) as running:
        settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"llm_base_url": running.base_url})
        yield running


def make_key(slug: str, *, secret: str = "", account: Account | None = None, **fields: object) -> ApiKey:
    from django.conf import settings

    kept = {"secret_encrypted": encrypt(secret or f"sk-secret-of-{slug}", key=settings.FIELD_KEY)}
    owner = account or Account.objects.get_or_create(slug=f"of-{slug}")[0]
    return ApiKey.objects.create(**{"slug": slug, "account": owner, **kept, **fields})


def usable() -> list[str]:
    keys.forget_pool()
    return [each.id for each in keys.load_pool(MODEL).keys]


def caller(*, seconds: float = 10, pin: Wish | None = None) -> Caller:
    return Caller(None, keys.limiter(), time.monotonic() + seconds, 5.0, pin or Wish())


def ask(made: Caller) -> str:
    answer = made.ask(QUESTION, tokens=100)
    return answer.text


def committed() -> None:
    """What is told after the commit, which these tests' transaction never has."""
    keys._announce()


def test_pool_is_what_may_be_used() -> None:
    account = Account.objects.create(slug="a", requests_per_second=10)
    ModelLimit.objects.create(account=account, model=MODEL, requests_per_second=3, requests_per_minute=60)
    make_key("good", account=account, priority=2, weight=5, requests_per_minute=7)
    make_key("off", account=account, enabled=False)
    make_key("out", account=account, disabled_at=NOON, disabled_reason="revoked")
    make_key("refused", account=account, refused_models=[MODEL])
    make_key("lonely", account=Account.objects.create(slug="b", enabled=False))
    PoolPolicy.objects.create(pk=1, strategy=Strategy.WEIGHTED, max_retry_per_key=5)
    pool = keys.load_pool(MODEL)
    assert [(each.id, each.limits) for each in pool.accounts] == [("a", Limits(3, 60))]
    [key] = pool.keys
    assert (key.id, key.priority, key.weight, key.limits) == ("good", 2, 5, Limits(1, 7))
    assert (pool.strategy, pool.failures_before_cooldown) == (Strategy.WEIGHTED, 5)
    assert [each.id for each in keys.load_pool("another-model").accounts] == ["a"]


def test_single_key_of_the_environment_serves_where_there_is_no_other(settings: Settings) -> None:
    told = {"dashscope_api_key": SecretStr("sk-only")}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=told)
    assert usable() == ["default"]
    assert keys.access_of("default").secret == "sk-only"
    make_key("first")
    assert usable() == ["first"]


def test_secret_comes_from_the_environment_or_is_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_TESTS", "sk-from-environment")
    make_key("stored", secret="sk-stored-secret")
    named = make_key("named", secret_encrypted="", secret_variable="KEY_OF_TESTS")
    assert [keys.access_of(each).secret for each in ("stored", "named")] == ["sk-stored-secret", "sk-from-environment"]
    assert [keys.masked(each) for each in ApiKey.objects.order_by("slug")] == ["${KEY_OF_TESTS}", "…cret"]
    monkeypatch.delenv("KEY_OF_TESTS")
    keys.forget_pool()
    with pytest.raises(NoKey, match="named"):
        keys.access_of(named.slug)
    assert "sk-stored" not in repr(keys.access_of("stored"))


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        (FaultKind.REVOKED, KeyState.DISABLED, "Invalid API-key provided."),
        (FaultKind.ARREARAGE, KeyState.DISABLED, "Access denied, please make sure your account is in good standing."),
        (FaultKind.QUOTA_USED_UP, KeyState.DISABLED, "Free allocated quota exceeded."),
        (FaultKind.FORBIDDEN, KeyState.DISABLED, f"no right to {MODEL}"),
        (FaultKind.RATE_LIMIT, KeyState.COOLING, "rate_limited"),
        (FaultKind.BURST_LIMIT, KeyState.COOLING, "burst_limited"),
        (FaultKind.TOKEN_LIMIT, KeyState.COOLING, "token_limited"),
    ],
)
def test_refused_key_is_left_for_another_at_once(
    simulator: RunningSimulator, fault: FaultKind, state: KeyState, reason: str
) -> None:
    make_key("bad", priority=1)
    make_key("good", priority=2)
    PoolPolicy.objects.create(pk=1, strategy=Strategy.PRIORITY)
    simulator.control(kind=fault.value, key_ending="of-bad")
    made = caller()
    ask(made)
    assert [(each.key, each.failed) for each in made.made] == [("bad", True), ("good", False)]
    keys.forget_pool()
    standings = {each.key_id: each for each in keys.standings(MODEL)}
    assert (standings["bad"].state, standings["bad"].reason) == (state, reason)
    assert standings["good"].state == KeyState.AVAILABLE


@pytest.mark.parametrize("fault", [FaultKind.BLOCKED, FaultKind.BAD_REQUEST, FaultKind.EMPTY])
def test_failure_of_the_question_leaves_the_key_alone(simulator: RunningSimulator, fault: FaultKind) -> None:
    make_key("k")
    simulator.control(kind=fault.value, count=1)
    with pytest.raises(Exception, match=r".") as failed:
        ask(caller())
    assert isinstance(failed.value, ContentBlocked) == (fault == FaultKind.BLOCKED)
    assert [each.state for each in keys.standings(MODEL)] == [KeyState.AVAILABLE]


def test_overloaded_model_pauses_everywhere(simulator: RunningSimulator) -> None:
    make_key("k1")
    make_key("k2")
    simulator.control(kind="overloaded", count=1)
    with pytest.raises(Exception, match="busy"):
        ask(caller())
    assert [each.state for each in keys.standings(MODEL)] == [KeyState.COOLING] * 2
    with pytest.raises(NoSlot, match="cooling"):
        ask(caller(seconds=2))
    assert simulator.stats()["requests"] == 1


@pytest.mark.parametrize(
    ("fault", "seconds"), [(FaultKind.ERROR, 60.0), (FaultKind.DROP, 10.0), (FaultKind.HANG, 10.0)]
)
def test_key_that_fails_again_and_again_cools_but_briefly_while_nobody_answers(
    simulator: RunningSimulator, fault: FaultKind, seconds: float
) -> None:
    make_key("k")
    simulator.control(kind=fault.value, count=3)
    expected = {FaultKind.ERROR: ProviderFailed, FaultKind.DROP: ProviderUnreachable, FaultKind.HANG: ModelTimedOut}
    for _ in range(3):
        with pytest.raises(expected[fault]):
            ask(caller(seconds=3))
    [standing] = keys.standings(MODEL)
    assert standing.state == KeyState.COOLING
    assert standing.until_seconds == pytest.approx(seconds, rel=0.15)


@pytest.mark.parametrize(
    ("fault", "state"), [(FaultKind.ERROR, KeyState.COOLING), (FaultKind.EMPTY, KeyState.AVAILABLE)]
)
def test_probe_that_fails_cools_at_once_but_where_only_the_question_failed(
    simulator: RunningSimulator, redis_client: redis.Redis, fault: FaultKind, state: KeyState
) -> None:
    make_key("k")
    simulator.control(kind="rate_limit", count=1)
    with pytest.raises(NoSlot):
        ask(caller(seconds=10))
    end_cooldowns(redis_client)
    simulator.control(kind=fault.value, count=1)
    with pytest.raises((ProviderFailed, EmptyResponse)):
        ask(caller(seconds=10))
    assert (standing().state, standing().until_seconds > 0) == (state, state is KeyState.COOLING)


def end_cooldowns(redis_client: redis.Redis) -> None:
    """Let them be half open, as they are when their time has passed."""
    place = f"{{llm}}:cooldowns:{MODEL}"
    for bucket, cooldown in redis_client.hgetall(place).items():
        redis_client.hset(place, bucket, json.dumps({**json.loads(cooldown), "ends": 1}))


@pytest.mark.parametrize(
    ("fault", "tokens"),
    [
        (FaultKind.BAD_REQUEST, 0),
        (FaultKind.BLOCKED, 0),
        (FaultKind.ERROR, 0),
        (FaultKind.HANG, 100),
        (FaultKind.DROP, 100),
        (FaultKind.OK_WITHOUT_OUTPUT, 0),
    ],
)
def test_refusal_costs_no_tokens_and_what_nobody_knows_the_estimate(
    simulator: RunningSimulator, fault: FaultKind, tokens: int
) -> None:
    make_key("k", tokens_per_minute=1000)
    simulator.control(kind=fault.value, count=1)
    with pytest.raises(Exception, match=r"."):
        ask(caller(seconds=3))
    assert standing().tokens_minute == tokens


@pytest.mark.parametrize("fault", [FaultKind.RATE_LIMIT, FaultKind.BAD_REQUEST, FaultKind.ERROR, FaultKind.HANG])
def test_every_call_that_failed_counts_as_such(simulator: RunningSimulator, fault: FaultKind) -> None:
    make_key("k")
    ask(caller())
    simulator.control(kind=fault.value, count=1)
    with pytest.raises(Exception, match=r"."):
        ask(caller(seconds=3))
    assert records_of(["k"]) == [KeyRecord(succeeded=1, failed=1)]


@pytest.mark.parametrize("fault", [FaultKind.REVOKED, FaultKind.ARREARAGE])
def test_key_that_somebody_else_took_out_meanwhile_does_not_cool(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, fault: FaultKind
) -> None:
    make_key("k")
    simulator.control(kind=fault.value)
    take_out_key, take_out_account = keys.take_out_key, keys.take_out_account

    def take_out_first(key_id: str, reason: str, *, now: datetime) -> bool:
        ApiKey.objects.update(disabled_at=NOON, disabled_reason=reason)
        return take_out_key(key_id, reason, now=now)

    def take_out_account_first(account_id: str, reason: str, *, now: datetime) -> bool:
        Account.objects.update(disabled_at=NOON, disabled_reason=reason)
        return take_out_account(account_id, reason, now=now)

    monkeypatch.setattr(keys, "take_out_key", take_out_first)
    monkeypatch.setattr(keys, "take_out_account", take_out_account_first)
    with pytest.raises(NoSlot, match="no_key"):
        ask(caller(seconds=3))
    assert simulator.stats()["requests"] == 1
    assert keys.put_back(ApiKey, "k") or keys.put_back(Account, "of-k")
    assert standing().state is KeyState.AVAILABLE


@pytest.mark.parametrize(("kind", "slug", "scope"), [(ApiKey, "k", Scope.KEY), (Account, "of-k", Scope.ACCOUNT)])
def test_what_is_put_back_has_cooled_enough(
    kind: type[ApiKey | Account], slug: str, scope: Scope, settings: Settings
) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"llm_cheaper_model": "cheaper"})
    make_key("k")
    for model in (MODEL, "cheaper"):
        pool = keys.load_pool(model)
        slot = keys.limiter().reserve(pool, Wish(1), patience_seconds=5, lease_seconds=5)
        keys.limiter().cool(pool, scope, slot, reason="revoked")
    assert keys.put_back(kind, slug)
    assert not keys.put_back(kind, slug)
    assert [each.state for model in (MODEL, "cheaper") for each in keys.standings(model)] == [KeyState.IN_USE] * 2


def test_put_back_needs_no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_words: object) -> bool:
        raise LimiterUnreachable("gone")

    make_key("k", disabled_at=NOON, disabled_reason="revoked")
    monkeypatch.setattr(Limiter, "lift", away)
    assert keys.put_back(ApiKey, "k")


class SlowLimiter(Limiter):
    """Whose replies to `begin` come late so many times."""

    def __init__(self, client: redis.Redis, late: int) -> None:
        super().__init__(client)
        self.late, self.begun = late, 0

    def begin(self, slot: Slot) -> float:
        wait = super().begin(slot)
        self.begun += 1
        time.sleep(0.05 if self.begun <= self.late else 0)
        return wait


@pytest.mark.parametrize(("late", "begun"), [(0, 1), (1, 2), (9, 3)])
def test_slot_whose_beginning_is_learnt_of_too_late_begins_once_more(
    simulator: RunningSimulator, redis_client: redis.Redis, late: int, begun: int
) -> None:
    make_key("k", requests_per_minute=600)
    keys.load_pool(MODEL)
    limiter = SlowLimiter(redis_client, late)
    made = Caller(None, limiter, time.monotonic() + 10, 5.0, Wish())
    ask(made)
    assert (limiter.begun, simulator.stats()["requests"], standing().used_minute) == (begun, 1, 1)


def test_change_holds_from_the_next_call_on(simulator: RunningSimulator) -> None:
    make_key("k1")
    ask(caller())
    make_key("k2")
    ApiKey.objects.filter(slug="k1").update(enabled=False)
    committed()
    made = caller()
    ask(made)
    assert [each.key for each in made.made] == ["k2"]


def test_other_process_learns_of_a_change_from_redis(simulator: RunningSimulator) -> None:
    make_key("k1")
    ask(caller())
    ApiKey.objects.filter(slug="k1").update(slug="k1-renamed")
    keys.limiter().publish_version("of another process")
    made = caller()
    ask(made)
    assert [each.key for each in made.made] == ["k1-renamed"]


def test_emptied_redis_costs_a_second_and_no_call(simulator: RunningSimulator, redis_client: redis.Redis) -> None:
    make_key("k1")
    ask(caller())
    redis_client.flushdb()
    began = time.monotonic()
    ask(caller())
    assert 1.0 <= time.monotonic() - began < 8


def test_camera_is_pinned_to_an_account_or_key() -> None:
    one, other = make_key("k1"), make_key("k2")
    CameraRoute.objects.create(camera=make_camera(), key=one)
    CameraRoute.objects.create(camera=make_camera(), account=other.account)
    pins = [keys.pin_of(each.camera_id) for each in CameraRoute.objects.order_by("pk")]
    assert pins == [Wish(only_key="k1"), Wish(only_account="of-k2")]
    assert keys.pin_of(0, last_account="of-k1") == Wish(not_accounts=frozenset({"of-k1"}))


def test_call_that_would_come_too_late_is_not_made(simulator: RunningSimulator) -> None:
    make_key("k")
    with pytest.raises(OutOfTime):
        ask(caller(seconds=0.5))
    assert simulator.stats()["requests"] == 0


@pytest.mark.parametrize(
    "lost", [{"secret_encrypted": "of another ALGO_FIELD_KEY"}, {"secret_encrypted": "", "secret_variable": "NOWHERE"}]
)
def test_key_whose_secret_cannot_be_read_is_left_out_and_says_so(lost: dict[str, Any]) -> None:
    make_key("lost", **lost)
    make_key("sound")
    assert usable() == ["sound"]
    standings = {each.key_id: (each.state, each.reason) for each in keys.standings(MODEL)}
    assert standings == {
        "lost": (KeyState.DISABLED, "its secret cannot be read: enter it again, or set its environment variable"),
        "sound": (KeyState.AVAILABLE, ""),
    }


def test_secrets_are_decrypted_once_for_as_long_as_the_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    make_key("k1")
    decrypted: list[str] = []

    def decrypt(token: str, *, key: str) -> str:
        decrypted.append(token)
        return "sk-plain"

    monkeypatch.setattr(keys, "decrypt", decrypt)
    assert [keys.access_of("k1").secret for _ in range(3)] == ["sk-plain"] * 3
    assert len(decrypted) == 1


def test_taken_out_and_put_back() -> None:
    make_key("k1")
    assert keys.take_out_key("k1", "by hand", now=NOON)
    assert not keys.take_out_key("k1", "again", now=NOON)
    assert usable() == []
    assert keys.put_back(ApiKey, "k1")
    assert not keys.put_back(ApiKey, "k1")
    assert usable() == ["k1"]
    assert keys.take_out_account("of-k1", "unpaid", now=NOON)
    assert usable() == []


def test_put_back_it_is_switched_on_and_asked_for_every_model() -> None:
    make_key("k1", enabled=False, account=Account.objects.create(slug="a", enabled=False))
    make_key("k2", refused_models=[MODEL], account=Account.objects.get())
    assert keys.put_back(Account, "a")
    assert usable() == []
    assert [keys.put_back(ApiKey, each) for each in ("k1", "k2", "k2")] == [True, True, False]
    assert usable() == ["k1", "k2"]


def run(*words: str) -> str:
    output = StringIO()
    call_command("keys", *words, stdout=output)
    return output.getvalue()


def test_command_verifies_each_key_with_one_call(simulator: RunningSimulator) -> None:
    make_key("bad")
    make_key("good")
    make_key("off", enabled=False)
    simulator.control(kind="revoked", key_ending="of-bad")
    output = StringIO()
    with pytest.raises(CommandError, match=r"^These keys cannot be used: bad\.$"):
        call_command("keys", "verify", stdout=output)
    said = [line.split()[:4] for line in output.getvalue().splitlines()[-3:]]
    assert [(line[0], line[3]) for line in said] == [("bad", "failed"), ("good", "works"), ("off", "not")]
    assert simulator.stats()["requests"] == 2
    spent = Spending.objects.order_by("key").values_list("key", "calls", "failed_calls")
    assert list(spent) == [("bad", 1, 1), ("good", 1, 0)]
    assert "sk-secret" not in output.getvalue()
    keys.forget_pool()
    assert "revoked" not in run("verify", "good")


def test_command_tells_where_keys_stand_and_moves_them() -> None:
    make_key("k1")
    assert "AVAILABLE" in run("status")
    assert run("disable", "k1") == "k1: taken out.\n"
    keys.forget_pool()
    assert "DISABLED" in run("status")
    with pytest.raises(CommandError, match="Nothing was taken out: k1"):
        run("disable", "k1")
    assert run("enable", "k1") == "k1: put back.\n"


@pytest.mark.parametrize("count", [1, 3])
def test_admin_lists_keys_without_their_secrets(
    admin_client: Client, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    for number in range(count):
        make_key(f"k{number}", secret=f"sk-very-secret-{number}")
    for remembered in (keys._book, ledger._today):
        monkeypatch.setattr(remembered, "_seconds", 3600)
        remembered.forget()
    keys.load_pool(MODEL)
    with django_assert_num_queries(5):
        page = admin_client.get(reverse("admin:assessment_apikey_changelist"))
    shown = page.content.decode()
    assert page.context["cl"].result_count == count
    assert "sk-very" not in shown
    assert "AVAILABLE" in shown


def test_admin_takes_a_secret_and_never_shows_it_again(admin_client: Client) -> None:
    account = Account.objects.create(slug="a")
    fields = {"slug": "k1", "account": account.pk, "priority": 1, "weight": 1, "enabled": "on", "refused_models": "[]"}
    fields |= dict.fromkeys(("requests_per_second", "requests_per_minute", "tokens_per_minute", "most_in_flight"), 0)
    add = reverse("admin:assessment_apikey_add")
    assert admin_client.post(add, fields).context["adminform"].form.errors["secret"] == ["A key needs its secret."]
    assert admin_client.post(add, {**fields, "secret": "sk-typed-by-hand"}).status_code == 302
    key = ApiKey.objects.get()
    assert keys.secret_of(key) == "sk-typed-by-hand"
    change = reverse("admin:assessment_apikey_change", args=[key.pk])
    assert "sk-typed" not in admin_client.get(change).content.decode()
    assert admin_client.post(change, {**fields, "weight": 3}).status_code == 302
    key.refresh_from_db()
    assert (key.weight, keys.secret_of(key)) == (3, "sk-typed-by-hand")
    assert "sk-typed" not in key.secret_encrypted
    keys.take_out_key("k1", "revoked", now=NOON)
    admin_client.post(change, fields)
    assert ApiKey.objects.get().disabled_reason == "revoked"
    refused = {**fields, "refused_models": f'["{MODEL}"]'}
    admin_client.post(change, refused)
    admin_client.post(change, {**refused, "secret": "${NAME}"})
    key.refresh_from_db()
    assert (key.secret_variable, key.secret_encrypted) == ("NAME", "")
    assert (key.disabled_reason, key.disabled_at, key.refused_models) == ("", None, [])


def key_form(key: ApiKey, **told: object) -> dict[str, object]:
    fields = {"slug": key.slug, "account": key.account_id, "priority": 1, "weight": 1, "enabled": "on"}
    limits = dict.fromkeys(("requests_per_second", "requests_per_minute", "tokens_per_minute", "most_in_flight"), 0)
    return {**fields, **limits, "refused_models": "[]", **told}


def secret_errors(admin_client: Client, key: ApiKey, **told: object) -> list[str]:
    page = admin_client.post(reverse("admin:assessment_apikey_change", args=[key.pk]), key_form(key, **told))
    return [] if page.status_code == 302 else page.context["adminform"].form.errors["secret"]


@pytest.mark.django_db(transaction=True)
def test_new_secret_has_cooled_for_nothing(admin_client: Client) -> None:
    key = make_key("k")
    pool = keys.load_pool(MODEL)
    slot = keys.limiter().reserve(pool, Wish(1), patience_seconds=5, lease_seconds=5)
    keys.limiter().cool(pool, Scope.KEY, slot, reason="revoked")
    assert secret_errors(admin_client, key) == []
    assert standing().state is KeyState.COOLING
    assert secret_errors(admin_client, key, secret="sk-new") == []
    assert standing().state is KeyState.IN_USE


@pytest.mark.parametrize("name", ["ALGO_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "OTEL_X", "DJANGO_X", "database_url"])
def test_setting_of_the_service_is_nobodys_key(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "of the service")
    key = make_key("k")
    told = "This variable is a setting of the service: give the key one of its own."
    assert secret_errors(admin_client, key, secret=f"${{{name}}}") == [told]
    ApiKey.objects.update(secret_encrypted="", secret_variable=name)
    assert keys.secret_of(ApiKey.objects.get()) == ""


def test_key_that_moves_to_an_account_with_another_address_needs_its_secret_anew(admin_client: Client) -> None:
    key = make_key("k")
    near, far = (Account.objects.create(slug=f"a{url}", base_url=url) for url in ("", "https://far/v1"))
    assert secret_errors(admin_client, key, account=near.pk) == []
    told = "The other account has another address: enter the secret anew."
    assert secret_errors(admin_client, key, account=far.pk) == [told]
    assert ApiKey.objects.get().account == near
    assert secret_errors(admin_client, key, account=far.pk, secret="sk-of-far") == []
    assert ApiKey.objects.get().account == far


@pytest.mark.parametrize("fault", [FaultKind.REVOKED, FaultKind.ARREARAGE, FaultKind.FORBIDDEN])
def test_only_key_of_the_environment_is_not_asked_again_and_again(
    simulator: RunningSimulator, settings: Settings, fault: FaultKind
) -> None:
    told = {"dashscope_api_key": SecretStr("sk-only")}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=told)
    simulator.control(kind=fault.value)
    with pytest.raises(NoSlot):
        ask(caller(seconds=6))
    assert simulator.stats()["requests"] == 1
    assert [each.state for each in keys.standings(MODEL)] == [KeyState.COOLING]


def test_slot_lost_to_a_change_of_keys_is_replaced_at_once(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key("k1")
    begin, changes = Limiter.begin, iter([True])

    def change_first(self: Limiter, slot: Slot) -> float:
        if next(changes, False):
            self.publish_version("changed meanwhile")
        return begin(self, slot)

    monkeypatch.setattr(Limiter, "begin", change_first)
    made = caller()
    ask(made)
    assert [(each.key, each.failed) for each in made.made] == [("k1", False)]


def test_pool_is_made_once_for_as_long_as_nothing_changes() -> None:
    make_key("k1")
    assert keys.load_pool(MODEL) is keys.load_pool(MODEL)
    before = keys.load_pool(MODEL)
    make_key("k2")
    keys.forget_pool()
    assert keys.load_pool(MODEL) != before


def test_slot_reserved_ahead_is_used_by_the_next_question(simulator: RunningSimulator) -> None:
    make_key("only", account=Account.objects.create(slug="a", requests_per_second=2))
    made = caller()
    made.reserve(MODEL, tokens=50)
    assert standing().in_flight == 1
    ask(made)
    made.give_back()
    assert (standing().in_flight, standing().used_second, simulator.stats()["requests"]) == (0, 1, 1)


def test_slot_of_a_question_that_came_to_nothing_is_given_back(simulator: RunningSimulator) -> None:
    make_key("only", account=Account.objects.create(slug="a", requests_per_second=2))
    made = caller()
    made.reserve(MODEL, tokens=50)
    made.give_back()
    assert (standing().in_flight, standing().used_second, simulator.stats()["requests"]) == (0, 0, 0)


def standing() -> KeyStanding:
    [found] = keys.standings(MODEL)
    return found


def test_slot_that_moves_beyond_the_time_left_is_given_back(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key("only")
    monkeypatch.setattr(Limiter, "begin", lambda _limiter, _slot: 61.0)
    made = caller(seconds=10)
    began = time.monotonic()
    with pytest.raises(OutOfTime):
        ask(made)
    assert time.monotonic() - began < 9
    assert (made.made, standing().in_flight, simulator.stats()["requests"]) == ([], 0, 0)


def test_request_that_never_left_is_no_call_and_cools_longer_each_time(settings: Settings) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"llm_base_url": "http://127.0.0.1:1/api/v1"})
    make_key("only", account=Account.objects.create(slug="a", requests_per_second=2))
    PoolPolicy.objects.create(pk=1, max_retry_per_key=1)
    made = caller()
    with pytest.raises(ProviderUnreachable):
        ask(made)
    assert (made.made, standing().used_second, standing().in_flight) == ([], 0, 0)
    assert (standing().state, standing().streak) == (KeyState.COOLING, 1)
    assert records_of(["only"]) == [KeyRecord(failed=1)]


def test_answer_without_words_is_paid_for_all_the_same(simulator: RunningSimulator) -> None:
    make_key("only")
    simulator.control(kind="empty", count=1)
    made = caller()
    with pytest.raises(EmptyResponse):
        ask(made)
    [call] = made.made
    assert call.failed
    assert call.input_tokens > 0
