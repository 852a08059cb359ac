"""Breaks off what has been silent for too long.

PyAV can time out by itself, but then asks Python at each small read, for which all threads wait for each other: with a
hundred cameras in a process that alone took half a core (see docs/decisions/0009-capture.md).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from trafficmon.core import metrics

log = structlog.get_logger()

_LOOK_SECONDS = 0.2


@dataclass(eq=False, slots=True)
class Watched:
    """Something that is broken off unless it says in time that it is alive."""

    patience_seconds: float
    break_off: Callable[[], None]
    heard_at: float = field(default_factory=time.monotonic)
    is_broken: bool = False

    def alive(self) -> None:
        """Something was heard: the time begins anew."""
        self.heard_at = time.monotonic()

    def rest(self) -> None:
        """Nobody listens for a while: no time passes until it is alive again."""
        self.heard_at = math.inf

    def is_silent(self) -> bool:
        """Whether nothing was heard for too long, broken off or not yet."""
        return self.is_broken or time.monotonic() - self.heard_at > self.patience_seconds


class Watchdog:
    """One thread for all streams of a process; it ends when nothing is watched any more."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, patience_seconds: float, break_off: Callable[[], None]) -> Watched:
        """Call `break_off` once, from another thread, when nothing is heard for so long; until `forget`."""
        watched = Watched(patience_seconds, break_off)
        with self._turn:
            self._watched.add(watched)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
        return watched

    def forget(self, watched: Watched) -> None:
        """Watch it no longer, and `is_broken` stays as it is; a second time does nothing."""
        with self._turn:
            self._watched.discard(watched)

    def _run(self) -> None:
        while self._look(time.monotonic()):
            time.sleep(_LOOK_SECONDS)

    def _look(self, now: float) -> bool:
        """Break off what is overdue; whether there is anything left to watch."""
        with self._turn:
            overdue = [each for each in self._watched if now - each.heard_at > each.patience_seconds]
            self._watched.difference_update(overdue)
            for each in overdue:
                each.is_broken = True
            if not self._watched and not overdue:
                self._thread = None
                return False
        for each in overdue:
            _break_off(each)
        return True


def _break_off(watched: Watched) -> None:
    try:
        watched.break_off()
    except Exception:  # the outermost loop of this thread, which all streams have in common
        log.exception("watchdog.broke")
        metrics.pipeline_errors.labels("capture").inc()


WATCHDOG = Watchdog()
