"""When a call may be made: windows, tokens, flights, ramps, and what a limiter does that knows nothing any more."""

from __future__ import annotations

from collections import Counter

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from assessment import limiter as limiter_module
from assessment.clients import BurstLimited, RateLimited, TokenLimited, UnableToAssess
from assessment.limiter import Limiter, LimiterUnreachable, NoSlot, PoolOutdated
from assessment.limits import KeyStanding, KeyState, Limits, PoolKey, Slot, Wish
from tests.limiting import MODEL, START_MS, UNLIMITED, TimedLimiter, pool_of

pytestmark = [pytest.mark.integration]


@pytest.fixture
def limiter(redis_client: redis.Redis) -> TimedLimiter:
    return TimedLimiter(redis_client)


# Windows


def test_limiter_books_each_waiter_a_slot_of_its_own(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_second=2))
    limiter.warm_up(pool)
    # Two in 1.02 seconds, and never closer than nine tenths of an even pace.
    assert limiter.waits(pool, 5) == [0.0, 0.45, 1.02, 1.47, 2.04]


def test_limiter_keeps_the_minute(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_minute=2))
    assert limiter.waits(pool, 3) == [0.0, 0.0, 60.02]


def test_limiter_lets_keys_share_the_limits_of_their_account(limiter: TimedLimiter) -> None:
    pool = pool_of(PoolKey("k-1", "a", UNLIMITED), PoolKey("k-2", "a", UNLIMITED), a=Limits(per_minute=2))
    assert limiter.waits(pool, 3) == [0.0, 0.0, 60.02]


def test_limiter_keeps_the_limits_of_a_key_beside_those_of_its_account(limiter: TimedLimiter) -> None:
    pool = pool_of(PoolKey("k-1", "a", Limits(per_minute=1)), PoolKey("k-2", "a", UNLIMITED), a=Limits(per_minute=3))
    keys = [limiter.take(pool, patience_seconds=100).key_id for _call in range(3)]
    assert keys == ["k-1", "k-2", "k-2"]
    assert limiter.refusal(pool).soonest_seconds == 60.02


def test_limiter_says_when_the_soonest_slot_is_and_what_it_waits_for(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_minute=1), b=Limits(per_minute=1))
    limiter.call(pool)
    limiter.sleep(10)
    limiter.call(pool)
    refusal = limiter.refusal(pool)
    assert (refusal.reason, refusal.soonest_seconds) == ("rate_limited", 50.02)


def test_limiter_counts_nothing_where_there_is_no_limit(limiter: TimedLimiter) -> None:
    assert limiter.waits(pool_of(a=UNLIMITED), 50) == [0.0] * 50


# The moment of sending


def test_call_that_begins_late_is_counted_from_when_it_is_sent(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_second=1))
    limiter.warm_up(pool)
    first, second = limiter.take(pool), limiter.take(pool)
    limiter.sleep(0.3)
    assert limiter.begin(first) == 0.0
    limiter.sleep(second.wait_seconds - 0.3)
    assert limiter.begin(second) == 0.3
    limiter.sleep(0.3)
    assert limiter.begin(second) == 0.0


def test_call_that_begins_early_waits_for_its_slot(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_second=1))
    limiter.warm_up(pool)
    limiter.send(pool)
    slot = limiter.take(pool)
    limiter.sleep(1.0)
    assert (slot.wait_seconds, limiter.begin(slot)) == (1.02, 0.02)


def test_slot_given_back_is_free_for_another(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_minute=1, in_flight=1, tokens_per_minute=10))
    slot = limiter.take(pool, tokens=10)
    assert limiter.refusal(pool).reason == "token_limited"
    limiter.give_back(slot)
    assert limiter.take(pool, tokens=10).wait_seconds == 0.0


def test_reservation_repeated_by_the_connection_is_the_same_one(
    limiter: TimedLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter_module, "new_token", lambda: "same")
    pool = pool_of(a=Limits(per_minute=1), b=Limits(per_minute=1))
    assert limiter.take(pool) == limiter.take(pool)
    monkeypatch.undo()
    assert limiter.take(pool).wait_seconds == 0.0


# Calls in flight


def test_limiter_keeps_calls_in_flight_below_the_limit(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(in_flight=2))
    limiter.warm_up(pool)
    first = limiter.send(pool)
    limiter.send(pool)
    refusal = limiter.refusal(pool)
    assert (refusal.reason, refusal.soonest_seconds) == ("in_flight", 0.1)
    limiter.settle(first, tokens=None, succeeded=True)
    assert limiter.take(pool).wait_seconds == 0.0


