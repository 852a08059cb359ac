"""What the pool of keys may do: limits, strategies, accounts and keys as values. No Django, no Redis, no clock.

Provider limits belong to an account and model, whichever of its keys is used; a key may have limits of its own beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    """How a key is chosen among those that could be used now."""

    ROUND_ROBIN = "round_robin"
    LEAST_LOADED = "least_loaded"
    WEIGHTED = "weighted"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests a second and a minute, tokens a minute, calls in flight; 0 is no limit."""

    per_second: int = 0
    per_minute: int = 0
    tokens_per_minute: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class PoolAccount:
    """An account with its limits for the model of its pool."""

    id: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class PoolKey:
    """A key of an account, with limits of its own beside the account's; the lowest priority is asked first."""

    id: str
    account_id: str
    limits: Limits
    priority: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """The accounts and keys that may be used now for a model, as of one version of their configuration."""

    version: str
    model: str
    strategy: Strategy
    accounts: tuple[PoolAccount, ...]
    keys: tuple[PoolKey, ...]
    default_cooldown_seconds: float = 60.0
    failures_before_cooldown: int = 3
    """Of a key in a row, whoever is to blame, before it cools."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call needs: how many tokens it will take at a guess, and with whom it may or would rather not be made.

    `not_accounts` are asked only where no other account has a slot in time.
    """

    tokens: int = 0
    only_key: str = ""
    only_account: str = ""
    not_accounts: frozenset[str] = frozenset()

    @property
    def is_pinned(self) -> bool:
        return bool(self.only_key or self.only_account)

    def allows(self, key: PoolKey) -> bool:
        return self.only_key in {"", key.id} and self.only_account in {"", key.account_id}


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to send one call with a key, `wait_seconds` after it was reserved."""

    token: str
    key_id: str
    account_id: str
    model: str
    tokens: int
    wait_seconds: float


class KeyState(StrEnum):
    """Whether a key can be used, is, rests, or was taken out."""

    AVAILABLE = "AVAILABLE"
    IN_USE = "IN_USE"
    COOLING = "COOLING"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """How a key stands now; what it used and may use of its own limits or, of kinds that it has none of, its account's.

    It is COOLING until a probe has succeeded, which is tried `until_seconds` from now. `streak` is how often in a row
    it, its account or the model has cooled. A limit of 0 is none.
    """

    key_id: str
    account_id: str
    state: KeyState
    reason: str
    until_seconds: float = 0.0
    in_flight: int = 0
    used_second: int = 0
    limit_second: int = 0
    used_minute: int = 0
    limit_minute: int = 0
    tokens_minute: int = 0
    limit_tokens: int = 0
    streak: int = 0


BASE_COOLDOWN_SECONDS = 10.0
SHORTEST_COOLDOWN_SECONDS, LONGEST_COOLDOWN_SECONDS = 10.0, 120.0
