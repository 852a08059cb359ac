"""What rests after a failure, for how long, and how it comes back."""

from __future__ import annotations

import pytest
import redis

from assessment.clients import Scope
from assessment.limiter import NoSlot
from assessment.limits import KeyState, Limits, PoolKey
from tests.limiting import UNLIMITED, TimedLimiter, pool_of

pytestmark = [pytest.mark.integration]


@pytest.fixture
def limiter(redis_client: redis.Redis) -> TimedLimiter:
    return TimedLimiter(redis_client)


def test_account_that_cools_leaves_the_others(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED, b=UNLIMITED)
    assert limiter.fail(pool, only_account="a") == 10.0
    assert {limiter.call(pool).account_id for _call in range(4)} == {"b"}
    refusal = limiter.refusal(pool, only_account="a")
    assert (refusal.reason, refusal.soonest_seconds) == ("cooling", 10.0)


def test_key_that_cools_leaves_the_other_keys_of_its_account(limiter: TimedLimiter) -> None:
    pool = pool_of(PoolKey("k-1", "a", UNLIMITED), PoolKey("k-2", "a", UNLIMITED))
    # A key's first cooldown is as long as the policy says, 60 seconds where it says nothing.
    assert limiter.fail(pool, Scope.KEY, only_key="k-1") == 60.0
    assert {limiter.call(pool).key_id for _call in range(4)} == {"k-2"}


def test_model_that_cools_cools_everywhere_and_is_probed_by_one_call(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED, b=UNLIMITED)
    limiter.fail(pool, Scope.MODEL, only_account="a")
    assert limiter.refusal(pool, only_account="b").reason == "cooling"
    limiter.sleep(10)
    probe = limiter.send(pool, only_account="b")
    assert limiter.refusal(pool, only_account="a").reason == "cooling"
    limiter.settle(probe, tokens=None, succeeded=True)
    assert limiter.take(pool, only_account="a").wait_seconds == 0.0


