"""What came and what became of it, as `GET /_stats` tells."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from assessment.simulator.credentials import Credential

REMEMBERED_BODIES = 100_000
"""Of the latest. A request that is sent again unasked comes within seconds of the first."""


@dataclass(slots=True)
class Bodies:
    """How many different bodies came. As long as every question is another, fewer of them than requests means that
    some request was sent twice."""

    count: int = 0
    _latest: dict[bytes, None] = field(default_factory=dict)

    def note(self, body: bytes) -> None:
        """Count the body unless it is one of the latest."""
        digest = hashlib.sha256(body).digest()
        if digest in self._latest:
            return
        self.count += 1
        self._latest[digest] = None
        if len(self._latest) > REMEMBERED_BODIES:
            del self._latest[next(iter(self._latest))]


@dataclass(slots=True)
class Counts:
    """Requests seen, by outcome, key and account; a key is told by its last characters only.

    An outcome is `ok`, the code of the refusal as the native protocol names it, the kind of fault, or `cancelled`.
    """

    requests: int = 0
    in_flight: int = 0
    connections: int = 0
    bodies: Bodies = field(default_factory=Bodies)
    outcomes: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    by_key: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_account: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def end(self, credential: Credential, outcome: str) -> None:
        """Count a request by what became of it."""
        self.outcomes[outcome] += 1
        self.by_key[credential.told_key][outcome] += 1
        self.by_account[credential.told_account][outcome] += 1

    def told(self) -> dict[str, Any]:
        """The counts as JSON can hold them; `ended` is the sum of all outcomes."""
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "connections": self.connections,
            "ended": self.outcomes.total(),
            "bodies": self.bodies.count,
            "outcomes": dict(self.outcomes),
            "levels": dict(self.levels),
            "by_key": {key: dict(outcomes) for key, outcomes in self.by_key.items()},
            "by_account": {account: dict(outcomes) for account, outcomes in self.by_account.items()},
        }
