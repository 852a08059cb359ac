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