def test_calls_in_flight_of_a_killed_worker_are_freed_by_their_lease(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(in_flight=1))
    slot = limiter.take(pool, lease_seconds=30)
    limiter.sleep(10)
    limiter.begin(slot)
    limiter.sleep(29.9)
    assert limiter.refusal(pool).reason == "in_flight"
    limiter.sleep(0.1)
    assert limiter.take(pool).wait_seconds == 0.0


def test_slot_that_is_not_begun_within_its_lease_is_lost(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    slot = limiter.take(pool, lease_seconds=5)
    limiter.sleep(5)
    assert lost_to(limiter, slot) == "slot_lost"


def lost_to(limiter: Limiter, slot: Slot) -> str:
    with pytest.raises(NoSlot) as lost:
        limiter.begin(slot)
    return lost.value.reason


# Tokens


def test_limiter_keeps_the_tokens_of_a_minute(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(tokens_per_minute=1000))
    limiter.send(pool, tokens=600)
    refusal = limiter.refusal(pool, tokens=600)
    # What is sent within a second counts until all of that second is a minute ago.
    assert (refusal.reason, refusal.soonest_seconds) == ("token_limited", 61.02)
    assert limiter.take(pool, tokens=400).wait_seconds == 0.0


def test_tokens_used_beyond_the_estimate_are_owed(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(tokens_per_minute=1000))
    slot = limiter.send(pool, tokens=100)
    limiter.settle(slot, tokens=1000, succeeded=True)
    assert limiter.refusal(pool, tokens=1).reason == "token_limited"


def test_tokens_left_of_the_estimate_are_free_again(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(tokens_per_minute=1000))
    slot = limiter.send(pool, tokens=1000)
    limiter.settle(slot, tokens=300, succeeded=True)
    assert limiter.take(pool, tokens=700).wait_seconds == 0.0
    assert limiter.refusal(pool, tokens=1).reason == "token_limited"


def test_call_of_more_tokens_than_the_limit_waits_until_it_is_alone(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(tokens_per_minute=1000))
    limiter.send(pool, tokens=1)
    assert limiter.take(pool, tokens=5000, patience_seconds=100).wait_seconds == 61.02


def test_call_waits_for_tokens_that_others_came_to_owe_since_it_was_booked(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(tokens_per_minute=1000))
    other, slot = limiter.send(pool, tokens=100), limiter.take(pool, tokens=100)
    limiter.settle(other, tokens=950, succeeded=True)
    assert limiter.begin(slot) == 61.02


# Ramps


def test_limiter_ramps_up_after_a_minute_without_calls(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_second=10))
    limiter.warm_up(pool)
    assert limiter.waits(pool, 3) == [0.0, 0.09, 0.18]
    limiter.sleep(61)
    assert limiter.waits(pool, 3) == [0.0, 0.45, 1.02]


