"""Whether the service says that it can work: what answers, and which of its processes were seen."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import OperationalError
from django.test import Client

from cameras.ownership import Ownership
from trafficmon.api import health
from workers.health import WATCH_KEY, note_seen, processes_seen, queues_served, workers_seen
from workers.metrics import say_ready, say_seen
from workers.queues import Queue

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
CONTRACT = {"status": "UP", "service": "algo", "version": settings.VERSION}


def ask(path: str = "/health/health_check") -> tuple[int, dict[str, Any]]:
    answer = Client().get(path)
    return answer.status_code, answer.json()


def test_health_is_open_to_everyone_and_says_what_answers(redis_client: redis.Redis) -> None:
    status, flat = ask()
    assert (status, flat) == (200, {**CONTRACT, "database": "UP", "redis": "UP", "workers": flat["workers"]})
    assert ask("/api/health/health_check") == (200, {"code": 200, "msg": "OK", "data": flat})
    assert flat["workers"] == dict.fromkeys(("capture", "detection", "assessment", "results", "beat"), "DOWN")


def test_health_is_down_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "connect_redis", lambda: redis.Redis(host="127.0.0.1", port=1))
    status, flat = ask()
    assert (status, flat["status"], flat["database"], flat["redis"], flat["workers"]) == (
        503,
        "DOWN",
        "UP",
        "DOWN",
        None,
    )
    told = ask("/api/health/health_check")
    assert told == (503, {"code": 503, "msg": "The database or Redis does not answer.", "data": flat})


def test_health_is_down_without_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("secret detail")

    monkeypatch.setattr(health, "connection", SimpleNamespace(cursor=fail))
    status, flat = ask()
    assert (status, flat["status"], flat["database"], flat["redis"]) == (503, "DOWN", "DOWN", "UP")
    assert "secret detail" not in str(flat)


def worker_of(*queues: Queue) -> Any:
    """What Celery's signals of a worker of these queues are sent with."""
    app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=dict.fromkeys(queues))))
    told = {"app": app, "hostname": "worker@here"}
    return SimpleNamespace(**told, eventer=SimpleNamespace(**told))


@pytest.fixture(autouse=True)
def not_ready_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.metrics._READY", threading.Event())


def test_worker_is_seen_from_when_it_takes_messages_until_it_stops(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, stopping = worker_of(Queue.DETECT), threading.Event()
    monkeypatch.setattr("workers.metrics.STOPPING", stopping)
    say_seen(worker)
    assert not queues_served(redis_client)[Queue.DETECT]
    say_ready(worker)
    assert [queue for queue, is_served in queues_served(redis_client).items() if is_served] == [Queue.DETECT]
    stopping.set()
    say_seen(worker)
    assert workers_seen(redis_client) == []


def test_worker_that_was_there_before_is_not_taken_for_the_one_after_it(redis_client: redis.Redis) -> None:
    now = redis_client.time()[0]
    note_seen(redis_client, [Queue.DETECT], node="detection-1@here")
    assert [each.node for each in workers_seen(redis_client, after=now - 1)] == ["detection-1@here"]
    assert workers_seen(redis_client, after=now + 5) == []


def test_processes_are_seen_by_what_they_keep_saying(redis_client: redis.Redis) -> None:
    say_ready(worker_of(Queue.DETECT, Queue.ASSESS))
    assert [name for name, seen in processes_seen(redis_client).items() if seen] == ["detection"]
    say_seen(worker_of(Queue.ASSESS_URGENT, Queue.RESULTS))
    redis_client.set(WATCH_KEY, 1)
    capturing = Ownership(redis_client, most=5)
    capturing.keep([])
    assert set(processes_seen(redis_client).values()) == {True}
    capturing.leave()
    assert not processes_seen(redis_client)["capture"]


def test_worker_goes_on_where_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.metrics.connect_redis", lambda: redis.Redis(host="127.0.0.1", port=1))
    say_ready(worker_of(Queue.DETECT))
    say_seen(worker_of(Queue.DETECT))


def test_live_asks_nobody(django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "connect_redis", lambda: redis.Redis(host="127.0.0.1", port=1))
    with django_assert_num_queries(0):
        assert ask("/health/live") == (200, CONTRACT)


def test_ready_says_which_of_its_servers_answer(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("/health/ready") == (200, {"status": "UP", "database": "UP", "redis": "UP", "broker": "UP"})
    monkeypatch.setattr(health, "is_broker_answering", lambda: False)
    assert ask("/health/ready") == (503, {"status": "DOWN", "database": "UP", "redis": "UP", "broker": "DOWN"})


def test_fleet_is_up_once_every_process_was_seen_and_every_queue_is_served(redis_client: redis.Redis) -> None:
    say_ready(worker_of(*(queue for queue in Queue if queue is not Queue.EXPORTS)))
    redis_client.set(WATCH_KEY, 1)
    capturing = Ownership(redis_client, most=5)
    capturing.keep([])
    status, told = ask("/health/fleet")
    assert (status, told["status"], told["queues"]["exports"]) == (503, "DOWN", {"status": "DOWN", "waiting": 0})
    redis_client.lpush("detect", "a message", "another")
    say_ready(worker_of(Queue.EXPORTS))
    status, told = ask("/health/fleet")
    assert (status, told["status"], told["queues"]["detect"]) == (200, "UP", {"status": "UP", "waiting": 2})
    capturing.leave()
    assert ask("/health/fleet")[0] == 503


def test_fleet_is_down_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "connect_redis", lambda: redis.Redis(host="127.0.0.1", port=1))
    assert ask("/health/fleet") == (503, {"status": "DOWN", "workers": None, "queues": None})
