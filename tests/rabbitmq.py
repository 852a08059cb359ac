"""RabbitMQ for tests: the server of this machine, where there is one and no other run of the tests uses it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from kombu import Connection
from kombu.pools import connections

from workers.queues import Queue

ADDRESS = "amqp://guest:guest@127.0.0.1:5672//"


@contextmanager
def own_rabbitmq() -> Iterator[str]:
    """Its address, with all our queues empty before and gone afterwards; skips where that cannot be.

    An exclusive queue keeps other runs out as long as this one lasts.
    """
    held: Any = Connection(ADDRESS, connect_timeout=5, heartbeat=0)
    errors = (*held.connection_errors, *held.channel_errors)
    try:
        held.connect()
        held.channel().queue_declare("trafficmon-tests", exclusive=True)
    except errors as error:
        pytest.skip(f"needs a RabbitMQ on this machine that lets guest in: {type(error).__name__}")
    _forget_queues(held)
    yield ADDRESS
    _forget_queues(held)
    held.release()


def _forget_queues(held: Any) -> None:
    for queue in Queue:
        with suppress(*held.channel_errors), held.channel() as channel:
            channel.queue_delete(queue)


def break_connections(address: str) -> None:
    """Cut every connection that this process keeps to the broker, as a restart of the server would."""
    pool: Any = connections[Connection(address)]
    for kept in list(pool._resource.queue):
        opened: Any = getattr(kept, "_connection", None)
        if opened is not None:
            opened.transport.sock.shutdown(socket.SHUT_RDWR)
