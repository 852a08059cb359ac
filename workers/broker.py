"""What the broker is asked: how many messages wait on its queues. Redis and RabbitMQ tell it in ways of their own."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Any

import redis
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pools import connections

from cameras.frames import connect_redis
from trafficmon.celery import app

_PATIENCE_SECONDS = 5.0


class BrokerUnreachable(Exception):
    """The broker does not answer; the message has no password in it."""


@functools.cache
def broker_errors() -> tuple[type[BaseException], ...]:
    """What the broker's client raises where the broker is away. Which broker it is, the settings say."""
    return (OperationalError, *app.connection_for_write().connection_errors)


@functools.cache
def send_errors() -> tuple[type[BaseException], ...]:
    """What keeps a message from being sent."""
    return (BrokerUnreachable, *broker_errors())


def waiting_messages(queue: str) -> int:
    """How many messages wait on `queue`, without those that workers have fetched; raises BrokerUnreachable."""
    if settings.ENVIRONMENT.broker_url.get_secret_value():
        return _ready_on(queue)
    try:
        return int(connect_redis().llen(queue))
    except redis.RedisError as error:
        raise BrokerUnreachable(type(error).__name__) from error


def _ready_on(queue: str) -> int:
    """What RabbitMQ says of a queue, over a channel of its own: asking of one that is not there ends the channel."""
    with app.connection_for_write() as unopened, connections[unopened].acquire(block=True) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_PATIENCE_SECONDS)
            return _declared(connection, queue)
        except broker_errors() as error:
            with suppress(*broker_errors()):
                connection.close()
            raise BrokerUnreachable(type(error).__name__) from error


def _declared(connection: Connection, queue: str) -> int:
    try:
        with connection.channel() as channel:
            asked: Any = channel
            return int(asked.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors:
        return 0  # nobody has sent or consumed anything yet


def is_answering() -> bool:
    """Whether the broker answers now."""
    try:
        waiting_messages(app.conf.task_default_queue)
    except BrokerUnreachable:
        return False
    return True
