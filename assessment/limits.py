"""What the pool of keys may do: limits, strategies, accounts and keys as values. No Django, no Redis, no clock.

Provider limits belong to an account and model, whichever of its keys is used; a key may have limits of its own beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SHORTEST_COOLDOWN_SECONDS = 10.0
LONGEST_COOLDOWN_SECONDS = 120.0


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

    @property
    def paced_per_second(self) -> int:
        """Requests a second; where only those a minute are limited, a provider may hold each second to its share."""
        return self.per_second or -(-self.per_minute // 60)


@dataclass(frozen=True, slots=True)
class PoolAccount:
    """An account that may be used, with its limits for the model in question."""

    id: str
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class PoolKey:
    """A key that may be used, with the limits that it has beside its account's."""

    id: str
    account_id: str
    limits: Limits = Limits()
    priority: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """What may be used for a model as of `version`, which changes with every change of accounts and keys."""

    version: str
    model: str
    strategy: Strategy
    accounts: tuple[PoolAccount, ...]
    keys: tuple[PoolKey, ...]
    default_cooldown_seconds: float = 60.0
    """Of a key that fails again and again."""
    failures_before_cooldown: int = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call needs: about so many `tokens`, perhaps a certain key or account, others than some where possible."""

    tokens: int = 0
    only_key: str = ""
    only_account: str = ""
    not_accounts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to send one request after `wait_seconds`, once the limiter lets it begin."""

    token: str
    key_id: str
    account_id: str
    model: str
    wait_seconds: float


class KeyState(StrEnum):
    """Where a key stands."""

    AVAILABLE = "AVAILABLE"
    IN_USE = "IN_USE"
    COOLING = "COOLING"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """A key at this moment; what is used counts for its account and the model."""

    key_id: str
    account_id: str
    state: KeyState
    reason: str = ""
    until_seconds: float = 0.0
    """Until it may be asked again, where it cools."""
    in_flight: int = 0
    used_second: int = 0
    used_minute: int = 0
    tokens_minute: int = 0
    succeeded: int = 0
    failed: int = 0


def cooldown_seconds(base: float, streak: int, *, jitter: float = 1.0) -> float:
    """How long to leave somebody alone for the `streak`-th time in a row, from 1: twice as long each time."""
    doubled = base * 2.0 ** (streak - 1)
    return min(LONGEST_COOLDOWN_SECONDS, max(SHORTEST_COOLDOWN_SECONDS, doubled)) * jitter
