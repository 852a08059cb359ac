"""The limiter against a real Redis: what it lets through, whom it chooses, what it leaves alone and for how long."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import redis

from assessment.clients import Scope
from assessment.limiter import PREFIX, Limiter, LimiterUnreachable, NoSlot, PoolOutdated, SlotLost
from assessment.limits import KeyState, Limits, Pool, PoolAccount, PoolKey, Slot, Strategy, Wish

pytestmark = pytest.mark.integration
ANY, NONE = Wish(), Limits()
START = 1_800_000_000_000


class Clocked(Limiter):
    """A limiter whose time is told by the test, in seconds since its start."""

    seconds = 0.0

    def _run(self, operation: str, model: str, asked: dict[str, Any], pool: Pool | None = None) -> list[str]:
        told = {"jitter": 1.0} if "jitter" in asked else {}
        return super()._run(operation, model, {**asked, **told, "now": START + round(self.seconds * 1000)}, pool)

    def send(self, pool: Pool, wish: Wish = ANY, *, patience: float = 0.0) -> Slot:
        """Reserve and begin at the slot's time."""
        slot = self.reserve(pool, wish, patience_seconds=patience, lease_seconds=30)
        self.seconds += slot.wait_seconds
        while wait := self.begin(slot):
            self.seconds += wait
        return slot

    def send_all(self, pool: Pool, *, until: float) -> list[float]:
        """The moments of as many calls as may be sent, each answered at once."""
        moments = []
        while self.seconds < until:
            slot = self.send(pool, patience=120)
            self.settle(pool, slot, tokens=None, succeeded=True)
            moments.append(self.seconds)
        return moments


@pytest.fixture
def limiter(redis_client: redis.Redis) -> Clocked:
    limiter = Clocked(redis_client)
    limiter.publish_version("v1")
    limiter.seconds = 120.0
    return limiter


def pool(*keys: PoolKey, limits: Limits = NONE, strategy: Strategy = Strategy.ROUND_ROBIN, version: str = "v1") -> Pool:
    chosen = keys or (PoolKey("k1", "a1"),)
    accounts = tuple(PoolAccount(each, limits) for each in dict.fromkeys(key.account_id for key in chosen))
    return Pool(version, "qwen-vl-plus", strategy, accounts, chosen)


def most_within(moments: list[float], window: float) -> int:
    """The most of `moments` in any half-open window; plain and slow on purpose."""
    return max(sum(each - window < other <= each for other in moments) for each in moments)


def warm(limiter: Clocked, of: Pool) -> None:
    """Use the pool until it has left its cold start behind."""
    limiter.send_all(of, until=limiter.seconds + 40)


def test_limit_of_a_second_is_kept_and_used(limiter: Clocked) -> None:
    limited = pool(limits=Limits(per_second=10))
    warm(limiter, limited)
    began = limiter.seconds
    moments = limiter.send_all(limited, until=began + 20)
    assert most_within(moments, 1.0) == 10
    assert len(moments) / (10 * (moments[-1] - began)) > 0.97


def test_limit_of_a_minute_is_kept(limiter: Clocked) -> None:
    moments = limiter.send_all(pool(limits=Limits(per_second=5, per_minute=30)), until=limiter.seconds + 200)
    assert most_within(moments, 60.0) == 30


def test_cold_start_begins_with_a_fifth_and_rises(limiter: Clocked) -> None:
    began = limiter.seconds
    moments = limiter.send_all(pool(limits=Limits(per_second=20)), until=began + 40)
    by_time = [sum(began + start < each <= began + start + 2 for each in moments) for start in (0, 14, 36)]
    assert by_time[0] <= 10 < by_time[1] < by_time[2] <= 41


def test_late_sender_waits_where_its_window_has_filled_meanwhile(limiter: Clocked) -> None:
    limited = pool(limits=Limits(per_second=2))
    warm(limiter, limited)
    limiter.seconds += 5
    first = limiter.reserve(limited, Wish(), patience_seconds=5, lease_seconds=30)
    late = limiter.reserve(limited, Wish(), patience_seconds=5, lease_seconds=30)
    third = limiter.reserve(limited, Wish(), patience_seconds=5, lease_seconds=30)
    assert limiter.begin(first) == 0
    limiter.seconds += third.wait_seconds + 0.001
    assert limiter.begin(late) == 0
    assert limiter.begin(third) == pytest.approx(0, abs=0.03)
    limiter.seconds += 0.5
    fourth = limiter.reserve(limited, Wish(), patience_seconds=5, lease_seconds=30)
    assert fourth.wait_seconds > 0.5


def test_tokens_of_a_minute_are_kept_and_settled(limiter: Clocked) -> None:
    limited = pool(limits=Limits(tokens_per_minute=1000))
    first = limiter.send(limited, Wish(tokens=900))
    with pytest.raises(NoSlot) as none:
        limiter.reserve(limited, Wish(tokens=200), patience_seconds=1, lease_seconds=30)
    assert (none.value.why, none.value.charged) == ("token_limited", False)
    limiter.settle(limited, first, tokens=300, succeeded=True)
    assert limiter.send(limited, Wish(tokens=700)).key_id == "k1"
    limiter.seconds += 61.1
    assert limiter.send(limited, Wish(tokens=1000)).wait_seconds == 0


