"""`/metrics`: who may read it, and the figures of the whole fleet that are looked up for it."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from urllib.error import HTTPError

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from assessment import keys
from assessment.models import Account, ApiKey, Assessment, Spending
from assessment.risk import RiskLevel
from cameras.frames import FrameRef
from cameras.models import StreamState, Wanted
from tests.factories import make_camera, record, seal
from trafficmon.celery import app
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from workers import closing, figures
from workers.exporter import begin_at_zero, make_exporter
from workers.pipeline import WakeUp, frame_store
from workers.queues import Queue
from workers.tasks import send_wake_up

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CONTRACT = {
    *(
        "detection_total",
        "detection_latency_seconds",
        "detection_send_latency_seconds",
        "detected_objects_total",
        "traffic_groups_total",
    ),
    *("llm_requests_total", "llm_latency_seconds", "llm_token_usage_total", "llm_concurrent_tasks"),
    *("api_key_pool_size", "api_key_status", "api_key_success_rate", "api_key_total_calls"),
    *("api_key_cooldown_seconds", "tasks_generated_total", "tasks_processed_total", "task_queue_size"),
    *("queue_messages_sent_total", "queue_messages_received_total", "queue_send_errors_total"),
    *("queue_consumer_lag", "risk_alerts_total", "risk_types_detected_total"),
    *("active_cameras", "pipeline_errors_total", "system_info"),
}


def fleet() -> dict[str, float]:
    """The figures of the fleet, by name and labels."""
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(figures.read_fleet().decode())
        for sample in family.samples
    }


def test_metrics_have_the_names_that_dashboards_rely_on(client: Client, redis_client: redis.Redis) -> None:
    text = client.get("/metrics").content.decode()
    exposed = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert CONTRACT - set(exposed) == set()
    assert len(exposed) == len(set(exposed))


def test_parts_are_the_host_and_the_fleet(client: Client, redis_client: redis.Redis) -> None:
    host, whole = (client.get("/metrics", {"part": part}).content.decode() for part in ("host", "fleet"))
    assert ("detection_total" in host, "task_queue_size" in host) == (True, False)
    assert ("detection_total" in whole, "task_queue_size" in whole) == (False, True)


def test_metrics_are_refused_to_others_than_this_machine(client: Client) -> None:
    assert Client(REMOTE_ADDR="192.0.2.1").get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 401
    assert Client(REMOTE_ADDR="::1").get("/metrics", {"part": "host"}).status_code == 200


def test_metrics_want_the_token_where_there_is_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.ENVIRONMENT, "metrics_token", SecretStr("s3cret"))
    refused = client.get("/metrics")
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
    elsewhere = Client(REMOTE_ADDR="192.0.2.1", headers={"Authorization": "Bearer s3cret"})
    assert elsewhere.get("/metrics", {"part": "host"}).status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer other"}).status_code == 401


@pytest.fixture
def exporter() -> Iterator[str]:
    """Its address; its token is `s3cret`."""
    with make_exporter("127.0.0.1", 0, token="s3cret") as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ask(address: str, token: str) -> tuple[int, str]:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  # our own
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # our own
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, ""


def test_exporter_serves_the_host_to_whoever_has_the_token(exporter: str) -> None:
    status, text = ask(f"{exporter}/metrics", "s3cret")
    assert (status, "detection_total" in text, "task_queue_size" in text) == (200, True, False)
    assert [ask(f"{exporter}{path}", token)[0] for path, token in (("/metrics", "no"), ("/", "s3cret"))] == [401, 404]


def test_what_has_not_happened_is_shown_as_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.ENVIRONMENT, "export_mqtt_url", "mqtt://localhost")
    begin_at_zero()
    tasks = [name for name in app.tasks if not name.startswith("celery.")]
    assert "forget_old_frames" in tasks
    closed = {
        "queue_send_errors_total": ("queue", list[str](Queue)),
        "risk_alerts_total": ("risk_level", list[str](RiskLevel)),
        "pipeline_errors_total": ("stage", tasks),
    }
    for name, (label, known) in closed.items():
        assert all(REGISTRY.get_sample_value(name, {label: each}) is not None for each in known)
    dropped = {"sink": "mqtt", "outcome": "dropped"}
    assert REGISTRY.get_sample_value("export_events_total", dropped) is not None


def test_waiting_messages_and_their_age_are_looked_up(redis_client: redis.Redis) -> None:
    send_wake_up(WakeUp(Queue.RESULTS, 7))
    camera = make_camera()
    record(camera, captured_at=utc_now() - timedelta(seconds=30))
    answered = record(camera, captured_at=utc_now() - timedelta(seconds=50))
    ended = {"status": "done", "risk_level": "none", "ended_at": utc_now() - timedelta(seconds=20)}
    Assessment.objects.filter(frame_result=answered).update(**ended)
    frame_store().offer(FrameRef(camera.pk, "key", utc_now()))
    time.sleep(0.01)  # waiting is told in milliseconds
    seen = fleet()
    assert {queue: seen[f"task_queue_size queue={queue}"] for queue in Queue} == {
        **dict.fromkeys(Queue, 0.0),
        Queue.RESULTS: 1.0,
    }
    assert 29 < seen["queue_consumer_lag queue=assess"] < 45
    assert 19 < seen["queue_consumer_lag queue=results"] < 35
    assert 0 < seen["queue_consumer_lag queue=detect"] < 15
    assert (seen["queue_consumer_lag queue=assess.urgent"], seen["queue_consumer_lag queue=outbound"]) == (0.0, 0.0)


def test_keys_are_told_by_their_names(redis_client: redis.Redis) -> None:
    account = Account.objects.create(slug="acct-a")
    ApiKey.objects.create(slug="key-1", account=account, secret_encrypted=seal())
    ApiKey.objects.create(slug="key-2", account=account, secret_encrypted=seal(), enabled=False)
    keys.forget_pool()
    seen = fleet()
    assert seen["api_key_pool_size"] == 2
    assert {key: seen[f"api_key_status key_id={key}"] for key in ("key-1", "key-2")} == {"key-1": 3, "key-2": 0}
    assert (seen["api_key_success_rate key_id=key-1"], seen["api_key_cooldown_seconds key_id=key-1"]) == (1.0, 0.0)


def test_cameras_that_are_to_run_are_told_and_those_of_a_check_are_not(redis_client: redis.Redis) -> None:
    seen_at = utc_now() - timedelta(seconds=40)
    up = make_camera(name="Bridge", wanted=Wanted.RUNNING, state=StreamState.ONLINE, last_frame_at=seen_at)
    down = make_camera(wanted=Wanted.RUNNING, state=StreamState.OFFLINE, state_since=seen_at)
    make_camera()
    make_camera(name="End-to-end check 1", wanted=Wanted.RUNNING)
    seen = fleet()
    assert {name: value for name, value in seen.items() if name.startswith("camera_up")} == {
        f"camera_up camera_id={up.pk}": 1.0,
        f"camera_up camera_id={down.pk}": 0.0,
    }
    assert seen[f"camera_info camera=Bridge camera_id={up.pk}"] == 1
    assert 39 < seen[f"camera_silent_seconds camera_id={down.pk}"] < 55


def test_spending_of_today_is_told_by_account(redis_client: redis.Redis) -> None:
    day = utc_now().date()
    Spending.objects.create(day=day, account="acct-a", key="k", prompt_version="p", model="m", cost="1.5")
    assert fleet()["llm_spent_today account=acct-a"] == 1.5


def test_without_redis_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis(host="127.0.0.1", port=1)
    monkeypatch.setattr(figures, "connect_redis", lambda: away)
    monkeypatch.setattr("workers.broker.connect_redis", lambda: away)
    camera = make_camera(wanted=Wanted.RUNNING)
    seen = fleet()
    assert seen[f"camera_up camera_id={camera.pk}"] == 0
    assert not any(name.startswith(("task_queue_size", "worker_seen")) for name in seen)


def value_of(name: str, **labels: str) -> float:
    """Of this process's own registry."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_verdict_is_timed_with_and_without_the_models_own_time() -> None:
    row = record(make_camera(), captured_at=utc_now() - timedelta(seconds=3))
    ended = {"status": "done", "risk_level": "none", "ended_at": utc_now(), "llm_seconds": 2.0}
    Assessment.objects.filter(frame_result=row).update(**ended)
    names = ("verdict_latency_seconds", "verdict_overhead_seconds")
    before = [value_of(f"{name}_{part}") for name in names for part in ("count", "sum")]
    assert closing.close([row.pk]) == 1
    counted, took, also, beyond = (
        now - then
        for now, then in zip(
            [value_of(f"{name}_{part}") for name in names for part in ("count", "sum")], before, strict=True
        )
    )
    assert (counted, also) == (1.0, 1.0)
    assert took > 3
    assert beyond == pytest.approx(took - 2)


def test_verdict_that_did_not_come_is_not_timed() -> None:
    row = record(make_camera())
    Assessment.objects.filter(frame_result=row).update(status="failed", ended_at=utc_now())
    before = value_of("verdict_latency_seconds_count")
    closing.close([row.pk])
    assert value_of("verdict_latency_seconds_count") == before


def test_queries_of_the_database_are_counted() -> None:
    labels = {"alias": "default", "vendor": connection.vendor}
    before = value_of("django_db_execute_total", **labels)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert value_of("django_db_execute_total", **labels) == before + 1


def test_every_figure_has_a_name_of_its_own() -> None:
    names = [each.name for each in metrics.FIGURES]
    assert len(names) == len(set(names)) == 17
