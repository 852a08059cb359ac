"""A process of callers for the limiter's test: each thread reserves, sleeps to its slot, sends and waits for an answer.

`python -m tests.limiter_callers URL ACCOUNTS PER_SECOND SECONDS THREADS` prints as JSON the account of each call,
when it was sent, in monotonic seconds, which all processes of a machine share, and how long `begin` took to say that it
may be. Nothing is sent: the moment after `begin` stands for it.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time

import redis

from assessment.limiter import Limiter, NoSlot
from assessment.limits import Limits, Pool, PoolAccount, PoolKey, Slot, Strategy, Wish

PATIENCE_SECONDS = 1.5
ANSWER_SECONDS = (0.2, 0.6)


def pool_of(accounts: int, per_second: int) -> Pool:
    """One key for each account."""
    names = range(accounts)
    return Pool(
        "v1",
        "qwen-test",
        Strategy.ROUND_ROBIN,
        tuple(PoolAccount(f"acct-{name}", Limits(per_second=per_second)) for name in names),
        tuple(PoolKey(f"key-{name}", f"acct-{name}", Limits()) for name in names),
    )


def call_until(until: float, limiter: Limiter, pool: Pool, sent: list[tuple[str, float, float]]) -> None:
    """Make one call after another."""
    while time.monotonic() < until:
        try:
            slot = limiter.reserve(pool, Wish(1), patience_seconds=PATIENCE_SECONDS, lease_seconds=30)
            at, took = send(limiter, slot)
        except NoSlot as error:
            time.sleep(min(error.soonest_seconds, 0.1))
            continue
        sent.append((slot.account_id, at, took))
        time.sleep(random.uniform(*ANSWER_SECONDS))
        limiter.settle(slot, tokens=1, succeeded=True)


def send(limiter: Limiter, slot: Slot) -> tuple[float, float]:
    """Sleep to the slot and begin; the moment at which the call goes out, and how long that took to be permitted."""
    wait = slot.wait_seconds
    while True:
        time.sleep(wait)
        before = time.monotonic()
        wait = limiter.begin(slot)
        if not wait:
            after = time.monotonic()
            return after, after - before


def main(url: str, accounts: str, per_second: str, seconds: str, threads: str) -> None:
    pool = pool_of(int(accounts), int(per_second))
    limiter = Limiter(redis.Redis.from_url(url))
    sent: list[tuple[str, float, float]] = []
    until = time.monotonic() + float(seconds)
    callers = [threading.Thread(target=call_until, args=(until, limiter, pool, sent)) for _each in range(int(threads))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    json.dump(sent, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
