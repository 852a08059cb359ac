"""What waits to be sent to one client: bounded, however slowly the client reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Letter = TypeVar("Letter")

LONGEST_QUEUE = 500
"""Verdicts and alerts that may wait for one client; one that is further behind is disconnected."""


class TooSlowError(Exception):
    """The client does not keep up: it should subscribe to fewer cameras, or ask for pictures by URL."""


class Mailbox(Generic[Letter]):
    """Letters that must all arrive go first, in order; of those with a key only the newest waits.

    So a slow client sees newer pictures less often, never older ones later.
    """

    def __init__(self, longest_queue: int = LONGEST_QUEUE) -> None:
        self._longest_queue = longest_queue
        self._queue: deque[Letter] = deque()
        self._newest: dict[Hashable, Letter] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue) + len(self._newest)

    def append(self, letter: Letter, *, outdates: Hashable | None = None) -> None:
        """Add a letter that must arrive; raises TooSlowError when too many wait already.

        It overtakes those with a key: the one with the key `outdates`, which is older, is left out.
        """
        if len(self._queue) >= self._longest_queue:
            raise TooSlowError
        self.drop(outdates)
        self._queue.append(letter)
        self._filled.set()

    def replace(self, key: Hashable, letter: Letter) -> None:
        """Add a letter in place of the one with the same key that still waits; it keeps that one's turn."""
        self._newest[key] = letter
        self._filled.set()

    def drop(self, key: Hashable) -> bool:
        """Leave out the letter with this key; whether one waited."""
        return self._newest.pop(key, None) is not None

    async def take(self) -> Letter:
        """The next letter; waits until there is one."""
        while not len(self):
            self._filled.clear()
            await self._filled.wait()
        if self._queue:
            return self._queue.popleft()
        return self._newest.pop(next(iter(self._newest)))
