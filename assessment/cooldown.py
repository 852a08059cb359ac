"""How often a camera may ask: one assessed frame in each cooldown, whichever worker sees it."""

from __future__ import annotations

import redis


def take_turn(client: redis.Redis, camera_id: int, *, cooldown_seconds: float) -> bool:
    """Whether the camera's cooldown has passed; if so, it begins anew."""
    if cooldown_seconds <= 0:
        return True
    return bool(client.set(f"camera:{camera_id}:asked", "1", nx=True, px=max(1, round(cooldown_seconds * 1000))))
