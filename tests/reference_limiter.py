"""The limiter's law once more, in plain Python over lists: what the scripts are tested against.

It looks for the earliest permitted moment by trying those at which anything changes, and keeps no sums and no caches.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from assessment.limits import LONGEST_COOLDOWN_SECONDS, SHORTEST_COOLDOWN_SECONDS, Limits, Pool, PoolKey, Strategy, Wish

READY_MS, BUSY_MS, PROBING_MS = 50, 100, 500


_SHORTEST_MS, _LONGEST_MS = round(SHORTEST_COOLDOWN_SECONDS * 1000), round(LONGEST_COOLDOWN_SECONDS * 1000)
_FORGIVEN_MS = 60_000
"""A streak of cooldowns is forgotten after so long without another."""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """When a model, an account or a key rests, in whole milliseconds; 0 is never.

    Where `ends_ms` has passed it is half open: one call probes it. That call's success sets `ends_ms` to 0 and
    `recovered_ms` to then.
    """

    ends_ms: int = 0
    began_ms: int = 0
    streak: int = 0
    recovered_ms: int = 0


def cooled_down(
    before: Cooldown, *, now_ms: int, begun_ms: int, base_ms: int, retry_after_ms: int = 0, jitter: float = 1.0
) -> Cooldown:
    """The cooldown after the failure of a call that was sent at `begun_ms`; never shorter than before.

    It doubles each time and is multiplied by `jitter`, between 10 and 120 seconds; calls that were under way when it
    began are of the same episode and count once.
    """
    is_forgiven = before.recovered_ms > 0 and now_ms - before.recovered_ms >= _FORGIVEN_MS
    streak, began_ms = 0 if is_forgiven else before.streak, before.began_ms
    if streak == 0 or begun_ms > began_ms:
        streak, began_ms = streak + 1, now_ms
    rest = max(_SHORTEST_MS, min(_LONGEST_MS, math.floor(base_ms * 2 ** min(streak - 1, 30) * jitter)))
    return Cooldown(max(before.ends_ms, now_ms + rest, now_ms + retry_after_ms), began_ms, streak)


@dataclass
class Booked:
    """A reserved call; `limits` are those of its account and its key by bucket."""

    key_id: str
    limits: dict[str, Limits]
    version: str
    at: int
    tokens: int
    lease: int
    ends: int
    reserved: int
    begun: int = 0

    @property
    def buckets(self) -> tuple[str, ...]:
        return "m", *self.limits


@dataclass(frozen=True)
class Granted:
    key_id: str
    wait_ms: int


@dataclass(frozen=True)
class Refused:
    reason: str
    soonest_ms: int | None = None


OUTDATED = Refused("outdated")


class ReferenceLimiter:
    """One model's limiter; `now` is set from outside, in milliseconds."""

    def __init__(self, guard_ms: int, now: int) -> None:
        self.guard, self.now = guard_ms, now
        self.empty()

    def empty(self) -> None:
        """Forget all, as a Redis that was emptied."""
        self.version, self.born = "", 0
        self.slots: dict[str, Booked] = {}
        self.sent: dict[str, dict[str, int]] = defaultdict(dict)
        self.held: dict[str, dict[str, int]] = defaultdict(dict)
        self.spent: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self.ramp_from: dict[str, int] = {}
        self.reserved: dict[str, int] = {}
        self.cooldowns: dict[str, Cooldown] = {}
        self.reasons: dict[str, str] = {}
        self.probes: dict[str, tuple[str, int]] = {}
        self.turns: dict[str, int] = defaultdict(int)
        self.credits: dict[str, int] = defaultdict(int)
        self.in_a_row: dict[str, int] = defaultdict(int)
        self.ended: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        """Of each key, how many calls failed and succeeded."""

    def publish(self, version: str) -> None:
        self.version, self.born = version, self.born or self.now

    # What a bucket allows

    def share(self, bucket: str) -> float:
        """Of the calls a second that are permitted, how much may be used while the bucket or the model ramps up."""

        def since(ramp_from: int) -> float:
            return min(1, 0.2 + (1 - 0.2) * (self.now - ramp_from) / 30_000)

        is_cold = self.now - self.reserved.get(bucket, 0) > 60_000
        own = 0.2 if is_cold else since(self.ramp_from.get(bucket, 0))
        return min(own, since(self.ramp_from.get("m", 0)))

    def permitted(self, bucket: str, limit: int) -> int:
        return max(1, math.floor(limit * self.share(bucket)))

    def _first(self, moments: Iterable[int], is_open: Callable[[int], bool]) -> int:
        return next(moment for moment in sorted({self.now, *moments}) if moment >= self.now and is_open(moment))

    def _window_opens(self, times: list[int], most: int, span: int) -> int:
        reach = span + self.guard
        return self._first(
            (each + reach for each in times), lambda moment: sum(each > moment - reach for each in times) < most
        )

    def calls_open(self, bucket: str, limits: Limits, times: list[int]) -> int:
        """The earliest moment for one call more beside those sent or booked at `times`."""
        at = self.now
        if limits.per_second:
            at = max(at, self._window_opens(times, self.permitted(bucket, limits.per_second), 1000))
        if limits.per_minute:
            at = max(at, self._window_opens(times, limits.per_minute, 60_000))
            if len(times) < limits.per_minute:
                at = max(at, self.grown(len(times), 1, limits.per_minute))
        return at

    def grown(self, used: int, more: int, most: int) -> int:
        """In the first minute of a Redis, when the minute's limit has grown to what is wanted."""
        if used <= 0 or self.now >= self.born + 60_000:
            return self.now
        return self.born + math.ceil((used + more) * 60_000 / most)

    def tokens_open(self, bucket: str, most: int, tokens: int, last_second: float = math.inf) -> int:
        """The earliest moment for `tokens` more beside those of the seconds up to the last one."""
        counted = [
            ((at // 1000 + 1) * 1000 + 60_000 + self.guard, amount)
            for at, amount in self.spent[bucket].values()
            if at // 1000 <= last_second
        ]

        def total(moment: int) -> int:
            return sum(amount for ends, amount in counted if ends > moment)

        def has_room(moment: int) -> bool:
            return total(moment) <= 0 or total(moment) + tokens <= most

        at = self._first((ends for ends, _amount in counted), has_room)
        return max(at, self.grown(total(self.now), tokens, most)) if at == self.now else at

    def in_flight(self, bucket: str) -> int:
        return sum(ends > self.now for ends in self.held[bucket].values())

    def opening(self, pool: Pool, key: PoolKey, tokens: int) -> tuple[int, str, bool]:
        """When the key opens, what it waits for, and whether nobody knows for how long."""
        found = [(max(self.now, self.born + 1000 + self.guard), "rate_limited", False)]
        for bucket, limits in limits_of(pool, key).items():
            times = sorted(self.sent[bucket].values())
            at = self.calls_open(bucket, limits, times)
            if limits.per_second and times:
                at = max(at, times[-1] + int(900 / self.permitted(bucket, limits.per_second)))
            found.append((at, "rate_limited", False))
            if limits.tokens_per_minute:
                found.append((self.tokens_open(bucket, limits.tokens_per_minute, tokens), "token_limited", False))
            if limits.in_flight and self.in_flight(bucket) >= self.permitted(bucket, limits.in_flight):
                found.append((self.now + BUSY_MS, "in_flight", True))
        for bucket in ("m", *limits_of(pool, key)):
            cooldown = self.cooldowns.get(bucket, Cooldown())
            if cooldown.ends_ms and self.is_probed(bucket):
                found.append((max(cooldown.ends_ms, self.now + PROBING_MS), "cooling", True))
            elif cooldown.ends_ms:
                found.append((cooldown.ends_ms, "cooling", False))
        at, reason, _shut = max(found, key=lambda each: each[0])
        return at, reason, any(shut for _at, _reason, shut in found)

    def is_probed(self, bucket: str) -> bool:
        return bucket in self.probes and self.probes[bucket][1] > self.now

    # The calls of the limiter

    def reserve(self, token: str, pool: Pool, wish: Wish, patience: int, lease: int) -> Granted | Refused:
        if pool.version != self.version:
            return OUTDATED
        allowed = [key for key in pool.keys if wish.allows(key)]
        openings: dict[PoolKey, tuple[int, str, bool]] = {}
        for avoided in (False, True):
            tier = [key for key in allowed if (key.account_id in wish.not_accounts) == avoided]
            openings |= {key: self.opening(pool, key, wish.tokens) for key in tier}
            free = {
                key: openings[key][0]
                for key in tier
                if not openings[key][2] and openings[key][0] <= self.now + patience
            }
            if free:
                ready = [key for key, at in free.items() if at <= self.now + READY_MS]
                chosen = self.pick(pool, ready or [key for key, at in free.items() if at == min(free.values())])
                return self._reserved(token, pool, chosen, free[chosen], wish.tokens, lease)
        if not openings:
            return Refused("no_key")
        at, reason, _shut = min(openings.values(), key=lambda each: each[0])
        return Refused(reason, at - self.now)

    def pick(self, pool: Pool, rows: list[PoolKey]) -> PoolKey:
        if len(rows) == 1:
            return rows[0]
        ranks: dict[PoolKey, float] = dict.fromkeys(rows, 0)
        match pool.strategy:
            case Strategy.PRIORITY:
                ranks = {key: key.priority for key in rows}
            case Strategy.LEAST_LOADED:
                ranks = self._loads(pool, rows)
            case Strategy.WEIGHTED:
                for key in rows:
                    self.credits[key.id] += key.weight
                ranks = {key: -self.credits[key.id] for key in rows}
        chosen = min(rows, key=lambda key: (ranks[key], self.turns[key.id]))
        if pool.strategy is Strategy.WEIGHTED:
            self.credits[chosen.id] -= sum(key.weight for key in rows)
        return chosen

    def _loads(self, pool: Pool, rows: list[PoolKey]) -> dict[PoolKey, float]:
        """Calls in flight; where every one of these keys has a limit of them, or its account has, shares of that."""
        loads: dict[PoolKey, float] = {key: self.in_flight(f"k:{key.id}") for key in rows}
        most = {}
        for key in rows:
            account, own = limits_of(pool, key).values()
            most[key] = own.in_flight or account.in_flight
        return {key: loads[key] / most[key] for key in rows} if all(most.values()) else loads

    def _reserved(self, token: str, pool: Pool, key: PoolKey, at: int, tokens: int, lease: int) -> Granted:
        slot = Booked(key.id, limits_of(pool, key), pool.version, at, tokens, lease, at + lease, self.now)
        self.slots[token] = slot
        self.book(token, slot)
        for bucket in slot.buckets:
            if self.cooldowns.get(bucket, Cooldown()).ends_ms:
                self.probes[bucket] = token, slot.ends
        for bucket, limits in slot.limits.items():
            if limits.per_second or limits.in_flight:
                if self.now - self.reserved.get(bucket, 0) > 60_000:
                    self.ramp_from[bucket] = self.now
                self.reserved[bucket] = self.now
        self.turns[key.id] = max(self.turns.values(), default=0) + 1
        return Granted(key.id, at - self.now)

    def book(self, token: str, slot: Booked) -> None:
        for bucket, limits in slot.limits.items():
            self.held[bucket][token] = slot.ends
            if limits.per_second or limits.per_minute:
                self.sent[bucket][token] = slot.at
            self.spent[bucket][token] = slot.at, slot.tokens

    def unbook(self, token: str, slot: Booked) -> None:
        for bucket in slot.limits:
            for kept in (self.held, self.sent, self.spent):
                kept[bucket].pop(token, None)

    def give_back(self, token: str) -> None:
        slot = self.slots.pop(token, None)
        if slot:
            self.unbook(token, slot)
            self._end_probes(token)

    def _end_probes(self, token: str) -> list[str]:
        ended = [bucket for bucket, (probe, _ends) in self.probes.items() if probe == token]
        for bucket in ended:
            del self.probes[bucket]
        return ended

    def begin(self, token: str) -> int | Refused:
        """How long to wait still, in milliseconds."""
        slot = self.slots.get(token)
        if slot is None:
            return Refused("slot_lost", 0)
        lost = self._lost(token, slot)
        if lost:
            self.give_back(token)
            return lost
        self.unbook(token, slot)
        slot.at = max(slot.at, *(self._begins(bucket, limits, slot) for bucket, limits in slot.limits.items()))
        slot.begun = slot.at if slot.at == self.now else 0
        slot.ends = slot.at + slot.lease
        self.book(token, slot)
        for bucket, (probe, _ends) in list(self.probes.items()):
            if probe == token:
                self.probes[bucket] = token, slot.ends
        return slot.at - self.now

    def note_sent(self, token: str) -> None:
        slot = self.slots.get(token)
        if slot and slot.begun:
            for bucket in slot.limits:
                if token in self.sent[bucket]:
                    self.sent[bucket][token] = self.now

    def _lost(self, token: str, slot: Booked) -> Refused | None:
        if slot.version != self.version:
            return Refused("pool_changed", 0)
        if slot.ends <= self.now:
            return Refused("slot_lost", 0)
        for bucket in slot.buckets:
            cooldown = self.cooldowns.get(bucket, Cooldown())
            if cooldown.ends_ms and self.probes.get(bucket, ("", 0))[0] != token:
                return Refused("cooling", max(cooldown.ends_ms - self.now, 0))
        return None

    def _begins(self, bucket: str, limits: Limits, slot: Booked) -> int:
        times = [each for each in self.sent[bucket].values() if each <= self.now]
        at = self.calls_open(bucket, limits, times)
        if limits.tokens_per_minute:
            at = max(at, self.tokens_open(bucket, limits.tokens_per_minute, slot.tokens, self.now // 1000))
        return at

    def settle(self, token: str, tokens: int | None, *, succeeded: bool, works: bool) -> None:
        slot = self.slots.pop(token, None)
        if slot is None:
            return
        for bucket in slot.limits:
            self.held[bucket].pop(token, None)
            if tokens is not None:
                self.spent[bucket][token] = slot.at, tokens
        self.ended[slot.key_id][succeeded] += 1
        if works:
            self.in_a_row[slot.key_id] = 0
        for bucket in self._end_probes(token):
            before = self.cooldowns[bucket]
            if works:
                self.cooldowns[bucket] = Cooldown(0, before.began_ms, before.streak, self.now)
                self.ramp_from[bucket] = self.now

    def fail(
        self, key_id: str, token: str, bases: dict[str, int], retry_after: int, jitter: float, *, most: int
    ) -> int:
        """A failure that is nobody's in particular: what the call probed rests or, at the `most`-th in a row, its key.

        `bases` are those of the model, its account and its key, by bucket. The milliseconds until a probe, 0 where
        nothing rests.
        """
        rests = [bucket for bucket in bases if self.probes.get(bucket, ("", 0))[0] == token]
        if not rests:
            self.in_a_row[key_id] += 1
            if self.in_a_row[key_id] < most:
                return 0
            self.in_a_row[key_id] = 0
            rests = [f"k:{key_id}"]
        return max(self.cool(bucket, token, bases[bucket], retry_after, jitter) for bucket in rests)

    def lift(self, bucket: str) -> bool:
        """Whether it was cooling."""
        before = self.cooldowns.pop(bucket, Cooldown())
        self.probes.pop(bucket, None)
        if before.ends_ms:
            self.ramp_from[bucket] = self.now
        return before.ends_ms > 0

    def cool(self, bucket: str, token: str, base: int, retry_after: int, jitter: float) -> int:
        """The milliseconds until a probe."""
        slot = self.slots.get(token)
        before = self.cooldowns.get(bucket, Cooldown())
        after = cooled_down(
            before,
            now_ms=self.now,
            begun_ms=(slot.begun or slot.reserved) if slot else 0,
            base_ms=base,
            retry_after_ms=retry_after,
            jitter=jitter,
        )
        self.cooldowns[bucket] = after
        self.probes.pop(bucket, None)
        return after.ends_ms - self.now


def limits_of(pool: Pool, key: PoolKey) -> dict[str, Limits]:
    """Of the key's account and of the key, by bucket."""
    account = next(each for each in pool.accounts if each.id == key.account_id)
    return {f"a:{account.id}": account.limits, f"k:{key.id}": key.limits}
