"""How long answers take, as all workers together have seen: what has less time left is not begun."""

from __future__ import annotations

import contextlib
import time

import redis

_KEY = "{llm}:answer_seconds:"
_MEMORY_SECONDS = 600
_NEWEST_SHARE = 0.05
BETWEEN_SECONDS = 0.2
"""From one answer that counts to the next in a process: where there are many, some tell as much as all of them."""
LEAST_SHARE = 0.5
"""Of the usual time: a few answers come in half of it, hardly any sooner."""

_counted_until: dict[str, float] = {}


def note_answer(client: redis.Redis, model: str, seconds: float) -> None:
    """Let an answer count towards the usual time. Two at once may lose one of them, which changes nothing.

    Where Redis is away it is not counted: the answer counts more.
    """
    now = time.monotonic()
    if now < _counted_until.get(model, 0.0):
        return
    _counted_until[model] = now + BETWEEN_SECONDS
    with contextlib.suppress(redis.RedisError):
        before = client.get(f"{_KEY}{model}")
        usual = float(before) * (1 - _NEWEST_SHARE) + seconds * _NEWEST_SHARE if before else seconds
        client.set(f"{_KEY}{model}", f"{usual:.3f}", ex=_MEMORY_SECONDS)


def least_seconds(client: redis.Redis, model: str) -> float:
    """The shortest time in which an answer may be hoped for; 0 where nothing is known."""
    usual = client.get(f"{_KEY}{model}")
    return float(usual) * LEAST_SHARE if usual else 0.0
