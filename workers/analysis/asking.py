"""Questions asked while detection goes on: a few threads, a bounded number waiting, answers gathered by number."""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from dataclasses import dataclass, replace

import structlog

from assessment.assess import RetryPolicy
from assessment.clients import NoKey, Throttled, UnableToAssess
from assessment.evidence import Pictures
from assessment.judge import judge
from assessment.limiter import NoSlot
from assessment.risk import AssessmentStatus
from detection.detections import DetectedFrame
from workers.analysis.findings import Assessed
from workers.analysis.whom import Ask

log = structlog.get_logger()

THREADS = 8
MOST_WAITING = 32
"""So many questions hold their pictures in memory; reading waits beyond that."""
PATIENCE_SECONDS = 60.0
"""So long a question waits for accounts that may not be asked more; that uses up none of its attempts."""
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Task:
    """One question with what is shown to the model; `assessed` is pending until it is answered."""

    assessed: Assessed
    frame: DetectedFrame
    pictures: Pictures


class Asker:
    """Asks in the background. Its threads never keep the process alive: a call in flight may be abandoned."""

    def __init__(self, ask: Ask, retries: RetryPolicy, *, threads: int = THREADS) -> None:
        self._ask, self._retries = ask, retries
        self._waiting: queue.Queue[Task | None] = queue.Queue(MOST_WAITING)
        self._ended: dict[int, Assessed] = {}
        self._asked = 0
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name=f"ask-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Ask soon; waits while too many are waiting."""
        self._asked += 1
        while self._is_alive():
            try:
                self._waiting.put(task, timeout=1)
            except queue.Full:
                continue
            return

    @property
    def counts(self) -> tuple[int, int]:
        """How many were asked, and how many of those have ended."""
        return self._asked, len(self._ended)

    def wait(self, *, seconds: float) -> bool:
        """Wait until all have ended, for `seconds` at most; whether there is nothing more to wait for."""
        with self._changed:
            return self._changed.wait_for(self._is_over, seconds)

    def ended(self, number: int) -> Assessed | None:
        """What became of a question; None while it is open."""
        return self._ended.get(number)

    @property
    def failures(self) -> set[str]:
        """Reasons of the failures so far."""
        with self._changed:
            return {each.reason for each in self._ended.values() if each.status == AssessmentStatus.FAILED}

    def outcome_of(self, assessed: Assessed) -> Assessed:
        """What became of a question by now; expired when it was given up."""
        found = self._ended.get(assessed.number)
        return found or replace(assessed, status=AssessmentStatus.EXPIRED, reason=INTERRUPTED)

    def close(self) -> None:
        """Give up what waits; the threads end with the calls they are making."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for _thread in self._threads:
            self._waiting.put(None)

    def _is_alive(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _is_over(self) -> bool:
        return len(self._ended) >= self._asked or not self._is_alive()

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            ended = answer(task, self._ask, self._retries)
            with self._changed:
                self._ended[task.assessed.number] = ended
                self._changed.notify_all()


def answer(task: Task, ask: Ask, retries: RetryPolicy) -> Assessed:
    """Ask, again where that may help, until there is an answer or a failure that stays."""
    assessed, until = task.assessed, time.monotonic() + PATIENCE_SECONDS
    attempts = waits = 0
    while True:
        attempts += 1
        try:
            judgement = judge(task.frame, assessed.group_index, task.pictures, ask=ask)
        except UnableToAssess as error:
            log.info("assessment.failed", reason=error.reason, attempts=attempts, seconds=assessed.seconds)
            waits += _is_for_want_of_room(error)
            seconds = max(retries.wait(attempts, random.random()).total_seconds(), error.retry_after_seconds or 0.0)
            is_late = _is_for_want_of_room(error) and time.monotonic() + seconds > until
            if is_late or not error.retryable or attempts - waits > retries.most:
                return replace(assessed, status=AssessmentStatus.FAILED, reason=error.reason, attempts=attempts)
            time.sleep(seconds)
        else:
            return replace(assessed, status=AssessmentStatus.DONE, attempts=attempts, judgement=judgement)


def _is_for_want_of_room(error: UnableToAssess) -> bool:
    return isinstance(error, Throttled | NoSlot) and error.reason != NoKey.reason
