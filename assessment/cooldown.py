"""How often a camera may ask: one assessed frame in each cooldown, whichever worker sees it."""

from __future__ import annotations

import redis


def is_due(client: redis.Redis, camera_id: int, *, cooldown_seconds: float) -> bool:
    """Whether the camera's cooldown has passed, though another worker may be quicker to take the turn."""
    return cooldown_seconds <= 0 or not client.exists(_key(camera_id))


def take_turn(client: redis.Redis, camera_id: int, *, cooldown_seconds: float) -> bool:
    """Whether the camera's cooldown has passed; if so, it begins anew."""
    if cooldown_seconds <= 0:
        return True
    return bool(client.set(_key(camera_id), "1", nx=True, px=max(1, round(cooldown_seconds * 1000))))


def _key(camera_id: int) -> str:
    return f"camera:{camera_id}:asked"