def test_calls_in_flight_are_bounded_and_those_of_dead_workers_free_themselves(limiter: Clocked) -> None:
    limited = pool(limits=Limits(in_flight=2))
    limiter.send(limited)
    slot = limiter.send(limited)
    with pytest.raises(NoSlot) as none:
        limiter.send(limited)
    assert none.value.why == "in_flight"
    limiter.settle(limited, slot, tokens=1, succeeded=True)
    limiter.send(limited)
    limiter.seconds += 31
    assert limiter.send(limited).key_id == "k1"


def test_accounts_share_what_their_keys_use(limiter: Clocked) -> None:
    shared = pool(PoolKey("k1", "a1"), PoolKey("k2", "a1"), limits=Limits(per_second=4))
    warm(limiter, shared)
    moments = limiter.send_all(shared, until=limiter.seconds + 10)
    assert most_within(moments, 1.0) == 4


def test_key_has_limits_beside_its_accounts(limiter: Clocked) -> None:
    own = pool(PoolKey("k1", "a1", Limits(per_minute=2)), PoolKey("k2", "a1"))
    used = Counter(limiter.send(own, patience=0).key_id for _ in range(6))
    assert used == {"k1": 1, "k2": 5}


THREE = (PoolKey("k1", "a1", weight=1, priority=2), PoolKey("k2", "a2", weight=2), PoolKey("k3", "a3", weight=5))


def test_round_robin_takes_each_in_turn(limiter: Clocked) -> None:
    taken = [limiter.send(pool(*THREE)).key_id for _ in range(6)]
    assert taken == ["k1", "k2", "k3"] * 2


def test_weighted_follows_the_weights_smoothly(limiter: Clocked) -> None:
    taken = [limiter.send(pool(*THREE, strategy=Strategy.WEIGHTED)).key_id for _ in range(16)]
    assert Counter(taken) == {"k1": 2, "k2": 4, "k3": 10}
    assert taken[:8] == taken[8:]
    assert "k1" in taken[:8]


def test_priority_takes_the_first_until_it_is_full(limiter: Clocked) -> None:
    preferred = pool(*THREE, strategy=Strategy.PRIORITY, limits=Limits(in_flight=2))
    taken = [limiter.send(preferred).key_id for _ in range(6)]
    assert sorted(taken[:4]) == ["k2", "k2", "k3", "k3"]
    assert taken[4:] == ["k1", "k1"]


def test_least_loaded_takes_whoever_has_least_in_flight(limiter: Clocked) -> None:
    loaded = pool(*THREE, strategy=Strategy.LEAST_LOADED)
    slots = [limiter.send(loaded) for _ in range(6)]
    limiter.settle(loaded, slots[1], tokens=1, succeeded=True)
    assert limiter.send(loaded).key_id == slots[1].key_id


def test_pins_are_obeyed_and_avoided_accounts_are_a_last_resort(limiter: Clocked) -> None:
    assert {limiter.send(pool(*THREE), Wish(only_key="k2")).key_id for _ in range(3)} == {"k2"}
    assert {limiter.send(pool(*THREE), Wish(only_account="a3")).key_id for _ in range(3)} == {"k3"}
    avoiding = Wish(not_accounts=frozenset({"a1", "a2"}))
    assert {limiter.send(pool(*THREE), avoiding).key_id for _ in range(3)} == {"k3"}
    assert limiter.send(pool(THREE[0]), avoiding).key_id == "k1"
    with pytest.raises(NoSlot, match="no_key"):
        limiter.send(pool(*THREE), Wish(only_key="k9"))


def test_throttled_account_cools_longer_each_time_and_is_probed_once(limiter: Clocked) -> None:
    one = pool()
    lengths = []
    for _ in range(6):
        slot = limiter.send(one, patience=200)
        lengths.append(limiter.cool(Scope.ACCOUNT, slot, reason="rate_limited"))
        limiter.settle(one, slot, tokens=None, succeeded=False)
        limiter.seconds += lengths[-1]
    assert lengths == [10, 20, 40, 80, 120, 120]
    probe = limiter.send(one)
    with pytest.raises(NoSlot) as none:
        limiter.send(one)
    assert none.value.why == "cooling"
    limiter.settle(one, probe, tokens=1, succeeded=True)
    assert limiter.send(one).key_id == "k1"


def test_cooldown_counts_one_burst_once_and_is_never_shortened(limiter: Clocked) -> None:
    one = pool()
    first, second = limiter.send(one), limiter.send(one)
    limiter.seconds += 1
    assert limiter.cool(Scope.ACCOUNT, first, reason="rate_limited", retry_after_seconds=50) == 50
    limiter.seconds += 1
    assert limiter.cool(Scope.ACCOUNT, second, reason="rate_limited") == 49


