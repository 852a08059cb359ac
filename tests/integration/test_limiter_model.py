"""Whatever is asked of it in whatever order, the limiter answers as the plain reference does, and keeps every limit."""

from __future__ import annotations

from collections import defaultdict

import pytest
import redis
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as extent
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from assessment.clients import Scope
from assessment.key_record import records_of
from assessment.limiter import Limiter, NoSlot, PoolOutdated
from assessment.limits import KeyState, Limits, Pool, PoolAccount, PoolKey, Slot, Strategy, Wish
from tests.reference_limiter import OUTDATED, Granted, ReferenceLimiter, Refused

pytestmark = [pytest.mark.integration]

GUARD_MS = 20
MODEL = "qwen-test"
START = 1_764_000_000_000

LIMITS = st.builds(
    Limits,
    per_second=st.sampled_from([0, 1, 3, 10]),
    per_minute=st.sampled_from([0, 4, 30]),
    tokens_per_minute=st.sampled_from([0, 1000, 5000]),
    in_flight=st.sampled_from([0, 1, 3]),
)
NAMES = (("key-1", "a"), ("key-2", "a"), ("key-3", "b"), ("key-4", "c"))
WISHES = st.builds(
    Wish,
    tokens=st.sampled_from([1, 400, 900, 2000]),
    only_key=st.sampled_from(["", "", "", "", "key-2", "key-9"]),
    only_account=st.sampled_from(["", "", "", "", "a"]),
    not_accounts=st.sampled_from([frozenset(), frozenset(), frozenset({"a"}), frozenset({"a", "b", "c"})]),
)
STEPS_MS = st.one_of(
    st.sampled_from([0, 1, 20, 90, 100, 300, 980, 1000, 1020]),
    st.integers(0, 3000),
    st.sampled_from([10_000, 30_000, 59_999, 60_020, 61_000, 130_000]),
)


