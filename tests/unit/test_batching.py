"""Batches gathered from many threads: everyone gets the own answer, whatever happens to the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from detection.batching import GROW_SECONDS, BatchingDetector, BatchLimit
from detection.detections import Detection
from detection.detector import DetectorOutOfMemoryError, Picture
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

PATIENCE_SECONDS = 10.0


def picture(number: int) -> Picture:
    return np.full((4, 6, 3), number, dtype=np.uint8)


def found_in(number: int) -> tuple[Detection, ...]:
    return (Detection(Box(number, 0, number + 1, 1), ObjectClass.CAR, 0.9),)


class Unreadable(ValueError):
    """What the double raises for picture 13."""


class Gpu:
    """A detector whose memory holds so many pictures at once, and which waits at a gate; it notes its batches."""

    model = "double"

    def __init__(self, *, memory: int = 1000) -> None:
        self.memory = memory
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.at_gate = threading.Semaphore(0)
        self._busy = threading.Lock()

    def detect(self, one: Picture) -> tuple[Detection, ...]:
        return self.detect_many([one])[0]

    def detect_many(self, pictures: Sequence[Picture]) -> tuple[tuple[Detection, ...], ...]:
        assert self._busy.acquire(blocking=False), "two batches in flight"
        try:
            self.at_gate.release()
            assert self.gate.wait(PATIENCE_SECONDS)
            return self._answer([int(each[0, 0, 0]) for each in pictures])
        finally:
            self._busy.release()

    def _answer(self, numbers: list[int]) -> tuple[tuple[Detection, ...], ...]:
        if len(numbers) > self.memory:
            message = f"no memory for {len(numbers)}"
            raise DetectorOutOfMemoryError(message)
        if 13 in numbers:
            raise Unreadable
        self.batches.append(numbers)
        return tuple(map(found_in, numbers))


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def batching(gpu: Gpu, *, most: int, wait_seconds: float = PATIENCE_SECONDS) -> BatchingDetector:
    return BatchingDetector(gpu, most=most, wait_seconds=wait_seconds)


def ask_all(detector: BatchingDetector, numbers: Sequence[int]) -> list[Future[tuple[Detection, ...]]]:
    """Every picture asked about by a thread of its own, at the same time."""
    with ThreadPoolExecutor(len(numbers)) as threads:
        return [threads.submit(detector.detect, picture(number)) for number in numbers]


def test_pictures_asked_about_at_the_same_time_become_one_batch() -> None:
    gpu = Gpu()
    answers = ask_all(batching(gpu, most=4), [1, 2, 3, 4])
    assert [each.result() for each in answers] == list(map(found_in, [1, 2, 3, 4]))
    assert [sorted(batch) for batch in gpu.batches] == [[1, 2, 3, 4]]


def test_single_caller_waits_no_longer_than_told() -> None:
    gpu = Gpu()
    assert batching(gpu, most=4, wait_seconds=0.01).detect(picture(1)) == found_in(1)
    assert gpu.batches == [[1]]


def test_next_batch_gathers_while_one_is_in_flight() -> None:
    gpu = Gpu()
    detector = batching(gpu, most=8, wait_seconds=0)
    gpu.gate.clear()
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(detector.detect, picture(1))
        assert gpu.at_gate.acquire(timeout=PATIENCE_SECONDS)
        later = [threads.submit(detector.detect, picture(number)) for number in (2, 3, 4)]
        wait_until(lambda: len(gathered(detector)) == 3)
        gpu.gate.set()
    assert [each.result() for each in (first, *later)] == list(map(found_in, [1, 2, 3, 4]))
    assert [sorted(batch) for batch in gpu.batches] == [[1], [2, 3, 4]]


def gathered(detector: BatchingDetector) -> list[Picture]:
    batch = detector._gathering
    return batch.pictures if batch else []


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(round(PATIENCE_SECONDS / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    pytest.fail("it did not happen in time")


def test_pictures_of_one_caller_stay_together_and_in_order() -> None:
    gpu = Gpu()
    detector = batching(gpu, most=3, wait_seconds=0.01)
    pictures = [picture(number) for number in (5, 6, 7, 8)]
    assert detector.detect_many(pictures) == tuple(map(found_in, (5, 6, 7, 8)))
    assert gpu.batches == [[5, 6, 7], [8]]
    assert detector.detect_many([]) == ()


def test_failure_is_only_that_of_the_caller_whose_picture_it_was() -> None:
    gpu = Gpu()
    answers = ask_all(batching(gpu, most=3), [1, 13, 3])
    assert [answers[0].result(), answers[2].result()] == [found_in(1), found_in(3)]
    assert isinstance(answers[1].exception(), Unreadable)


def test_failure_of_a_batch_is_logged_once_with_its_cause() -> None:
    with structlog.testing.capture_logs() as said:
        ask_all(batching(Gpu(), most=3), [1, 13, 3])
    [line] = said
    assert (line["event"], line["pictures"], line["callers"]) == ("detector.batch_failed", 3, 3)
    assert isinstance(line["exc_info"], Unreadable)


def test_failure_of_a_single_caller_is_only_raised() -> None:
    with structlog.testing.capture_logs() as said, pytest.raises(Unreadable):
        batching(Gpu(), most=3, wait_seconds=0).detect(picture(13))
    assert said == []


def test_detector_works_on_after_a_failure() -> None:
    detector = batching(Gpu(), most=2, wait_seconds=0)
    with pytest.raises(Unreadable):
        detector.detect(picture(13))
    assert detector.detect(picture(1)) == found_in(1)


def test_batch_that_memory_cannot_hold_is_detected_in_halves() -> None:
    gpu = Gpu(memory=3)
    answers = ask_all(batching(gpu, most=8), range(1, 9))
    assert [each.result() for each in answers] == list(map(found_in, range(1, 9)))
    assert [len(batch) for batch in gpu.batches] == [2, 2, 2, 2]


def test_memory_too_small_for_one_picture_is_said_to_its_caller() -> None:
    with pytest.raises(DetectorOutOfMemoryError, match="no memory for 1"):
        batching(Gpu(memory=0), most=4, wait_seconds=0).detect(picture(1))


def test_batches_grow_again_by_one_picture_at_a_time() -> None:
    clock = Clock()
    limit = BatchLimit(8, clock)
    assert limit.size() == 8
    limit.halve(8)
    sizes = []
    for _ in range(6):
        sizes.append(limit.size())
        clock.now += GROW_SECONDS
    assert sizes == [4, 5, 6, 7, 8, 8]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=24), st.integers(1, 6), st.integers(1, 6))
def test_everybody_gets_the_own_answer_whatever_memory_and_size(numbers: list[int], most: int, memory: int) -> None:
    gpu = Gpu(memory=memory)
    answers = ask_all(batching(gpu, most=most, wait_seconds=0), numbers)
    assert [each.result() for each in answers] == list(map(found_in, numbers))
    assert sorted(number for batch in gpu.batches for number in batch) == sorted(numbers)
    assert max(map(len, gpu.batches)) <= min(most, memory)
