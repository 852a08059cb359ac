"""What is asked often and changes rarely."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """The answer of `look_up` to all threads of this process, looked up again once it is `seconds` old.

    One thread looks up: meanwhile the others get what was known, or wait for it where nothing is. What `look_up` raises
    goes to the caller and is not remembered.
    """

    def __init__(self, look_up: Callable[[], Value], *, seconds: float) -> None:
        self._look_up = look_up
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answer: tuple[float, Value] | None = None

    def __call__(self) -> Value:
        known = self._answer
        if known and time.monotonic() < known[0]:
            return known[1]
        if not self._lock.acquire(blocking=known is None):
            return cast("tuple[float, Value]", known)[1]
        try:
            if self._answer is None or time.monotonic() >= self._answer[0]:
                self._answer = (time.monotonic() + self._seconds, self._look_up())
            return self._answer[1]
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Look up anew the next time."""
        with self._lock:
            self._answer = None
