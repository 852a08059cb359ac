"""Whom `manage.py analyze` asks: the accounts of the pool, whatever their provider, or the first key by itself."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as project_settings
from django.core.management import call_command
from pydantic import SecretStr
from pytest_django import Settings

from assessment.models import Account, ApiKey, Spending
from assessment.simulator import Latency, RunningSimulator, running_simulator
from tests.client_questions import question
from tests.clips import write_clip
from tests.factories import detect
from tests.fakes import FakeDetector
from trafficmon.core.clock import utc_now
from trafficmon.core.encryption import encrypt
from trafficmon.core.objects import ObjectClass
from workers.analysis import preparing, whom

pytestmark = pytest.mark.integration
in_database = pytest.mark.django_db(transaction=True)
COMPATIBLE, NATIVE = "/v1/chat/completions", "/api/v1/services/aigc/multimodal-generation/generation"
CAR_AND_PERSON = FakeDetector((detect(100, 100), detect(130, 100, ObjectClass.PERSON)))
NOBODY = redis.Redis(host="127.0.0.1", port=1)
Run = Callable[[], set[tuple[str, str]]]


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0), keys=("sk-own", "sk-cloud"), keep_requests=20) as running:
        yield running


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Analyse four seconds of a car and a person; how each question ended, and why."""

    def run_command() -> set[tuple[str, str]]:
        monkeypatch.setattr(preparing, "load_detector", lambda _configuration, **_: CAR_AND_PERSON)
        clip, folder = write_clip(tmp_path / "clip.mp4"), tmp_path / "report"
        said = io.StringIO()
        call_command("analyze", str(clip), "--out", str(folder), "--cooldown", "1", stdout=said, stderr=said)
        told: dict[str, Any] = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
        return {(each["status"], each["reason"] or "") for each in told["assessments"]}

    return run_command


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whom, "connect_redis", lambda: NOBODY)


def add_key(slug: str, account: Account, *, secret: str, **fields: object) -> ApiKey:
    return ApiKey.objects.create(
        slug=slug, account=account, secret_encrypted=encrypt(secret, key=project_settings.FIELD_KEY), **fields
    )


def own_server(simulator: RunningSimulator) -> Account:
    return Account.objects.create(slug="own", provider="openai", base_url=f"{simulator.origin}/v1")


def asked_at(simulator: RunningSimulator) -> set[tuple[str, str]]:
    """The paths that requests came by, and the secrets they came with."""
    return {(each.path, each.headers["Authorization"].removeprefix("Bearer ")) for each in simulator.captured}


@in_database
def test_compatible_account_is_asked_through_the_pool_and_paid_for(
    run: Run, simulator: RunningSimulator, redis_client: redis.Redis
) -> None:
    add_key("key-own", own_server(simulator), secret="sk-own")
    assert run() == {("done", "")}
    assert asked_at(simulator) == {(COMPATIBLE, "sk-own")}
    paid = list(Spending.objects.filter(camera=None).values_list("account", "key", "failed_calls", "calls"))
    assert {row[:3] for row in paid} == {("own", "key-own", 0)}
    assert sum(row[3] for row in paid) == len(simulator.captured) > 1


@in_database
def test_accounts_of_both_kinds_are_asked_within_their_limits(
    run: Run, simulator: RunningSimulator, redis_client: redis.Redis
) -> None:
    cloud = Account.objects.create(slug="cloud", base_url=simulator.base_url, requests_per_minute=1)
    add_key("key-cloud", cloud, secret="sk-cloud")
    add_key("key-own", own_server(simulator), secret="sk-own")
    assert run() == {("done", "")}
    assert asked_at(simulator) == {(COMPATIBLE, "sk-own"), (NATIVE, "sk-cloud")}
    assert [each.path for each in simulator.captured].count(NATIVE) == 1


@in_database
def test_key_of_the_environment_is_asked_through_the_pool_and_paid_for(
    run: Run, simulator: RunningSimulator, redis_client: redis.Redis, settings: Settings
) -> None:
    told = {"dashscope_api_key": SecretStr("sk-cloud"), "llm_base_url": simulator.base_url}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=told)
    assert run() == {("done", "")}
    assert asked_at(simulator) == {(NATIVE, "sk-cloud")}
    # Without a camera there may be several rows of a kind, where two calls ended at the same moment.
    paid = list(Spending.objects.values_list("account", "key", "calls"))
    assert {(account, key) for account, key, _calls in paid} == {("default", "default")}
    assert sum(calls for _account, _key, calls in paid) == len(simulator.captured)


def test_where_redis_answers_nobody_is_asked_without_the_pool(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whom, "_is_database_there", lambda: False)
    with pytest.raises(whom.PoolUnreachable, match=r"manage\.py migrate"):
        whom.find_ask()(question())


@in_database
def test_without_redis_the_first_usable_key_is_asked(run: Run, simulator: RunningSimulator, no_redis: None) -> None:
    cloud = Account.objects.create(slug="cloud", base_url=simulator.base_url)
    add_key("a-taken-out", cloud, secret="sk-cloud", priority=1, disabled_at=utc_now())
    add_key("b-second", cloud, secret="sk-cloud", priority=3)
    add_key("c-first", own_server(simulator), secret="sk-own", priority=2)
    assert run() == {("done", "")}
    assert asked_at(simulator) == {(COMPATIBLE, "sk-own")}


@in_database
def test_keys_that_may_not_be_used_are_no_key(run: Run, simulator: RunningSimulator, no_redis: None) -> None:
    add_key("off", own_server(simulator), secret="sk-own", enabled=False)
    assert run() == {("failed", "no_key")}
    assert asked_at(simulator) == set()


def test_analysis_needs_no_server(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=10)
    away = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"}
    command = [sys.executable, "manage.py", "analyze", str(clip), "--out", str(tmp_path / "report")]
    ended = subprocess.run(
        command,
        env=os.environ | away,
        cwd=project_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "report" / "report.html").exists()
