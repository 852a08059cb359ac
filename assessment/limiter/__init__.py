"""Which key makes the next call, and when: one atomic script in Redis over all keys of a model's pool.

A call is reserved, which books its time ahead, begun at that time, and settled; sleeping until then is the caller's
part. What the scripts keep is told in law.lua.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import redis
import structlog

from assessment.clients.failures import Scope, UnableToAssess
from assessment.limits import (
    BASE_COOLDOWN_SECONDS,
    LONGEST_COOLDOWN_SECONDS,
    SHORTEST_COOLDOWN_SECONDS,
    KeyStanding,
    KeyState,
    Limits,
    Pool,
    Slot,
    Strategy,
    Wish,
)
from trafficmon.core.ids import new_token

log = structlog.get_logger()

GUARD_SECONDS = 0.02
"""By which every window is made longer: a call may arrive as much later after the one before it than the next one."""
VERSION_KEY, BORN_KEY = "{llm}:version", "{llm}:born"
_HERE = Path(__file__).parent


class NoSlot(UnableToAssess):
    """No key can make the call in time, or the slot was lost before it began.

    `reason` is what the soonest key waits for: rate_limited, token_limited, in_flight or cooling; no_key where the wish
    fits none; of a slot that was lost: cooling, pool_changed or slot_lost. `soonest_seconds` is when to ask again.
    """

    charged = False

    def __init__(self, reason: str, soonest_seconds: float) -> None:
        super().__init__(f"No slot within {soonest_seconds:.3f} s: {reason}", retry_after_seconds=soonest_seconds)
        self.reason = reason
        self.soonest_seconds = soonest_seconds


class SlotLost(NoSlot):
    """The slot may not begin any more, and nothing is held: another may be had at once."""


class LimiterUnreachable(UnableToAssess):
    """Redis does not answer. No call is made without it."""

    reason = "limiter_unreachable"
    charged = False


class PoolOutdated(Exception):
    """The pool is not of the version that is current in Redis, or none is: load it again, publish it where none is."""


NO_KEY_SECONDS = 5.0
"""When to ask again where the wish fits no key: a changed pool is known everywhere by then."""


class Limiter:
    """The pools' limits, kept in one Redis for all processes; safe to use from many threads.

    `now_ms` replaces Redis's clock and `roll` chance (0 to 1), in tests.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        guard_seconds: float = GUARD_SECONDS,
        now_ms: Callable[[], int] | None = None,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._guard_ms = round(guard_seconds * 1000)
        self._now_ms = now_ms
        self._roll = roll
        self._spelled: dict[str, tuple[Pool, str]] = {}
        law = _read("law")
        self._reserve, self._begin, self._sent, self._settle, self._give_back = (
            client.register_script(law + _read(name)) for name in ("reserve", "begin", "sent", "settle", "give_back")
        )
        self._cool, self._lift, self._standings, self._publish = (
            client.register_script(law + _read(name)) for name in ("cool", "lift", "standings", "publish")
        )

    def reserve(self, pool: Pool, wish: Wish, *, patience_seconds: float, lease_seconds: float) -> Slot:
        """Book a call within `patience_seconds`, in flight for at most `lease_seconds` from when it is sent.

        Raises NoSlot, PoolOutdated or LimiterUnreachable.
        """
        token = new_token()
        tiers = {} if wish == Wish(wish.tokens) else {"tiers": _tiers(pool, wish)}
        found = self._run(
            self._reserve,
            self._spell(pool),
            model=pool.model,
            token=token,
            tokens=wish.tokens,
            patience=round(patience_seconds * 1000),
            lease=round(lease_seconds * 1000),
            **tiers,
        )
        if found.get("outdated"):
            raise PoolOutdated
        if "reason" in found:
            raise _no_slot(found)
        key = next(key for key in pool.keys if key.id == found["key"])
        return Slot(token, key.id, key.account_id, pool.model, wish.tokens, max(found["wait"], 0) / 1000)

    def begin(self, slot: Slot) -> float:
        """0.0 where the call may be sent, at once; else the seconds still to wait before this is asked again.

        To be called at the slot's time, just before sending. Raises SlotLost or LimiterUnreachable.
        """
        found = self._run(self._begin, model=slot.model, token=slot.token)
        if "reason" in found:
            raise _no_slot(found, SlotLost)
        return float(found["wait"] / 1000)

    def note_sent(self, slot: Slot) -> None:
        """Say that the call has left only now, well after its slot began; where Redis is away nothing else is sent."""
        self._run_quietly(self._sent, slot)

    def settle(self, slot: Slot, *, tokens: int | None, succeeded: bool, works: bool = False) -> None:
        """Say that the call has ended, and how many `tokens` it took where that is known.

        `works` is said of a failure that is the question's own: what the call probed has recovered all the same.
        After `cool`, where that is due. Where Redis is away the slot's lease ends by itself, and an answer is not lost.
        """
        used = {} if tokens is None else {"used": tokens}
        self._run_quietly(self._settle, slot, succeeded=succeeded, works=succeeded or works, **used)

    def give_back(self, slot: Slot, *, failed: bool = False) -> None:
        """Say that the call is not made, or `failed` before anything of it left; where Redis is away the slot's lease
        ends by itself."""
        self._run_quietly(self._give_back, slot, failed=failed)

    def cool(
        self,
        pool: Pool,
        scope: Scope,
        slot: Slot,
        *,
        reason: str,
        seconds: float | None = None,
        retry_after_seconds: float | None = None,
    ) -> float:
        """Let the slot's account, its key, or the model rest after the slot's call failed; the seconds until a probe.

        A failure of the provider is nobody's in particular: what the call probed rests again or, after so many in a row
        as the pool bears, the key; 0.0 where nothing does. `seconds` is how long the first time in a row. To be called
        before `settle`. Raises LimiterUnreachable, or ValueError for the scope of a question.
        """
        named = {"key": slot.key_id, "most": pool.failures_before_cooldown} if scope is Scope.PROVIDER else {}
        found = self._run(
            self._cool,
            model=pool.model,
            token=slot.token,
            rests=[_rest(each, slot, pool, seconds) for each in (_RESTING if named else (scope,))],
            why=reason,
            shortest=round(SHORTEST_COOLDOWN_SECONDS * 1000),
            longest=round(LONGEST_COOLDOWN_SECONDS * 1000),
            retry_after=round((retry_after_seconds or 0) * 1000),
            jitter=0.9 + 0.2 * self._roll(),
            **named,
        )
        return float(found["seconds"])

    def lift(self, model: str, scope: Scope, name: str = "") -> bool:
        """Let the account or key of that name, or the model, be asked again at once; whether it was cooling.

        Raises LimiterUnreachable.
        """
        return bool(self._run(self._lift, model=model, bucket=_bucket(scope, account_id=name, key_id=name)))

    def standings(self, pool: Pool) -> list[KeyStanding]:
        """How each key of the pool stands, in its order; raises LimiterUnreachable."""
        found = self._run(self._standings, self._spell(pool), model=pool.model)
        return [
            KeyStanding(
                key.id,
                key.account_id,
                _state(each.pop("cooling"), each["in_flight"]),
                each.pop("reason"),
                float(each.pop("seconds")),
                **each,
            )
            for key, each in zip(pool.keys, found, strict=True)
        ]

    def publish_version(self, version: str) -> None:
        """Make `version` of the pools the current one: slots and pools of another one are void from now on.

        A Redis that has had no version is taken for emptied, and starts slowly. Raises LimiterUnreachable.
        """
        self._run(self._publish, model="", version=version)

    def current_version(self) -> str | None:
        """The current version of the pools, None in an empty Redis; raises LimiterUnreachable."""
        try:
            version = self._client.get(VERSION_KEY)
        except redis.RedisError as error:
            raise LimiterUnreachable(str(error)) from error
        return version.decode() if isinstance(version, bytes) else version

    def _run(self, script: Any, *pools: str, **call: object) -> Any:
        clock = {"now": self._now_ms()} if self._now_ms else {}
        spelled = json.dumps({"guard": self._guard_ms} | clock | call)
        try:
            return json.loads(script(keys=[VERSION_KEY, BORN_KEY], args=[spelled, *pools]))
        except redis.RedisError as error:
            raise LimiterUnreachable(str(error)) from error

    def _run_quietly(self, script: Any, slot: Slot, **call: object) -> None:
        try:
            self._run(script, model=slot.model, token=slot.token, **call)
        except LimiterUnreachable as error:
            log.warning("limiter.slot_left", key_id=slot.key_id, error=str(error))

    def _spell(self, pool: Pool) -> str:
        """As reserve.lua reads it; of each model the latest is kept, since spelling takes longer than reserving."""
        known = self._spelled.get(pool.model)
        if known is None or known[0] is not pool:
            known = self._spelled[pool.model] = pool, spell_pool(pool)
        return known[1]


