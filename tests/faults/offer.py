"""Questions at a steady rate, whatever happens to the servers meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, connection

from cameras.models import Camera
from tests.load.questions import ask

TICK_SECONDS = 0.5


@contextmanager
def offering(cameras: Sequence[Camera], *, per_second: float) -> Iterator[None]:
    """A thread asks about the cameras for as long as this lasts; while the database is away, nobody asks."""
    stop = threading.Event()
    thread = threading.Thread(target=_offer, args=(list(cameras), round(per_second * TICK_SECONDS), stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _offer(cameras: list[Camera], each_tick: int, stop: threading.Event) -> None:
    next_at = time.monotonic()
    while not stop.wait(max(0.0, next_at - time.monotonic())):
        # What could not be asked in time is not made up for: cameras do not either.
        next_at = max(next_at + TICK_SECONDS, time.monotonic())
        try:
            ask(cameras, each_tick)
        except (OperationalError, InterfaceError):
            connection.close()
    connection.close()
