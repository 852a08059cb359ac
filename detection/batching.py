"""Pictures that several threads ask about at the same time, detected together: a GPU hardly takes longer for many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from detection.detections import Detection
from detection.detector import Detector, DetectorOutOfMemoryError, Picture
from trafficmon.core import metrics

log = structlog.get_logger()

Found = tuple[tuple[Detection, ...], ...]
"""What was found in each of several pictures, in their order."""

GROW_SECONDS = 60.0
"""After so long without running out of memory, one picture more is tried at once."""


class BatchingDetector:
    """A detector that gathers what its callers ask into batches, one of them in flight at a time.

    One thread detects for all; while a batch waits for its turn, and for `wait_seconds` at least, others join it. When
    the device's memory runs out, batches become half as large, and grow again slowly.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        most: int,
        wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._detector = detector
        self._most = most
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._gathering: _Batch | None = None
        self._turn = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._limit = BatchLimit(most, clock)

    @property
    def model(self) -> str:
        """See `Detector.model`."""
        return self._detector.model

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        """See `Detector.detect`."""
        return self.detect_many([picture])[0]

    def detect_many(self, pictures: Sequence[Picture]) -> Found:
        """See `Detector.detect_many`; what fails for one caller fails for no other."""
        if not pictures:
            return ()
        batch, first = self._join(pictures)
        error = batch.found.exception()
        if error is None or batch.callers == 1:
            return batch.found.result()[first : first + len(pictures)]
        if first == 0:
            log.warning("detector.batch_failed", pictures=len(batch.pictures), callers=batch.callers, exc_info=error)
        # Together it failed: whose pictures were to blame shows when each caller's are detected alone.
        return self._turn.submit(self._detect_in_steps, pictures).result()

    def _join(self, pictures: Sequence[Picture]) -> tuple[_Batch, int]:
        """The batch that takes these pictures, and the place of the first of them in it."""
        with self._changed:
            batch = self._gathering
            if batch is None or len(batch.pictures) + len(pictures) > self._most:
                batch = self._gathering = _Batch(until=self._clock() + self._wait_seconds)
                batch.found = self._turn.submit(self._run, batch)
            first = len(batch.pictures)
            batch.pictures.extend(pictures)
            batch.callers += 1
            if len(batch.pictures) >= self._most:
                self._gathering = None
            self._changed.notify_all()
            return batch, first

    def _run(self, batch: _Batch) -> Found:
        self._close(batch)
        return self._detect_in_steps(batch.pictures)

    def _close(self, batch: _Batch) -> None:
        """Let others join until the time is over or the batch full."""
        with self._changed:
            self._changed.wait_for(lambda: self._gathering is not batch, max(batch.until - self._clock(), 0))
            if self._gathering is batch:
                self._gathering = None

    def _detect_in_steps(self, pictures: Sequence[Picture]) -> Found:
        """All of them, as many at once as memory allows; raises DetectorOutOfMemoryError where one is too many."""
        found: list[tuple[Detection, ...]] = []
        while len(found) < len(pictures):
            step = pictures[len(found) : len(found) + self._limit.size()]
            try:
                found.extend(self._detector.detect_many(step))
            except DetectorOutOfMemoryError as error:
                metrics.detection_memory_exhausted.inc()
                if len(step) == 1:
                    raise
                self._limit.halve(len(step))
                log.warning("detector.out_of_memory", batch=len(step), next_batch=self._limit.size(), reason=str(error))
            else:
                metrics.detection_batch_size.observe(len(step))
        return tuple(found)


@dataclass(slots=True)
class _Batch:
    """The pictures of several callers, and what is found in them or why they cannot be detected together."""

    until: float
    pictures: list[Picture] = field(default_factory=list)
    callers: int = 0
    found: Future[Found] = field(init=False)


class BatchLimit:
    """How many pictures to detect at once: fewer after memory ran out, one more for every GROW_SECONDS since."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._size = most
        self._since = clock()
        metrics.detection_batch_limit.set(most)

    def size(self) -> int:
        """The present limit, at least 1."""
        if self._size < self._most and self._clock() - self._since >= GROW_SECONDS:
            self._change(self._size + 1)
        return self._size

    def halve(self, failed: int) -> None:
        """Note that `failed` pictures at once were too many."""
        self._change(max(failed // 2, 1))

    def _change(self, size: int) -> None:
        self._size, self._since = size, self._clock()
        metrics.detection_batch_limit.set(size)
