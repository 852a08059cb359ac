"""Limits of each account and model as strict sliding windows: a request over one is refused and not counted."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from assessment.simulator.exchange import Refusal
from assessment.simulator.faults import REFUSALS, FaultKind

TOO_MANY_AT_ONCE = (429, "Throttling.Concurrency", "Too many concurrent requests, please try again later.")
GROWTH_SECONDS = 10.0
GROWTH_FREE = 20


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast the rate may rise: within any `seconds` no more than `factor` times as many requests as within the
    `seconds` before, or `free` ones where that is more. What the provider really does is not documented."""

    factor: float
    seconds: float = GROWTH_SECONDS
    free: int = GROWTH_FREE


@dataclass(frozen=True, slots=True)
class Permitted:
    """What an account may send to a model: at most `rps` requests in any second, `rpm` requests and `tpm` input tokens
    in any minute, `in_flight` at once; 0 and None are no limit."""

    rps: int = 0
    rpm: int = 0
    tpm: int = 0
    in_flight: int = 0
    growth: Growth | None = None


@dataclass(slots=True)
class _Window:
    """Requests admitted within the last `seconds`, and their tokens; `now` never goes back."""

    seconds: float
    tokens: int = 0
    _admitted: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, tokens: int, now: float) -> None:
        self._admitted.append((now, tokens))
        self.tokens += tokens

    def count(self, now: float) -> int:
        """How many there are; what is as old as the window is no longer in it."""
        while self._admitted and self._admitted[0][0] <= now - self.seconds:
            self.tokens -= self._admitted.popleft()[1]
        return len(self._admitted)


class _Used:
    """What one account has used of one model."""

    def __init__(self, permitted: Permitted) -> None:
        self.permitted = permitted
        self.in_flight = 0
        self._second, self._minute = _Window(1.0), _Window(60.0)
        span = permitted.growth.seconds if permitted.growth else 0.0
        self._lately, self._twice_as_long = _Window(span), _Window(2 * span)

    def admit(self, tokens: int, now: float) -> None:
        """Count a request, or raise the Refusal of the first limit it is over."""
        permitted, in_second, in_minute = self.permitted, self._second.count(now), self._minute.count(now)
        if _is_used_up(permitted.in_flight, self.in_flight):
            raise Refusal(*TOO_MANY_AT_ONCE)
        if _is_used_up(permitted.rps, in_second) or _is_used_up(permitted.rpm, in_minute):
            raise Refusal(*REFUSALS[FaultKind.RATE_LIMIT])
        if self._grows_too_fast(now):
            raise Refusal(*REFUSALS[FaultKind.BURST_LIMIT])
        if permitted.tpm and self._minute.tokens + tokens > permitted.tpm:
            raise Refusal(*REFUSALS[FaultKind.TOKEN_LIMIT])
        for window in (self._second, self._minute, self._lately, self._twice_as_long):
            window.add(tokens, now)

    def _grows_too_fast(self, now: float) -> bool:
        growth = self.permitted.growth
        if growth is None:
            return False
        lately = self._lately.count(now)
        before = self._twice_as_long.count(now) - lately
        return lately + 1 > max(growth.free, growth.factor * before)


def _is_used_up(limit: int, count: int) -> bool:
    return limit != 0 and count >= limit


class AccountLimits:
    """The limits of every account and model; which key of an account is used makes no difference."""

    def __init__(self, permitted: Permitted) -> None:
        self._used: dict[tuple[str, str], _Used] = defaultdict(lambda: _Used(permitted))

    @contextmanager
    def admitted(self, account: str, model: str, *, tokens: int, now: float) -> Iterator[None]:
        """A request of `tokens` that came at `now`, in flight until the block ends; raises the Refusal of its limit."""
        used = self._used[account, model]
        used.admit(tokens, now)
        used.in_flight += 1
        try:
            yield
        finally:
            used.in_flight -= 1
