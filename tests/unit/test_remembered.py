"""What is looked up once for many callers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from trafficmon.core.remembered import Remembered


class Book:
    """Counts how often it is opened."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self) -> int:
        self.opened += 1
        return self.opened


def test_answer_is_looked_up_again_when_it_is_too_old() -> None:
    answer = Remembered(Book(), seconds=1)
    assert [answer(), answer()] == [1, 1]
    time.sleep(1.1)
    assert answer() == 2


def test_forgotten_answer_is_looked_up_at_once() -> None:
    answer = Remembered(Book(), seconds=3600)
    assert answer() == 1
    answer.forget()
    assert answer() == 2


def test_failure_is_not_remembered() -> None:
    wants_to_fail = [True]

    def look_up() -> str:
        if wants_to_fail:
            wants_to_fail.clear()
            raise LookupError
        return "found"

    answer = Remembered(look_up, seconds=3600)
    with pytest.raises(LookupError):
        answer()
    assert answer() == "found"


def test_threads_that_ask_at_once_share_one_look() -> None:
    book, together = Book(), threading.Barrier(8)

    def slow() -> int:
        time.sleep(0.05)
        return book()

    answer = Remembered(slow, seconds=3600)

    def ask(_number: int) -> int:
        together.wait()
        return answer()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {1}
    assert book.opened == 1


def test_threads_are_not_held_up_while_one_looks_again() -> None:
    looking, go_on, book = threading.Event(), threading.Event(), Book()

    def slow() -> int:
        if book.opened:
            looking.set()
            go_on.wait(60)
        return book()

    answer = Remembered(slow, seconds=0.01)
    assert answer() == 1
    time.sleep(0.02)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(answer)
        assert looking.wait(60)
        assert answer() == 1
        go_on.set()
        assert first.result() == 2
