"""What is asked often and changes rarely."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """The answer of `look_up` to all threads of this process, looked up again once it is `seconds` old.

    What `look_up` raises goes to the caller and is not remembered.
    """

    def __init__(self, look_up: Callable[[], Value], *, seconds: float) -> None:
        self._look_up = look_up
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answer: tuple[float, Value] | None = None

    def __call__(self) -> Value:
        """One thread looks up and the others wait for it: they would only ask the same."""
        with self._lock:
            if self._answer is None or time.monotonic() >= self._answer[0]:
                self._answer = (time.monotonic() + self._seconds, self._look_up())
            return self._answer[1]

    def forget(self) -> None:
        """Look up anew the next time."""
        with self._lock:
            self._answer = None