def spell_pool(pool: Pool) -> str:
    """By columns: of keys and of buckets, which are all accounts and the keys with limits of their own."""
    limits = {f"a:{each.id}": each.limits for each in pool.accounts}
    limits |= {f"k:{each.id}": each.limits for each in pool.keys if each.limits != Limits()}
    head = {"version": pool.version, "strategy": pool.strategy, "buckets": list(limits)}
    columns = _key_columns(pool, list(limits)) | _limit_columns(list(limits.values()))
    return json.dumps(head | columns, separators=(",", ":"))


def _key_columns(pool: Pool, buckets: list[str]) -> dict[str, list[Any]]:
    rows = {name: row for row, name in enumerate(buckets, 1)}
    by_priority = pool.strategy is Strategy.PRIORITY
    return {
        "keys": [key.id for key in pool.keys],
        "preference": [key.priority if by_priority else key.weight for key in pool.keys],
        "account_bucket": [rows[f"a:{key.account_id}"] for key in pool.keys],
        "key_bucket": [rows.get(f"k:{key.id}", 0) for key in pool.keys],
    }


def _limit_columns(limits: list[Limits]) -> dict[str, list[int]]:
    names = [each.name for each in fields(Limits)]
    return {name: [getattr(each, name) for each in limits] for name in names}