class LimiterMachine(RuleBasedStateMachine):
    """One model's limiter in a real Redis beside the reference, with the same clock."""

    def __init__(self) -> None:
        super().__init__()
        self.client = redis.Redis.from_url(settings.REDIS_URL)
        self.client.flushdb()
        self.roll = 0.5
        self.reference = ReferenceLimiter(GUARD_MS, START)
        self.limiter = Limiter(
            self.client, guard_seconds=GUARD_MS / 1000, now_ms=lambda: self.reference.now, roll=lambda: self.roll
        )
        self.slots: list[Slot] = []
        self.sent: dict[str, tuple[Slot, int]] = {}
        self.ended: set[str] = set()
        self.used: dict[str, int] = {}
        self.emptied_at = START

    def teardown(self) -> None:
        self.client.close()

    @initialize(
        accounts=st.lists(LIMITS, min_size=3, max_size=3),
        keys=st.lists(st.one_of(st.just(Limits()), LIMITS), min_size=4, max_size=4),
        strategy=st.sampled_from(Strategy),
    )
    def configure(self, accounts: list[Limits], keys: list[Limits], strategy: Strategy) -> None:
        self.accounts = tuple(PoolAccount(name, limits) for name, limits in zip("abc", accounts, strict=True))
        self.keys = tuple(
            PoolKey(name, account, limits, priority=1 + row % 2, weight=1 + row)
            for row, ((name, account), limits) in enumerate(zip(NAMES, keys, strict=True))
        )
        self.pool = Pool("v1", MODEL, strategy, self.accounts, self.keys)
        self.publish()

    def publish(self) -> None:
        self.limiter.publish_version(self.pool.version)
        self.reference.publish(self.pool.version)

    @rule(step=STEPS_MS)
    def wait(self, step: int) -> None:
        self.reference.now += step

    @rule(wish=WISHES, patience=st.sampled_from([0, 30, 1500, 1500, 20_000]), lease=st.sampled_from([5_000, 60_000]))
    def reserve(self, wish: Wish, patience: int, lease: int) -> None:
        found: Granted | Refused
        token = ""
        try:
            slot = self.limiter.reserve(self.pool, wish, patience_seconds=patience / 1000, lease_seconds=lease / 1000)
        except NoSlot as error:
            found = Refused(error.reason, None if error.reason == "no_key" else round(error.soonest_seconds * 1000))
        except PoolOutdated:
            found = OUTDATED
        else:
            token = slot.token
            self.slots.append(slot)
            found = Granted(slot.key_id, round(slot.wait_seconds * 1000))
        assert found == self.reference.reserve(token, self.pool, wish, patience, lease)

    @precondition(lambda self: self.slots)
    @rule(chosen=st.integers(0, 99), at_its_time=st.booleans())
    def begin(self, chosen: int, at_its_time: bool) -> None:
        slot = self.slots[-1 - chosen % min(len(self.slots), 6)]
        kept = self.reference.slots.get(slot.token)
        if at_its_time and kept:
            self.reference.now = max(self.reference.now, kept.at)
        try:
            found: int | Refused = round(self.limiter.begin(slot) * 1000)
        except NoSlot as error:
            found = Refused(error.reason, round(error.soonest_seconds * 1000))
        assert found == self.reference.begin(slot.token)
        self.sent.pop(slot.token, None)
        if found == 0:
            assert_tokens_fit(self, slot)
            self.sent[slot.token] = slot, self.reference.now
            self.used[slot.token] = slot.tokens

    @precondition(lambda self: self.slots)
    @rule(chosen=st.integers(0, 99), later=st.sampled_from([0, 6, 40, 300]))
    def note_sent(self, chosen: int, later: int) -> None:
        """A thread that begun in time sends later than it might have, and says so."""
        slot = self.slots[-1 - chosen % min(len(self.slots), 6)]
        begun = self.sent.get(slot.token)
        if begun and slot.token not in self.ended and begun[1] + 300 >= self.reference.now:
            self.reference.now = max(self.reference.now, begun[1] + later)
            self.limiter.note_sent(slot)
            self.reference.note_sent(slot.token)
            self.sent[slot.token] = slot, self.reference.now

    @precondition(lambda self: self.slots)
    @rule(
        chosen=st.integers(0, 99),
        tokens=st.sampled_from([None, 0, 100, 3000]),
        succeeded=st.booleans(),
        works=st.booleans(),
    )
    def settle(self, chosen: int, tokens: int | None, succeeded: bool, works: bool) -> None:
        slot = self.slots[-1 - chosen % min(len(self.slots), 6)]
        self.limiter.settle(slot, tokens=tokens, succeeded=succeeded, works=works)
        self.reference.settle(slot.token, tokens, succeeded=succeeded, works=succeeded or works)
        if tokens is not None and slot.token not in self.ended:
            self.used[slot.token] = tokens
        self.ended.add(slot.token)

    @precondition(lambda self: self.slots)
    @rule(chosen=st.integers(0, 99))
    def give_back(self, chosen: int) -> None:
        slot = self.slots[-1 - chosen % min(len(self.slots), 6)]
        if slot.token not in self.sent:
            self.limiter.give_back(slot)
            self.reference.give_back(slot.token)

    @precondition(lambda self: self.slots)
    @rule(
        chosen=st.integers(0, 99),
        scope=st.sampled_from([Scope.ACCOUNT, Scope.ACCOUNT, Scope.KEY, Scope.MODEL, Scope.PROVIDER, Scope.PROVIDER]),
        seconds=st.sampled_from([None, None, 1.0, 25.0]),
        retry_after=st.sampled_from([None, None, 3.0, 150.0]),
        roll=st.floats(0, 1),
    )
    def cool(self, chosen: int, scope: Scope, seconds: float | None, retry_after: float | None, roll: float) -> None:
        slot, self.roll = self.slots[-1 - chosen % min(len(self.slots), 6)], roll
        found = self.limiter.cool(
            self.pool, scope, slot, reason="rate_limited", seconds=seconds, retry_after_seconds=retry_after
        )
        buckets = {Scope.ACCOUNT: f"a:{slot.account_id}", Scope.KEY: f"k:{slot.key_id}", Scope.MODEL: "m"}
        bases = {buckets[each]: round((seconds or (60.0 if each is Scope.KEY else 10.0)) * 1000) for each in buckets}
        told = round((retry_after or 0) * 1000), 0.9 + 0.2 * roll
        if scope is Scope.PROVIDER:
            expected = self.reference.fail(slot.key_id, slot.token, bases, *told, most=3)
        else:
            expected = self.reference.cool(buckets[scope], slot.token, bases[buckets[scope]], *told)
        assert round(found * 1000) == expected

    @rule(of=st.sampled_from([(Scope.MODEL, ""), (Scope.ACCOUNT, "a"), (Scope.KEY, "key-1"), (Scope.KEY, "key-9")]))
    def lift(self, of: tuple[Scope, str]) -> None:
        bucket = {Scope.MODEL: "m", Scope.ACCOUNT: f"a:{of[1]}", Scope.KEY: f"k:{of[1]}"}[of[0]]
        assert self.limiter.lift(MODEL, *of) == self.reference.lift(bucket)

    @rule(keys=st.sets(st.integers(0, 3), min_size=0), strategy=st.sampled_from(Strategy), is_published=st.booleans())
    def change_pool(self, keys: set[int], strategy: Strategy, is_published: bool) -> None:
        version = f"v{int(self.pool.version[1:]) + 1}"
        self.pool = Pool(version, MODEL, strategy, self.accounts, tuple(self.keys[row] for row in sorted(keys)))
        if is_published:
            self.publish()

    @rule(is_published=st.booleans())
    def empty_redis(self, is_published: bool) -> None:
        self.client.flushdb()
        self.reference.empty()
        self.emptied_at = self.reference.now
        if is_published:
            self.publish()

    @precondition(lambda self: self.reference.version != self.pool.version)
    @rule()
    def publish_pool(self) -> None:
        self.publish()

    @invariant()
    def standings_are_told(self) -> None:
        if not hasattr(self, "pool"):
            return
        for standing in self.limiter.standings(self.pool):
            buckets = ("m", f"a:{standing.account_id}", f"k:{standing.key_id}")
            ends = [each.ends_ms for name, each in self.reference.cooldowns.items() if name in buckets]
            flying = self.reference.in_flight(buckets[2])
            usual = KeyState.IN_USE if flying else KeyState.AVAILABLE
            assert standing.in_flight == flying
            assert standing.state == (KeyState.COOLING if any(ends) else usual)
            assert round(standing.until_seconds * 1000) == max(0, max(ends, default=0) - self.reference.now)

    @invariant()
    def records_are_kept(self) -> None:
        told = [[each.failed, each.succeeded] for each in records_of([name for name, _account in NAMES])]
        assert told == [self.reference.ended[name] for name, _account in NAMES]

    @invariant()
    def limits_are_kept(self) -> None:
        """Of what was sent, by strict windows: counted here from nothing but the moments of sending."""
        if not hasattr(self, "pool"):
            return
        sent: dict[str, list[int]] = defaultdict(list)
        for slot, at in self.sent.values():
            sent[f"a:{slot.account_id}"].append(at)
            sent[f"k:{slot.key_id}"].append(at)
        limits = {f"a:{each.id}": each.limits for each in self.accounts}
        limits |= {f"k:{each.id}": each.limits for each in self.keys}
        for bucket, limit in limits.items():
            moments = sorted(sent[bucket])
            assert_no_window_fuller(moments, 1000, limit.per_second)
            known = [moment for moment in moments if moment >= self.emptied_at]
            assert_no_window_fuller(known, 60_000, limit.per_minute)


def assert_tokens_fit(machine: LimiterMachine, slot: Slot) -> None:
    """Of a call that begins now, beside all that were sent in the minute before, counted anew."""
    now, limits = machine.reference.now, {each.id: each.limits for each in machine.accounts}
    spent = sum(
        machine.used[token]
        for token, (other, at) in machine.sent.items()
        if other.account_id == slot.account_id and max(now - 60_000, machine.emptied_at - 1) < at
    )
    most = limits[slot.account_id].tokens_per_minute
    assert not most or spent <= 0 or spent + slot.tokens <= most


def assert_no_window_fuller(moments: list[int], span: int, most: int) -> None:
    if most:
        for first, after in zip(moments, moments[most:], strict=False):
            assert after - first >= span


TestLimiterModel = LimiterMachine.TestCase
TestLimiterModel.settings = extent(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
