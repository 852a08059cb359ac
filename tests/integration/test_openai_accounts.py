"""Accounts of OpenAI-compatible servers: they need an address, and share a pool with DashScope's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from assessment import keys
from assessment.calling import Caller
from assessment.clients import Question
from assessment.clients.dashscope import DashScopeClient
from assessment.clients.openai_compatible import OpenAICompatibleClient
from assessment.key_file import UnusableKeyFile, import_keys
from assessment.limits import KeyState, Strategy, Wish
from assessment.models import Account, ApiKey, PoolPolicy
from assessment.simulator import Latency, RunningSimulator, running_simulator
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
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0), keys=("sk-cloud", "none"), keep_requests=9) as running:
        yield running


@pytest.fixture
def both(simulator: RunningSimulator) -> None:
    """A server of one's own, which is asked first, and an account of DashScope."""
    own = Account.objects.create(slug="own", provider="openai", base_url=f"{simulator.origin}/v1")
    cloud = Account.objects.create(slug="cloud", base_url=simulator.base_url)
    for priority, (account, secret) in enumerate(((own, "none"), (cloud, "sk-cloud")), 1):
        kept = encrypt(secret, key=settings.FIELD_KEY)
        ApiKey.objects.create(slug=f"of-{account}", account=account, secret_encrypted=kept, priority=priority)
    PoolPolicy.objects.create(pk=1, strategy=Strategy.PRIORITY)


def asked_of() -> list[tuple[str, bool]]:
    """Which keys a question went to, and whether each failed."""
    made = Caller(None, keys.limiter(), time.monotonic() + 10, 5.0, Wish())
    assert made.ask(QUESTION, tokens=100).text
    return [(each.key, each.failed) for each in made.made]


def states() -> dict[str, tuple[KeyState, str]]:
    keys.forget_pool()
    return {each.key_id: (each.state, each.reason) for each in keys.standings(MODEL)}


@pytest.mark.usefixtures("both")
def test_each_account_is_asked_in_its_own_protocol_at_its_own_address(simulator: RunningSimulator) -> None:
    assert asked_of() == [("of-own", False)]
    ApiKey.objects.filter(slug="of-own").update(enabled=False)
    keys._announce()
    assert asked_of() == [("of-cloud", False)]
    paths = [request.path for request in simulator.captured]
    assert paths == ["/v1/chat/completions", "/api/v1/services/aigc/multimodal-generation/generation"]
    told = [type(keys.access_of(each).client) for each in ("of-own", "of-cloud")]
    assert told == [OpenAICompatibleClient, DashScopeClient]


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        ("model_not_found", KeyState.DISABLED, f"no right to {MODEL}"),
        ("overloaded", KeyState.COOLING, "overloaded"),
        ("rate_limit", KeyState.COOLING, "rate_limited"),
    ],
)
def test_server_that_cannot_answer_leaves_the_question_to_others(
    simulator: RunningSimulator, kind: str, state: KeyState, reason: str
) -> None:
    simulator.control(kind=kind, key_ending="none")
    assert asked_of() == [("of-own", True), ("of-cloud", False)]
    assert states() == {"of-own": (state, reason), "of-cloud": (KeyState.AVAILABLE, "")}


@pytest.mark.usefixtures("both")
def test_json_mode_of_an_account_holds_from_the_next_call_on(simulator: RunningSimulator) -> None:
    asked_of()
    Account.objects.filter(slug="own").update(json_mode=False)
    keys._announce()
    asked_of()
    assert ["response_format" in request.body for request in simulator.captured] == [True, False]


@pytest.mark.usefixtures("both")
def test_clients_of_all_accounts_are_made_before_the_first_call() -> None:
    before = keys._client.cache_info().currsize
    keys.warm_up()
    assert keys._client.cache_info().currsize == before + 2


def test_database_keeps_no_openai_account_without_an_address() -> None:
    with pytest.raises(IntegrityError, match="account_openai_has_address"), transaction.atomic():
        Account.objects.create(slug="a", provider="openai")
    Account.objects.create(slug="b", provider="dashscope")
    with pytest.raises(IntegrityError, match="account_provider_known"), transaction.atomic():
        Account.objects.create(slug="c", provider="someone", base_url="http://x/v1")


