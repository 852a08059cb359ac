"""Who may send a request when: slots of accounts and keys, given out by one script in Redis for all workers at once.

A slot is reserved ahead of its time, so that each waiter has one of its own, and begins at its real time, when the
windows are looked at again: a thread that wakes late harms nobody. A window counts real beginnings; `guard_seconds` is
for what passes between the beginning and the provider's counting. Without Redis nothing is sent.
"""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any, NoReturn

import redis

from assessment.clients import Scope, UnableToAssess
from assessment.limits import (
    LONGEST_COOLDOWN_SECONDS,
    SHORTEST_COOLDOWN_SECONDS,
    KeyStanding,
    KeyState,
    Limits,
    Pool,
    Slot,
    Wish,
)
from trafficmon.core.ids import new_token

PREFIX = "{llm}"
GUARD_SECONDS = 0.02
_SCRIPT = (Path(__file__).parent / "limiter.lua").read_text(encoding="utf-8")


class NoSlot(UnableToAssess):
    """No key can take the call soon enough; `why` says what is in the way."""

    reason = "no_slot"
    charged = False

    def __init__(self, why: str, soonest_seconds: float) -> None:
        super().__init__(f"No key can take a call within the time ({why}).", retry_after_seconds=soonest_seconds)
        self.why = why


class LimiterUnreachable(UnableToAssess):
    """Redis cannot be asked whether a request may be sent: none is."""

    reason = "limiter_unreachable"
    charged = False


class PoolOutdated(Exception):
    """Accounts or keys have changed, or Redis has lost what it knew: load the pool again."""


class Limiter:
    """Gives out slots; safe to use from many threads."""

    def __init__(self, client: redis.Redis, *, guard_seconds: float = GUARD_SECONDS) -> None:
        self._script = client.register_script(_SCRIPT)
        self._guard = round(guard_seconds * 1000)

    def reserve(self, pool: Pool, wish: Wish, *, patience_seconds: float, lease_seconds: float) -> Slot:
        """A slot that begins within `patience_seconds`; raises NoSlot, PoolOutdated or LimiterUnreachable.

        Its call counts as in flight until it is settled, or until `lease_seconds` have passed.
        """
        token = new_token()
        asked = {
            "token": token,
            "tokens": wish.tokens,
            "only_key": wish.only_key,
            "only_account": wish.only_account,
            "avoid": dict.fromkeys(wish.not_accounts, True),
            "patience": _milliseconds(patience_seconds),
            "lease": _milliseconds(lease_seconds),
        }
        kind, *told = self._run("reserve", pool.model, asked, pool)
        if kind == "outdated":
            raise PoolOutdated
        if kind == "none":
            raise NoSlot(told[0], float(told[1]) / 1000)
        key_id, account_id, wait = told
        return Slot(token, key_id, account_id, pool.model, float(wait) / 1000)

    def begin(self, slot: Slot) -> float:
        """0 when the request must be sent now, else how many seconds to wait before asking again.

        Raises SlotLost, after which nothing is held any more.
        """
        kind, told = self._run("begin", slot.model, {"token": slot.token})
        if kind == "lost":
            raise SlotLost(told)
        return float(told) / 1000

    def settle(self, pool: Pool, slot: Slot, *, tokens: int | None, succeeded: bool) -> None:
        """The call has ended: free its place, and let `tokens` take the place of what was estimated.

        Never raises: a Redis that is gone has forgotten the slot, too.
        """
        asked = {
            "token": slot.token,
            "key": slot.key_id,
            "used": tokens,
            "succeeded": succeeded,
            "base": _milliseconds(pool.default_cooldown_seconds),
            **_cooldown_terms(),
        }
        self._try("settle", slot.model, {name: value for name, value in asked.items() if value is not None})

    def give_back(self, slot: Slot) -> None:
        """Nothing was sent: free all that the slot holds."""
        self._try("give_back", slot.model, {"token": slot.token})

    def cool(self, scope: Scope, slot: Slot, *, reason: str, retry_after_seconds: float | None = None) -> float:
        """Leave the slot's account, key or model alone for a while, longer each time in a row; for how many seconds."""
        asked = {
            "token": slot.token,
            "bucket": _bucket(scope, slot),
            "base": _milliseconds(SHORTEST_COOLDOWN_SECONDS),
            "retry_after": _milliseconds(retry_after_seconds or 0),
            "reason": reason,
            **_cooldown_terms(),
        }
        return self._try("cool", slot.model, asked)

    def note_failure(self, pool: Pool, slot: Slot, *, reason: str) -> float:
        """A failure that nobody is to blame for. After so many in a row the key cools; for how many seconds."""
        asked = {
            "token": slot.token,
            "key": slot.key_id,
            "most": pool.failures_before_cooldown,
            "bucket": _bucket(Scope.KEY, slot),
            "base": _milliseconds(pool.default_cooldown_seconds),
            "retry_after": 0,
            "reason": reason,
            **_cooldown_terms(),
        }
        return self._try("note_failure", slot.model, asked)

    def standings(self, pool: Pool) -> list[KeyStanding]:
        """Where each key of the pool stands; raises LimiterUnreachable."""
        [told] = self._run("standings", pool.model, {}, pool)
        return [_standing(each) for each in json.loads(told)]

    def publish_version(self, version: str) -> None:
        """From now on pools of another version are outdated; raises LimiterUnreachable."""
        self._run("publish", "", {"version": version, "replace": True})

    def ensure_version(self, version: str) -> str:
        """The version that holds: `version` where there was none, as on an empty Redis, where nothing is sent for a
        second. Raises LimiterUnreachable."""
        return self._run("publish", "", {"version": version, "replace": False})[0]

    def _try(self, operation: str, model: str, asked: dict[str, Any]) -> float:
        try:
            [told, *_rest] = self._run(operation, model, asked)
        except LimiterUnreachable:
            return 0.0
        return float(told) / 1000 if told.replace(".", "").isdigit() else 0.0

    def _run(self, operation: str, model: str, asked: dict[str, Any], pool: Pool | None = None) -> list[str]:
        request = json.dumps({"model": model, "guard": self._guard, **asked})
        try:
            told = self._script(keys=[PREFIX], args=[operation, request, _pool_json(pool) if pool else ""])
        except redis.RedisError as error:
            _refuse(error)
        return [each.decode() if isinstance(each, bytes) else str(each) for each in told]


