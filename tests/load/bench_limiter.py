"""What the limiter costs the Redis server: `python -m tests.load.bench_limiter`.

Ten and fifty keys, each with an account of its own, are used for half of what they may or always booked ahead. A Redis
of its own is started. Figures are microseconds of its processor time by call, which other load of the machine hardly
touches, the least of several batches.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import redis

from assessment.limiter import Limiter, NoSlot
from assessment.limits import Limits, Pool, PoolAccount, PoolKey, Slot, Strategy, Wish
from trafficmon.core.redis_server import start_redis

Thing = TypeVar("Thing")
Result = TypeVar("Result")
BATCH, BATCHES = 40, 12
CALLS_ONLY, ALL_LIMITS, TOKENS_ONLY = Limits(10, 600), Limits(10, 600, 1_000_000, 100), Limits(0, 0, 30_000, 0)


def pool_of(count: int, limits: Limits, strategy: Strategy) -> Pool:
    names = [f"{name:03}" for name in range(count)]
    accounts = tuple(PoolAccount(f"acct-{name}", limits) for name in names)
    keys = tuple(PoolKey(f"key-{name}", f"acct-{name}", Limits()) for name in names)
    return Pool("v1", "qwen3-vl-plus", strategy, accounts, keys)


class Bench:
    """A pool in use; `load` is the share of ten calls a second and key that is asked for."""

    def __init__(self, client: redis.Redis, pool: Pool, load: float) -> None:
        client.flushdb()
        self.client, self.pool = client, pool
        self.step = 100 / len(pool.keys) / load
        self.now = time.time() * 1000
        self.limiter = Limiter(client, now_ms=lambda: int(self.now))
        self.took: dict[str, list[float]] = defaultdict(list)
        self.limiter.publish_version(pool.version)
        self.now += 61_000
        until = self.now + 35_000
        while self.now < until:  # the ramp ends
            self.now += 10
            self.use(1)

    def use(self, count: int) -> None:
        """Reserve, begin and settle so many calls, each a step after the one before."""
        booked = list(filter(None, self._each("reserve", range(count), lambda _number: self.reserve())))
        self._each("begin", booked, self.limiter.begin)
        self._each("settle", booked, lambda slot: self.limiter.settle(slot, tokens=650, succeeded=True))

    def reserve(self) -> Slot | None:
        self.now += self.step
        try:
            return self.limiter.reserve(self.pool, Wish(700), patience_seconds=1.5, lease_seconds=60)
        except NoSlot:
            return None

    def look(self, count: int) -> None:
        self._each("standings", range(count), lambda _number: self.limiter.standings(self.pool))

    def _each(self, name: str, things: Sequence[Thing], step: Callable[[Thing], Result]) -> list[Result]:
        """The results of `step`, and what it took the server on average."""
        before = self._processor_seconds()
        results = [step(thing) for thing in things]
        if things:
            self.took[name].append((self._processor_seconds() - before) / len(things) * 1e6)
        return results

    def _processor_seconds(self) -> float:
        used = cast("dict[str, float]", self.client.info("cpu"))
        return used["used_cpu_user"] + used["used_cpu_sys"]


def measure(client: redis.Redis, title: str, pool: Pool, load: float) -> None:
    bench = Bench(client, pool, load)
    bench.took.clear()
    for _batch in range(BATCHES):
        bench.use(BATCH)
        bench.look(5)
    figures = ", ".join(f"{name} {min(took):.0f}" for name, took in bench.took.items())
    print(f"{len(pool.keys)} keys, {title}: {figures}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = start_redis(Path(folder))
        client = redis.Redis.from_url(server.url)
        try:
            for count in (10, 50):
                plain = pool_of(count, CALLS_ONLY, Strategy.ROUND_ROBIN)
                measure(client, "limits of calls, half used", plain, 0.5)
                measure(client, "limits of calls, booked ahead", plain, 1.1)
                weighted = pool_of(count, ALL_LIMITS, Strategy.WEIGHTED)
                measure(client, "weighted, limits of all kinds, half used", weighted, 0.5)
                measure(client, "weighted, limits of all kinds, booked ahead", weighted, 1.1)
                measure(client, "tokens used up", pool_of(count, TOKENS_ONLY, Strategy.LEAST_LOADED), 1.1)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