def form(**fields: object) -> dict[str, object]:
    limits = dict.fromkeys(("requests_per_second", "requests_per_minute", "tokens_per_minute", "most_in_flight"), 0)
    inline = {"model_limits-TOTAL_FORMS": 0, "model_limits-INITIAL_FORMS": 0}
    return {"slug": "own", "provider": "openai", "daily_budget": 0, "enabled": "on", **limits, **inline, **fields}


def test_admin_asks_for_the_address_in_words(admin_client: Client) -> None:
    add = reverse("admin:assessment_account_add")
    page = admin_client.post(add, form())
    assert page.context["adminform"].form.errors == {
        "__all__": ["An OpenAI-compatible account needs the address of its server."]
    }
    page = admin_client.post(add, form(base_url="ftp://vllm/v1"))
    assert page.context["adminform"].form.errors == {"base_url": ["An address that begins with http:// or https://."]}
    assert admin_client.post(add, form(base_url="http://vllm:8000/v1")).status_code == 302
    account = Account.objects.get()
    assert (account.provider, account.base_url, account.json_mode) == ("openai", "http://vllm:8000/v1", False)


def test_account_with_another_address_needs_its_secrets_anew(admin_client: Client) -> None:
    account = Account.objects.create(slug="own", provider="openai", base_url="http://vllm:8000/v1")
    kept = encrypt("sk-of-vllm", key=settings.FIELD_KEY)
    ApiKey.objects.create(slug="k1", account=account, secret_encrypted=kept)
    ApiKey.objects.create(slug="k2", account=account, secret_variable="KEY_OF_VLLM")
    change = reverse("admin:assessment_account_change", args=[account.pk])
    admin_client.post(change, form(base_url="http://vllm:8000/v1", requests_per_second=3))
    assert keys.access_of("k1").secret == "sk-of-vllm"
    page = admin_client.post(change, form(base_url="http://elsewhere/v1"), follow=True)
    assert "2 keys need their secrets anew." in page.content.decode()
    assert [keys.secret_of(each) for each in ApiKey.objects.all()] == ["", ""]
    assert not keys.put_back(ApiKey, "k1")
    assert {reason for _state, reason in states().values()} == {keys.NO_SECRET}


def import_text(tmp_path: Path, account: str) -> int:
    path = tmp_path / "api_keys.yaml"
    path.write_text(f"accounts: [{{id: own, {account}}}]\nkeys: [{{id: k, account: own, api_key: none}}]\n")
    return import_keys(path)


def test_key_file_takes_the_provider_with_its_address(tmp_path: Path) -> None:
    told = "provider: openai, base_url: 'http://ollama:11434/v1', json_mode: false, max_in_flight: 4"
    assert import_text(tmp_path, told) == 1
    account = Account.objects.get()
    assert (account.provider, account.base_url) == ("openai", "http://ollama:11434/v1")
    assert (account.json_mode, account.most_in_flight) == (False, 4)
    assert keys.access_of("k").secret == "none"


@pytest.mark.parametrize(
    ("account", "complaint"),
    [
        ("provider: openai", "accounts.0: Value error, an account of the provider openai needs a base_url"),
        ("provider: someone", "accounts.0.provider: Input should be 'dashscope' or 'openai'"),
        ("provider: openai, base_url: vllm/v1", "accounts.0.base_url: String should match pattern"),
        ("base_url: 'https://user:secret@host/v1'", "accounts.0.base_url: String should match pattern"),
        ("base_url: 'http://host/v1?key=secret'", "accounts.0.base_url: String should match pattern"),
        ("json_mode: perhaps", "accounts.0.json_mode: Input should be a valid boolean"),
    ],
)
def test_key_file_names_the_mistake_and_repeats_no_secret(tmp_path: Path, account: str, complaint: str) -> None:
    with pytest.raises(UnusableKeyFile) as refused:
        import_text(tmp_path, account)
    assert complaint in str(refused.value)
    assert "secret" not in str(refused.value)
    assert not Account.objects.exists()