def _tiers(pool: Pool, wish: Wish) -> Sequence[Sequence[int]]:
    """The rows of the keys that the wish allows: first those of the accounts that it prefers."""
    rows = [(row, key) for row, key in enumerate(pool.keys, 1) if wish.allows(key)]
    preferred = [row for row, key in rows if key.account_id not in wish.not_accounts]
    return preferred, [row for row, key in rows if key.account_id in wish.not_accounts]


def _bucket(scope: Scope, *, account_id: str, key_id: str) -> str:
    match scope:
        case Scope.MODEL:
            return "m"
        case Scope.ACCOUNT:
            return f"a:{account_id}"
        case Scope.KEY:
            return f"k:{key_id}"
    message = f"Nothing to cool for {scope}"
    raise ValueError(message)


_RESTING = (Scope.MODEL, Scope.ACCOUNT, Scope.KEY)


def _rest(scope: Scope, slot: Slot, pool: Pool, seconds: float | None) -> dict[str, object]:
    usual = pool.default_cooldown_seconds if scope is Scope.KEY else BASE_COOLDOWN_SECONDS
    bucket = _bucket(scope, account_id=slot.account_id, key_id=slot.key_id)
    return {"bucket": bucket, "base": round((usual if seconds is None else seconds) * 1000)}


def _state(cools: bool, in_flight: int) -> KeyState:
    if cools:
        return KeyState.COOLING
    return KeyState.IN_USE if in_flight else KeyState.AVAILABLE


def _no_slot(found: dict[str, Any], kind: type[NoSlot] = NoSlot) -> NoSlot:
    return kind(found["reason"], found["soonest"] / 1000 if "soonest" in found else NO_KEY_SECONDS)


def _read(name: str) -> str:
    return (_HERE / f"{name}.lua").read_text(encoding="utf-8")
