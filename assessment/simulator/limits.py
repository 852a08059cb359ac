"""Per-key limits as strict sliding windows: a request over one is refused and not counted."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import takewhile

from assessment.simulator.faults import REFUSALS, FaultKind
from assessment.simulator.protocol import Refusal

MINUTE = 60.0


@dataclass(slots=True)
class KeyLimits:
    """At most `rps` requests in any second, `rpm` requests and `tpm` input tokens in any minute; 0 is no limit."""

    rps: int = 0
    rpm: int = 0
    tpm: int = 0
    _times: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _tokens: dict[str, deque[tuple[float, int]]] = field(default_factory=lambda: defaultdict(deque))

    def admit(self, key: str, tokens: int, now: float) -> None:
        """Count a request of `tokens` at `now`, or raise the Refusal of the limit it is over."""
        times, spent = self._times[key], self._tokens[key]
        while times and times[0] <= now - MINUTE:
            times.popleft()
        while spent and spent[0][0] <= now - MINUTE:
            spent.popleft()
        in_last_second = sum(1 for _at in takewhile(lambda at: at > now - 1.0, reversed(times)))
        if (self.rps and in_last_second >= self.rps) or (self.rpm and len(times) >= self.rpm):
            raise Refusal(*REFUSALS[FaultKind.RATE_LIMIT])
        if self.tpm and sum(each for _at, each in spent) + tokens > self.tpm:
            raise Refusal(*REFUSALS[FaultKind.TOKEN_LIMIT])
        times.append(now)
        spent.append((now, tokens))