def test_booked_slot_is_lost_when_its_account_cools(limiter: Clocked) -> None:
    two = pool(*THREE[:2])
    waiting, sent = limiter.reserve(two, Wish(), patience_seconds=1, lease_seconds=30), limiter.send(two)
    assert (waiting.key_id, sent.key_id) == ("k1", "k2")
    limiter.cool(Scope.MODEL, sent, reason="overloaded")
    with pytest.raises(SlotLost):
        limiter.begin(waiting)
    with pytest.raises(NoSlot, match="cooling"):
        limiter.send(two)


def test_failed_probe_cools_again(limiter: Clocked) -> None:
    one = pool()
    slot = limiter.send(one)
    limiter.seconds += limiter.cool(Scope.KEY, slot, reason="x")
    limiter.settle(one, slot, tokens=None, succeeded=False)
    probe = limiter.send(one)
    limiter.settle(one, probe, tokens=None, succeeded=False)
    with pytest.raises(NoSlot, match="cooling"):
        limiter.send(one)


def test_recovery_ramps_up(limiter: Clocked) -> None:
    limited = pool(limits=Limits(per_second=20))
    warm(limiter, limited)
    slot = limiter.send(limited, patience=5)
    limiter.cool(Scope.ACCOUNT, slot, reason="burst_limited")
    limiter.settle(limited, slot, tokens=None, succeeded=False)
    probe = limiter.send(limited, patience=60)
    limiter.settle(limited, probe, tokens=1, succeeded=True)
    began = limiter.seconds
    moments = limiter.send_all(limited, until=began + 3)
    assert len(moments) < 30


def test_key_that_fails_three_times_in_a_row_cools(limiter: Clocked) -> None:
    two = pool(*THREE[:2])
    cooled = []
    for _ in range(3):
        slot = limiter.send(two, Wish(only_key="k1"))
        limiter.settle(two, slot, tokens=None, succeeded=False)
        cooled.append(limiter.note_failure(two, slot, reason="timeout"))
    assert cooled == [0, 0, 60]
    assert {limiter.send(two).key_id for _ in range(4)} == {"k2"}


def test_slot_given_back_leaves_no_trace(limiter: Clocked, redis_client: redis.Redis) -> None:
    limited = pool(limits=Limits(per_second=5, tokens_per_minute=1000, in_flight=1))
    slot = limiter.reserve(limited, Wish(tokens=900), patience_seconds=1, lease_seconds=30)
    limiter.give_back(slot)
    assert limiter.send(limited, Wish(tokens=900)).wait_seconds == 0
    assert redis_client.exists(f"{PREFIX}:slot:{slot.token}") == 0


def test_changed_pool_is_outdated_and_its_waiting_slots_are_lost(limiter: Clocked) -> None:
    slot = limiter.reserve(pool(), Wish(), patience_seconds=1, lease_seconds=30)
    limiter.publish_version("v2")
    with pytest.raises(PoolOutdated):
        limiter.reserve(pool(), Wish(), patience_seconds=1, lease_seconds=30)
    with pytest.raises(SlotLost, match="outdated"):
        limiter.begin(slot)
    assert limiter.send(pool(version="v2")).key_id == "k1"


def test_emptied_redis_holds_a_second_and_then_uses_of_each_minute_what_has_passed(
    limiter: Clocked, redis_client: redis.Redis
) -> None:
    limited = pool(limits=Limits(per_second=10, per_minute=60))
    redis_client.flushdb()
    with pytest.raises(PoolOutdated):
        limiter.send(limited)
    limiter.publish_version("v1")
    born = limiter.seconds
    slot = limiter.send(limited, patience=5)
    limiter.settle(limited, slot, tokens=None, succeeded=True)
    assert limiter.seconds >= born + 1
    moments = limiter.send_all(limited, until=born + 58)
    assert len(moments) <= 59


def test_nothing_is_sent_without_redis() -> None:
    limiter = Limiter(redis.Redis(port=1))
    with pytest.raises(LimiterUnreachable):
        limiter.reserve(pool(), Wish(), patience_seconds=1, lease_seconds=30)


def test_standings_tell_what_is_used_and_what_cools(limiter: Clocked) -> None:
    two = pool(*THREE[:2], limits=Limits(per_second=5))
    slot = limiter.send(two)
    limiter.cool(Scope.ACCOUNT, slot, reason="rate_limited")
    first, second = limiter.standings(two)
    assert (first.state, first.reason, first.until_seconds, first.in_flight) == (
        KeyState.COOLING,
        "rate_limited",
        10.0,
        1,
    )
    assert (first.used_second, second.state, second.used_second) == (1, KeyState.AVAILABLE, 0)


def test_redis_holds_no_more_than_a_minute(limiter: Clocked, redis_client: redis.Redis) -> None:
    limited = pool(limits=Limits(per_second=10, tokens_per_minute=100_000))
    limiter.send_all(limited, until=limiter.seconds + 150)
    assert redis_client.zcard(f"{PREFIX}:sent:a:a1:qwen-vl-plus") <= 620
    assert redis_client.hlen(f"{PREFIX}:tokens:a:a1:qwen-vl-plus") <= 63
    assert redis_client.keys(f"{PREFIX}:slot:*") == []
