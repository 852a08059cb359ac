"""Which key makes a call, of those that could."""

from __future__ import annotations

from collections import Counter

import pytest
import redis

from assessment.limits import Limits, Pool, PoolKey, Strategy
from tests.limiting import UNLIMITED, TimedLimiter, pool_of

pytestmark = [pytest.mark.integration]


@pytest.fixture
def limiter(redis_client: redis.Redis) -> TimedLimiter:
    return TimedLimiter(redis_client)


def keys_of(limiter: TimedLimiter, pool: Pool, count: int) -> list[str]:
    return [limiter.call(pool).key_id for _call in range(count)]


def test_round_robin_takes_keys_in_turn(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED, b=UNLIMITED, c=UNLIMITED)
    assert keys_of(limiter, pool, 6) == ["k-a", "k-b", "k-c", "k-a", "k-b", "k-c"]


def test_round_robin_goes_on_with_the_key_that_has_waited_longest(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED, b=UNLIMITED, c=UNLIMITED)
    limiter.call(pool, only_key="k-b")
    limiter.call(pool, only_key="k-a")
    assert keys_of(limiter, pool, 3) == ["k-c", "k-b", "k-a"]


def test_least_loaded_takes_the_key_with_the_fewest_calls_in_flight_for_its_limit(limiter: TimedLimiter) -> None:
    pool = pool_of(strategy=Strategy.LEAST_LOADED, a=Limits(in_flight=2), b=Limits(in_flight=6))
    limiter.warm_up(pool)
    in_flight = Counter(limiter.send(pool).key_id for _call in range(4))
    assert in_flight == {"k-a": 1, "k-b": 3}


def test_least_loaded_compares_counts_where_not_all_have_a_limit(limiter: TimedLimiter) -> None:
    pool = pool_of(strategy=Strategy.LEAST_LOADED, a=Limits(in_flight=50), b=UNLIMITED)
    limiter.warm_up(pool)
    in_flight = Counter(limiter.send(pool).key_id for _call in range(8))
    assert in_flight == {"k-a": 4, "k-b": 4}


def test_least_loaded_goes_by_what_is_in_flight_now(limiter: TimedLimiter) -> None:
    pool = pool_of(strategy=Strategy.LEAST_LOADED, a=UNLIMITED, b=UNLIMITED)
    first = limiter.send(pool)
    limiter.send(pool)
    limiter.settle(first, tokens=None, succeeded=True)
    assert limiter.take(pool).key_id == first.key_id


def test_weighted_keeps_the_ratio_smoothly(limiter: TimedLimiter) -> None:
    keys = (PoolKey("k-1", "a", UNLIMITED, weight=5), PoolKey("k-2", "b", UNLIMITED), PoolKey("k-3", "c", UNLIMITED))
    pool = pool_of(*keys, strategy=Strategy.WEIGHTED)
    turns = keys_of(limiter, pool, 70)
    assert Counter(turns) == {"k-1": 50, "k-2": 10, "k-3": 10}
    assert turns[:7] == turns[7:14] == ["k-1", "k-1", "k-2", "k-1", "k-3", "k-1", "k-1"]


def test_weighted_owes_nothing_to_a_key_that_could_not_be_used(limiter: TimedLimiter) -> None:
    keys = (PoolKey("k-1", "a", UNLIMITED, weight=3), PoolKey("k-2", "b", UNLIMITED))
    pool = pool_of(*keys, strategy=Strategy.WEIGHTED)
    for _call in range(20):
        limiter.call(pool, only_key="k-2")
    assert Counter(keys_of(limiter, pool, 8)) == {"k-1": 6, "k-2": 2}


def test_priority_takes_the_first_and_shares_among_equals(limiter: TimedLimiter) -> None:
    keys = (
        PoolKey("k-1", "a", UNLIMITED, priority=2),
        PoolKey("k-2", "b", Limits(in_flight=1), priority=1),
        PoolKey("k-3", "c", Limits(in_flight=2), priority=1),
    )
    pool = pool_of(*keys, strategy=Strategy.PRIORITY)
    limiter.warm_up(pool)
    assert [limiter.send(pool).key_id for _call in range(5)] == ["k-2", "k-3", "k-3", "k-1", "k-1"]


@pytest.mark.parametrize("strategy", Strategy)
def test_strategies_use_all_that_is_permitted_before_any_call_waits(limiter: TimedLimiter, strategy: Strategy) -> None:
    pool = pool_of(strategy=strategy, a=Limits(per_minute=2), b=Limits(per_minute=5))
    assert limiter.waits(pool, 8) == [0.0] * 7 + [60.02]


def test_key_that_opens_within_a_twentieth_of_a_second_is_as_good_as_open(limiter: TimedLimiter) -> None:
    keys = PoolKey("k-1", "a", UNLIMITED), PoolKey("k-2", "b", UNLIMITED, priority=2)
    pool = pool_of(*keys, strategy=Strategy.PRIORITY, a=Limits(per_second=18))
    limiter.warm_up(pool)
    slots = [limiter.take(pool) for _call in range(3)]
    assert [(slot.key_id, slot.wait_seconds) for slot in slots] == [("k-1", 0.0), ("k-1", 0.05), ("k-2", 0.0)]


def test_call_pinned_to_an_account_or_key_goes_nowhere_else(limiter: TimedLimiter) -> None:
    pool = pool_of(PoolKey("k-1", "a", UNLIMITED), PoolKey("k-2", "a", UNLIMITED), PoolKey("k-3", "b", UNLIMITED))
    assert {limiter.call(pool, only_account="a").key_id for _call in range(4)} == {"k-1", "k-2"}
    assert {limiter.call(pool, only_key="k-2").key_id for _call in range(4)} == {"k-2"}


@pytest.mark.parametrize("pin", [{"only_key": "k-9"}, {"only_account": "z"}, {"only_key": "k-a", "only_account": "b"}])
def test_call_pinned_to_what_is_not_there_has_no_key(limiter: TimedLimiter, pin: dict[str, str]) -> None:
    refusal = limiter.refusal(pool_of(a=UNLIMITED, b=UNLIMITED), **pin)  # type: ignore[arg-type]  # not the others
    assert (refusal.reason, refusal.soonest_seconds) == ("no_key", 5.0)


def test_call_prefers_other_accounts_and_falls_back_where_they_have_no_slot(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED, b=Limits(in_flight=2))
    limiter.warm_up(pool)
    others = frozenset({"a"})
    assert [limiter.send(pool, not_accounts=others).account_id for _call in range(3)] == ["b", "b", "a"]
    assert limiter.take(pool, not_accounts=frozenset({"a", "b"})).account_id == "a"