def test_question_cannot_cool(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    with pytest.raises(ValueError, match=Scope.QUESTION):
        limiter.cool(pool, Scope.QUESTION, limiter.send(pool), reason="blocked")


def test_key_cools_at_the_third_failure_of_the_provider_in_a_row(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    rests = [limiter.fail(pool, Scope.PROVIDER) for _failure in range(2)]
    limiter.call(pool)
    rests += [limiter.fail(pool, Scope.PROVIDER) for _failure in range(3)]
    assert rests == [0.0, 0.0, 0.0, 0.0, 60.0]


def test_failures_in_a_row_end_with_any_word_of_the_provider(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    for _failure in range(2):
        limiter.fail(pool, Scope.PROVIDER)
    limiter.settle(limiter.send(pool), tokens=0, succeeded=False, works=True)
    assert limiter.fail(pool, Scope.PROVIDER) == 0.0


@pytest.mark.parametrize(("scope", "first", "then"), [(Scope.KEY, 60.0, 120.0), (Scope.ACCOUNT, 10.0, 20.0)])
def test_probe_that_the_provider_fails_cools_at_once(
    limiter: TimedLimiter, scope: Scope, first: float, then: float
) -> None:
    pool = pool_of(a=UNLIMITED)
    assert limiter.fail(pool, scope) == first
    limiter.sleep(first)
    assert limiter.fail(pool, Scope.PROVIDER) == then
    assert limiter.refusal(pool).soonest_seconds == then
    limiter.sleep(then)
    limiter.call(pool)
    # The probe's failure was the account's, or the key's as a whole: it is not the first of three in a row.
    assert [limiter.fail(pool, Scope.PROVIDER) for _failure in range(3)][:2] == [0.0, 0.0]


def test_probe_that_is_answered_without_a_verdict_has_succeeded(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    limiter.sleep(limiter.fail(pool))
    limiter.settle(limiter.send(pool), tokens=0, succeeded=False, works=True)
    assert limiter.standings(pool)[0].state is KeyState.AVAILABLE


@pytest.mark.parametrize(("scope", "name"), [(Scope.KEY, "k-a"), (Scope.ACCOUNT, "a"), (Scope.MODEL, "")], ids=str)
def test_cooldown_that_is_lifted_is_over_and_its_streak_forgotten(
    limiter: TimedLimiter, scope: Scope, name: str
) -> None:
    pool = pool_of(a=UNLIMITED)
    first = limiter.fail(pool, scope)
    assert limiter.lift(pool.model, scope, name)
    assert not limiter.lift(pool.model, scope, name)
    assert limiter.take(pool).wait_seconds == 0.0
    assert limiter.fail(pool, scope) == first


def test_what_is_lifted_ramps_up(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_second=10))
    limiter.warm_up(pool)
    limiter.fail(pool)
    limiter.lift(pool.model, Scope.ACCOUNT, "a")
    limiter.sleep(2)
    assert limiter.waits(pool, 3)[1] > 0.2


def test_cooldown_is_never_shortened(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    first, second = limiter.send(pool), limiter.send(pool)
    assert limiter.cool(pool, Scope.ACCOUNT, first, reason="rate_limited", retry_after_seconds=100) == 100.0
    limiter.sleep(1)
    assert limiter.cool(pool, Scope.ACCOUNT, second, reason="rate_limited", seconds=10) == 99.0


def test_cooldown_is_as_long_as_the_provider_says_where_that_is_longer(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    slot = limiter.send(pool)
    assert limiter.cool(pool, Scope.ACCOUNT, slot, reason="rate_limited", retry_after_seconds=3) == 10.0
    assert limiter.cool(pool, Scope.ACCOUNT, slot, reason="rate_limited", retry_after_seconds=300) == 300.0


def test_cooldown_doubles_with_each_probe_that_fails_up_to_two_minutes(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    lasted = []
    for _failure in range(6):
        lasted.append(limiter.fail(pool))
        limiter.sleep(lasted[-1])
    assert lasted == [10.0, 20.0, 40.0, 80.0, 120.0, 120.0]


def test_calls_under_way_when_a_cooldown_began_count_once(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    slots = [limiter.send(pool) for _call in range(5)]
    limiter.sleep(1)
    assert [limiter.cool(pool, Scope.ACCOUNT, slot, reason="rate_limited") for slot in slots] == [10.0] * 5
    [standing] = limiter.standings(pool)
    assert (standing.state, standing.reason, standing.until_seconds, standing.streak) == (
        KeyState.COOLING,
        "rate_limited",
        10.0,
        1,
    )


def test_streak_is_forgotten_after_a_minute_of_success(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    lasted = []
    for succeeding_seconds in (59.9, 60, 0):
        lasted.append(limiter.fail(pool))
        limiter.sleep(lasted[-1])
        limiter.call(pool)
        limiter.sleep(succeeding_seconds)
    assert lasted == [10.0, 20.0, 10.0]


def test_half_open_account_lets_one_call_through(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    limiter.sleep(limiter.fail(pool))
    assert limiter.take(pool).wait_seconds == 0.0
    refusal = limiter.refusal(pool)
    assert (refusal.reason, refusal.soonest_seconds) == ("cooling", 0.5)


def test_probe_can_be_booked_ahead(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    limiter.fail(pool)
    limiter.sleep(9)
    probe = limiter.take(pool)
    assert (probe.wait_seconds, limiter.begin(probe)) == (1.0, 1.0)
    assert limiter.refusal(pool).soonest_seconds == 1.0
    limiter.sleep(1)
    assert limiter.begin(probe) == 0.0


def test_probe_that_succeeds_starts_the_ramp(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(per_second=10))
    limiter.warm_up(pool)
    limiter.sleep(limiter.fail(pool))
    limiter.call(pool)
    assert limiter.standings(pool)[0].state is KeyState.AVAILABLE
    # Two a second, of which the probe is one, and then ever more.
    assert limiter.waits(pool, 2) == [0.45, 1.02]


def test_probe_that_fails_keeps_its_account_closed(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    limiter.sleep(limiter.fail(pool))
    assert limiter.fail(pool) == 20.0
    assert limiter.refusal(pool).soonest_seconds == 20.0


@pytest.mark.parametrize("is_sent", [True, False])
def test_probe_that_proves_nothing_leaves_its_place_to_another(limiter: TimedLimiter, is_sent: bool) -> None:
    pool = pool_of(a=UNLIMITED)
    limiter.sleep(limiter.fail(pool))
    probe = limiter.take(pool)
    if is_sent:
        limiter.begin(probe)
        limiter.settle(probe, tokens=None, succeeded=False)
    else:
        limiter.give_back(probe)
    assert limiter.take(pool).wait_seconds == 0.0
    assert limiter.refusal(pool).reason == "cooling"


def test_probe_of_a_killed_worker_leaves_its_place_after_its_lease(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    limiter.sleep(limiter.fail(pool))
    probe = limiter.take(pool, lease_seconds=30)
    limiter.sleep(5)
    limiter.begin(probe)
    limiter.sleep(29.9)
    assert limiter.refusal(pool).reason == "cooling"
    limiter.sleep(0.1)
    assert limiter.take(pool).wait_seconds == 0.0


def test_success_of_a_call_that_was_under_way_ends_no_cooldown(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    slot = limiter.send(pool)
    limiter.fail(pool)
    limiter.settle(slot, tokens=None, succeeded=True)
    assert limiter.refusal(pool).soonest_seconds == 10.0


def test_slot_whose_account_has_cooled_meanwhile_is_lost_and_freed(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(in_flight=2))
    limiter.warm_up(pool)
    slot = limiter.take(pool)
    limiter.fail(pool)
    with pytest.raises(NoSlot) as lost:
        limiter.begin(slot)
    assert (lost.value.reason, lost.value.soonest_seconds) == ("cooling", 10.0)
    assert limiter.standings(pool)[0].in_flight == 0


def test_cooldowns_vary_by_a_tenth(redis_client: redis.Redis) -> None:
    pool = pool_of(a=UNLIMITED)
    for roll, seconds in ((0.0, 10.0), (1.0, 11.0)):
        redis_client.flushdb()
        limiter = TimedLimiter(redis_client, roll=roll)
        assert limiter.fail(pool) == seconds


def test_cooldowns_of_calls_that_never_began_grow_from_episode_to_episode(limiter: TimedLimiter) -> None:
    pool = pool_of(a=UNLIMITED)
    lasted = []
    for _episode in range(3):
        slots = [limiter.take(pool)]
        lasted += [limiter.cool(pool, Scope.ACCOUNT, slot, reason="unreachable") for slot in slots]
        limiter.give_back(slots[0])
        limiter.sleep(lasted[-1] + 1)
    assert lasted == [10.0, 20.0, 40.0]


def test_calls_in_flight_ramp_up_after_a_cooldown(limiter: TimedLimiter) -> None:
    pool = pool_of(a=Limits(in_flight=10))
    limiter.warm_up(pool)
    limiter.sleep(limiter.fail(pool))
    limiter.call(pool)
    assert [limiter.take(pool, patience_seconds=0.0) for _call in range(2)]
    assert limiter.refusal(pool, patience_seconds=0.0).reason == "in_flight"
    limiter.sleep(31)
    assert len([limiter.take(pool, patience_seconds=0.0) for _call in range(8)]) == 8