def test_limiter_permits_a_share_that_grows_for_half_a_minute(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_second=20))
    seconds = Counter((limiter.now - START_MS) // 1000 for _call in range(420) if limiter.send(pool))
    assert (seconds[0], seconds[15], seconds[31]) == (4, 12, 19)
    assert all(seconds[later] >= seconds[later - 1] - 1 for later in range(1, 32))


# A Redis that was emptied, and pools that change


def test_limiter_without_a_version_wants_the_pool_anew(limiter: TimedLimiter, redis_client: redis.Redis) -> None:
    pool = pool_of(a=UNLIMITED)
    slot = limiter.take(pool)
    redis_client.flushdb()
    with pytest.raises(PoolOutdated):
        limiter.take(pool)
    assert limiter.current_version() is None
    assert lost_to(limiter, slot) == "slot_lost"
    limiter.settle(slot, tokens=None, succeeded=True)
    limiter.give_back(slot)


def test_emptied_redis_holds_a_second_and_grows_into_the_minute(
    limiter: TimedLimiter, redis_client: redis.Redis
) -> None:
    pool = pool_of(a=Limits(per_minute=30, tokens_per_minute=6000))
    redis_client.flushdb()
    limiter.publish_version("v1")
    # Thirty a minute is one in two seconds; the first one need not wait for that.
    assert limiter.waits(pool, 3, tokens=1) == [1.02, 4.0, 6.0]
    assert limiter.take(pool, tokens=4000, patience_seconds=100).wait_seconds == 40.03


def test_pool_of_another_version_is_outdated_at_once(limiter: TimedLimiter) -> None:
    limiter.publish_version("v2")
    with pytest.raises(PoolOutdated):
        limiter.take(pool_of(a=UNLIMITED))
    assert limiter.take(pool_of(a=UNLIMITED, version="v2")).wait_seconds == 0.0
    assert limiter.current_version() == "v2"


def test_slot_of_a_pool_that_changed_is_lost_and_freed(limiter: TimedLimiter) -> None:
    slot = limiter.take(pool_of(a=Limits(per_minute=1)))
    limiter.publish_version("v2")
    assert lost_to(limiter, slot) == "pool_changed"
    assert limiter.take(pool_of(a=Limits(per_minute=1), version="v2")).wait_seconds == 0.0


def test_limits_that_were_raised_hold_for_the_next_call(limiter: TimedLimiter) -> None:
    limiter.call(pool_of(a=Limits(per_minute=1)))
    assert limiter.refusal(pool_of(a=Limits(per_minute=1))).soonest_seconds == 60.02
    limiter.publish_version("v2")
    assert limiter.take(pool_of(a=Limits(per_minute=2), version="v2")).wait_seconds == 0.0


# What is told, and what is kept


def test_standings_tell_state_and_use_of_each_key(limiter: TimedLimiter) -> None:
    pool = pool_of(PoolKey("k-1", "a", Limits(per_second=5)), PoolKey("k-2", "a", UNLIMITED), a=Limits(0, 60, 1000, 0))
    limiter.send(pool, only_key="k-1", tokens=10)
    limiter.call(pool, only_key="k-2", tokens=20)
    limiter.sleep(1)
    assert limiter.standings(pool) == [
        KeyStanding("k-1", "a", KeyState.IN_USE, "", 0.0, 1, 0, 5, 2, 60, 30, 1000, 0),
        KeyStanding("k-2", "a", KeyState.AVAILABLE, "", 0.0, 0, 0, 0, 2, 60, 30, 1000, 0),
    ]


def test_standings_of_an_empty_pool_are_none(limiter: TimedLimiter) -> None:
    assert limiter.standings(pool_of()) == []
    assert limiter.refusal(pool_of()).reason == "no_key"


def test_limiter_keeps_nothing_but_records_for_ever_and_all_under_one_hash_tag(
    limiter: TimedLimiter, redis_client: redis.Redis
) -> None:
    pool = pool_of(PoolKey("k-1", "a", Limits(1, 2, 3, 4)), PoolKey("k-2", "a", UNLIMITED), a=Limits(10, 20, 30, 40))
    limiter.send(pool)
    limiter.fail(pool)
    names = {name.decode() for name in redis_client.scan_iter()}
    assert {name for name in names if not name.startswith("{llm}:")} == set()
    lasting = {name for name in names if redis_client.pttl(name) < 0}
    assert lasting == {"{llm}:version", "{llm}:born", "{llm}:record:k-2"}


def test_limiter_goes_by_the_clock_of_redis(redis_client: redis.Redis) -> None:
    limiter = Limiter(redis_client)
    limiter.publish_version("v1")
    pool = pool_of(a=Limits(per_minute=60))
    slot = limiter.reserve(pool, Wish(1), patience_seconds=2, lease_seconds=5)
    assert 0.9 < slot.wait_seconds <= 1.02
    assert slot == Slot(slot.token, "k-a", "a", MODEL, 1, slot.wait_seconds)
    assert abs(int(redis_client.get("{llm}:born") or 0) / 1000 - redis_client.time()[0]) < 5
    assert redis_client.zcard(f"{{llm}}:a:a:{MODEL}:sent") == 1


# Failures


@pytest.fixture
def unreachable() -> Limiter:
    return Limiter(redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)))


def test_limiter_without_redis_lets_nobody_call(unreachable: Limiter) -> None:
    limiter = unreachable
    pool, slot = pool_of(a=UNLIMITED), Slot("token", "k-a", "a", MODEL, 1, 0.0)
    with pytest.raises(LimiterUnreachable):
        limiter.reserve(pool, Wish(1), patience_seconds=1, lease_seconds=1)
    with pytest.raises(LimiterUnreachable):
        limiter.begin(slot)
    with pytest.raises(LimiterUnreachable):
        limiter.standings(pool)
    with pytest.raises(LimiterUnreachable):
        limiter.current_version()


def test_limiter_without_redis_loses_no_answer(unreachable: Limiter) -> None:
    slot = Slot("token", "k-a", "a", MODEL, 1, 0.0)
    unreachable.settle(slot, tokens=10, succeeded=True)
    unreachable.give_back(slot)


def test_waiting_for_a_turn_uses_up_no_attempt() -> None:
    waiting = {NoSlot("rate_limited", 1.0), LimiterUnreachable(), RateLimited(), BurstLimited(), TokenLimited()}
    assert {each.charged for each in waiting} == {False}
    assert {each.retryable for each in waiting} == {True}
    assert UnableToAssess.charged
