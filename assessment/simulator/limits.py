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
    _admitted: dict[str, deque[tuple[float, int]]] = field(default_factory=lambda: defaultdict(deque))
    """Moment and tokens of each key's requests in the last minute."""

    def admit(self, key: str, tokens: int, now: float) -> None:
        """Count a request of `tokens` at `now`, or raise the Refusal of the limit it is over."""
        admitted = self._of_last_minute(key, now)
        in_last_second = sum(1 for _ in takewhile(lambda one: one[0] > now - 1.0, reversed(admitted)))
        if _is_used_up(self.rps, in_last_second) or _is_used_up(self.rpm, len(admitted)):
            raise Refusal(*REFUSALS[FaultKind.RATE_LIMIT])
        if self.tpm and sum(each for _at, each in admitted) + tokens > self.tpm:
            raise Refusal(*REFUSALS[FaultKind.TOKEN_LIMIT])
        admitted.append((now, tokens))

    def _of_last_minute(self, key: str, now: float) -> deque[tuple[float, int]]:
        admitted = self._admitted[key]
        while admitted and admitted[0][0] <= now - MINUTE:
            admitted.popleft()
        return admitted


def _is_used_up(limit: int, count: int) -> bool:
    return limit != 0 and count >= limit
