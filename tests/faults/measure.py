"""One fault under load: everything before, during and after it, in figures."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from tests.faults.kinds import FAULTS, Fault
from tests.faults.offer import offering
from tests.faults.outcomes import Outcomes, first_answer_after, is_open, last_ended, outcomes_since
from tests.faults.stage import PER_SECOND, Stage, wait_for
from trafficmon.core.clock import utc_now

WARM_SECONDS, SETTLING_SECONDS, AFTER_SECONDS = 2.0, 1.0, 2.0
LONGEST_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a fault did; seconds count from its end."""

    fault: str
    lasted_seconds: float
    first_answer_seconds: float
    backlog_gone_seconds: float
    """Until every question asked before the fault's end had its outcome."""
    second_calls: int
    """Answers that came to nothing: their questions were asked again."""
    unanswered_after: int
    """Of those asked once it had recovered."""
    refused: int
    """Throttled, by order or because of us."""
    refused_after: int
    """Of those, once it had recovered."""
    requests: dict[str, int]
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class _Played:
    """When the fault happened, ended and was recovered from, and the requests that were made until then."""

    happened: datetime
    ended: datetime
    recovered: datetime
    requests: Counter[str]


def measure(stage: Stage, name: str, seconds: float | None = None) -> Figures:
    """Let the fault happen under load, for its usual time or so many seconds."""
    stage.calm()
    fault = FAULTS[name]
    before, began = stage.requests(), utc_now()
    with offering(stage.cameras, per_second=PER_SECOND):
        wait_for(lambda: first_answer_after(began), seconds=LONGEST_SECONDS)
        time.sleep(WARM_SECONDS)
        played = _play(stage, fault, fault.seconds if seconds is None else seconds)
        wait_for(lambda: not is_open(asked_before=played.ended), seconds=LONGEST_SECONDS)
        time.sleep(AFTER_SECONDS)
    wait_for(lambda: not is_open(), seconds=stage.terms.patience_seconds + 20)
    requests = stage.requests()
    found, after = outcomes_since(began), outcomes_since(played.recovered)
    made = requests - before
    return Figures(
        fault=name,
        lasted_seconds=_seconds(played.happened, played.ended),
        first_answer_seconds=_seconds(played.ended, first_answer_after(played.ended)),
        backlog_gone_seconds=_seconds(played.ended, last_ended(began, played.ended)),
        second_calls=made["ok"] - found.answered,
        unanswered_after=after.asked - after.answered,
        refused=_refused(made),
        refused_after=_refused(requests - played.requests),
        requests=dict(made),
        outcomes=found,
    )


def _play(stage: Stage, fault: Fault, seconds: float) -> _Played:
    fault.begin(stage)
    happened = utc_now()
    time.sleep(seconds)
    fault.end(stage)
    ended = utc_now()
    wait_for(lambda: first_answer_after(ended), seconds=LONGEST_SECONDS)
    time.sleep(SETTLING_SECONDS)
    return _Played(happened, ended, utc_now(), stage.requests())


def _seconds(since: datetime, until: datetime | None) -> float:
    """Between two moments; none where the second came first, and no end where it never came."""
    return max(0.0, round((until - since).total_seconds(), 1)) if until else math.inf


def _refused(requests: Counter[str]) -> int:
    return sum(count for outcome, count in requests.items() if outcome.startswith("Throttling"))
