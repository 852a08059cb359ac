"""RabbitMQ as the broker in place of Redis: messages arrive and are counted; while it is away nothing is raised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import pools
from pydantic import SecretStr

from assessment.models import Assessment, FrameResult
from cameras.frames import connect_redis
from tests.factories import make_camera, record
from tests.processes import Running, database_url, wait_until
from tests.rabbitmq import break_connections, own_rabbitmq
from trafficmon.celery import app
from trafficmon.core.ids import new_token
from workers import broker, queues
from workers.health import queues_served
from workers.pipeline import WakeUp
from workers.queues import Queue, waiting_on
from workers.runtime import celery_worker, free_port
from workers.tasks import send_wake_up

pytestmark = pytest.mark.integration


@pytest.fixture
def rabbitmq(settings: Any) -> Iterator[str]:
    with own_rabbitmq() as address:
        use_broker(settings, address)
        yield address
        pools.reset()


def use_broker(settings: Any, address: str) -> None:
    """Let this process speak to another broker than it was started with."""
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"broker_url": SecretStr(address)})
    configure(address, {"connect_timeout": 5, "max_retries": 1, "interval_start": 0})


def configure(address: str, options: dict[str, object]) -> None:
    """Make Celery forget the connections it has, and use another address from now on."""
    celery: Any = app
    pools.reset()
    celery.amqp._producer_pool = None
    celery._pool = None
    celery.conf.broker_url = celery.conf.broker_read_url = celery.conf.broker_write_url = address
    celery.conf.broker_transport_options = options


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = app.conf.broker_url, app.conf.broker_transport_options
    yield
    configure(*before)


def test_messages_wait_on_rabbitmq_and_are_counted(rabbitmq: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting_on(Queue.ASSESS) == 0
    monkeypatch.setattr(queues, "MOST_WAITING", {Queue.ASSESS: 2})
    sent = [send_wake_up(WakeUp(Queue.ASSESS, number)) for number in range(4)]
    wait_until(lambda: waiting_on(Queue.ASSESS) == 2, 60)
    assert sent[:2] == [True, True]
    assert send_wake_up(WakeUp(Queue.ASSESS, 9)) is False
    assert broker.is_answering()


def test_connections_that_broke_are_opened_anew(rabbitmq: str) -> None:
    assert send_wake_up(WakeUp(Queue.DETECT, 1))
    wait_until(lambda: waiting_on(Queue.DETECT) == 1, 60)
    break_connections(rabbitmq)
    wait_until(lambda: send_wake_up(WakeUp(Queue.DETECT, 2)), 60)
    wait_until(lambda: broker.is_answering() and waiting_on(Queue.DETECT) >= 2, 60)


def test_rabbitmq_that_is_away_is_counted_and_not_raised(settings: Any) -> None:
    use_broker(settings, f"amqp://guest:guest@127.0.0.1:{free_port()}//")
    assert not broker.is_answering()
    assert [send_wake_up(WakeUp(queue, 1)) for queue in (Queue.DETECT, Queue.ASSESS)] == [False, False]


@pytest.mark.django_db(transaction=True)
def test_worker_takes_its_work_from_rabbitmq(rabbitmq: str, tmp_path: Path, settings: Any) -> None:
    row = record(make_camera())
    Assessment.objects.filter(frame_result=row).update(status="done", risk_level="none")
    environment = {"ALGO_BROKER_URL": rabbitmq, "DATABASE_URL": database_url(), "REDIS_URL": settings.REDIS_URL}
    command = celery_worker([Queue.RESULTS], name=f"results-{new_token()[:6]}", threads=1)
    worker = Running(command, tmp_path / "worker.log", environment)
    try:
        assert send_wake_up(WakeUp(Queue.RESULTS, row.pk))
        wait_until(lambda: FrameResult.objects.get(pk=row.pk).status == "done", 400, failing=worker.said)
        wait_until(lambda: queues_served(connect_redis())[Queue.RESULTS], 200, failing=worker.said)
        assert waiting_on(Queue.RESULTS) == 0
    finally:
        worker.kill()