class SlotLost(UnableToAssess):
    """The slot is no longer held: its account cools, the keys have changed, or it came too late."""

    reason = "slot_lost"
    charged = False


def _refuse(error: redis.RedisError) -> NoReturn:
    message = f"Redis cannot be asked whether a request may be sent ({type(error).__name__}: {str(error)[:200]})."
    raise LimiterUnreachable(message) from None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _cooldown_terms() -> dict[str, float]:
    """Jitter, so that what failed together does not come back together."""
    return {
        "shortest": _milliseconds(SHORTEST_COOLDOWN_SECONDS),
        "longest": _milliseconds(LONGEST_COOLDOWN_SECONDS),
        "jitter": random.uniform(0.9, 1.1),
    }


def _bucket(scope: Scope, slot: Slot) -> str:
    match scope:
        case Scope.ACCOUNT:
            return f"a:{slot.account_id}:{slot.model}"
        case Scope.MODEL:
            return f"m:{slot.model}"
        case _:
            return f"k:{slot.key_id}:{slot.model}"


@functools.lru_cache(maxsize=64)
def _pool_json(pool: Pool) -> str:
    told = {
        "version": pool.version,
        "strategy": pool.strategy,
        "accounts": {each.id: _limits(each.limits) for each in pool.accounts},
        "keys": [
            {
                "id": each.id,
                "account": each.account_id,
                "priority": each.priority,
                "weight": each.weight,
                **_limits(each.limits),
            }
            for each in pool.keys
        ],
    }
    return json.dumps(told)


def _limits(limits: Limits) -> dict[str, int]:
    return {
        "s": limits.paced_per_second,
        "m": limits.per_minute,
        "t": limits.tokens_per_minute,
        "f": limits.in_flight,
    }


def _standing(told: dict[str, Any]) -> KeyStanding:
    closed_seconds = max(0.0, float(told["closed"]) / 1000)
    in_use = KeyState.IN_USE if told["in_flight"] else KeyState.AVAILABLE
    return KeyStanding(
        key_id=told["key"],
        account_id=told["account"],
        state=KeyState.COOLING if told["half"] else in_use,
        reason=told["reason"],
        until_seconds=closed_seconds,
        in_flight=told["in_flight"],
        used_second=told["second"],
        used_minute=told["minute"],
        tokens_minute=told["tokens"],
        succeeded=told["succeeded"],
        failed=told["failed"],
    )
