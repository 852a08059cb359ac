"""A limiter whose clock the test sets, and pools for it."""

from __future__ import annotations

from typing import Any

import redis

from assessment.clients import Scope
from assessment.limiter import Limiter, NoSlot
from assessment.limits import Limits, Pool, PoolAccount, PoolKey, Slot, Strategy, Wish

START_MS = 1_764_000_000_000
MODEL = "qwen-test"
UNLIMITED = Limits()


def pool_of(*keys: PoolKey, strategy: Strategy = Strategy.ROUND_ROBIN, version: str = "v1", **accounts: Limits) -> Pool:
    """The keys, or one named k-ACCOUNT for each account; accounts that are not named have no limits."""
    keys = keys or tuple(PoolKey(f"k-{name}", name, UNLIMITED) for name in accounts)
    named = dict.fromkeys((key.account_id for key in keys), UNLIMITED) | accounts
    return Pool(version, MODEL, strategy, tuple(PoolAccount(name, limits) for name, limits in named.items()), keys)


class TimedLimiter(Limiter):
    """With a clock that stands still until it is moved, no jitter where nothing else is said, and version v1 of old."""

    def __init__(self, client: redis.Redis, *, roll: float = 0.5) -> None:
        self.now = START_MS - 120_000
        super().__init__(client, now_ms=lambda: self.now, roll=lambda: roll)
        self.publish_version("v1")
        self.now = START_MS

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)

    def warm_up(self, pool: Pool) -> None:
        """Use each key once and let half a minute pass, after which nothing ramps up."""
        for key in pool.keys:
            self.give_back(self.take(pool, only_key=key.id))
        self.sleep(31)

    def take(
        self, pool: Pool, *, tokens: int = 1, patience_seconds: float = 1.5, lease_seconds: float = 60.0, **wish: Any
    ) -> Slot:
        return self.reserve(pool, Wish(tokens, **wish), patience_seconds=patience_seconds, lease_seconds=lease_seconds)

    def send(self, pool: Pool, *, tokens: int = 1, patience_seconds: float = 1.5, **wish: Any) -> Slot:
        """Reserve, sleep to the slot and begin, as often as it takes."""
        slot = self.take(pool, tokens=tokens, patience_seconds=patience_seconds, **wish)
        self.sleep(slot.wait_seconds)
        while wait := self.begin(slot):
            self.sleep(wait)
        return slot

    def call(self, pool: Pool, *, succeeded: bool = True, **wish: Any) -> Slot:
        """Send and settle."""
        slot = self.send(pool, **wish)
        self.settle(slot, tokens=None, succeeded=succeeded)
        return slot

    def fail(self, pool: Pool, scope: Scope = Scope.ACCOUNT, **wish: Any) -> float:
        """Send, be refused, and cool; the seconds until a probe."""
        slot = self.send(pool, **wish)
        seconds = self.cool(pool, scope, slot, reason="rate_limited")
        self.settle(slot, tokens=None, succeeded=False)
        return seconds

    def refusal(self, pool: Pool, *, patience_seconds: float = 1.5, **wish: Any) -> NoSlot:
        """Of a reservation that must fail."""
        try:
            self.take(pool, patience_seconds=patience_seconds, **wish)
        except NoSlot as error:
            return error
        message = "a slot was found"
        raise AssertionError(message)

    def waits(self, pool: Pool, count: int, **wish: Any) -> list[float]:
        """For how long so many calls wait that are reserved at once."""
        return [self.take(pool, patience_seconds=100, **wish).wait_seconds for _call in range(count)]
