"""What a closed frame adds to the figures of its hour: pure sums, and how long answers took as a histogram.

A frame belongs to the hour in which it was captured, a question to that in which it was put.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from assessment.alert_policy import ALERTING
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, SkipReason

SHORTEST_SECONDS = 0.05
GROWTH = 1.05
"""Of a step of the histogram to the next: a time that is read out of it is at most 2.5 % off."""
STEPS = 200


class Count(StrEnum):
    """What is counted in an hour; the columns are called so."""

    FRAMES_DONE = "frames_done"
    FRAMES_FAILED = "frames_failed"
    FRAMES_EXPIRED = "frames_expired"
    FRAMES_SKIPPED = "frames_skipped"
    ANSWERED = "answered"
    """By a model; reuse and geometry are counted apart."""
    REUSED = "reused"
    GUESSED = "guessed"
    FAILED = "failed"
    EXPIRED = "expired"
    VERDICTS_NONE = "verdicts_none"
    VERDICTS_LOW = "verdicts_low"
    VERDICTS_MEDIUM = "verdicts_medium"
    VERDICTS_HIGH = "verdicts_high"
    SAMPLED = "sampled"
    """Of what the gate would have left out, answered all the same; `missed` of them were medium or high."""
    MISSED = "missed"
    TIMED = "timed"
    """Answers of which it is known how long they took."""
    LEFT_SWITCHED_OFF = "left_switched_off"
    LEFT_TOO_FEW = "left_too_few"
    LEFT_LOW_PRIOR = "left_low_prior"
    LEFT_COOLDOWN = "left_cooldown"
    LEFT_DUPLICATE = "left_duplicate"
    LEFT_URGENT_ONLY = "left_urgent_only"
    LEFT_NO_MODEL = "left_no_model"


FRAMES_BY_STATUS = {
    AssessmentStatus.DONE: Count.FRAMES_DONE,
    AssessmentStatus.FAILED: Count.FRAMES_FAILED,
    AssessmentStatus.EXPIRED: Count.FRAMES_EXPIRED,
    AssessmentStatus.SKIPPED: Count.FRAMES_SKIPPED,
}
UNANSWERED = {AssessmentStatus.FAILED: Count.FAILED, AssessmentStatus.EXPIRED: Count.EXPIRED}
DONE_BY = {JudgedBy.MODEL: Count.ANSWERED, JudgedBy.REUSE: Count.REUSED, JudgedBy.GEOMETRY: Count.GUESSED}
VERDICTS_BY_LEVEL = {
    RiskLevel.NONE: Count.VERDICTS_NONE,
    RiskLevel.LOW: Count.VERDICTS_LOW,
    RiskLevel.MEDIUM: Count.VERDICTS_MEDIUM,
    RiskLevel.HIGH: Count.VERDICTS_HIGH,
}
LEFT_OUT_BY_REASON = {
    SkipReason.SWITCHED_OFF: Count.LEFT_SWITCHED_OFF,
    SkipReason.TOO_FEW: Count.LEFT_TOO_FEW,
    SkipReason.LOW_PRIOR: Count.LEFT_LOW_PRIOR,
    SkipReason.COOLDOWN: Count.LEFT_COOLDOWN,
    SkipReason.DUPLICATE: Count.LEFT_DUPLICATE,
    SkipReason.URGENT_ONLY: Count.LEFT_URGENT_ONLY,
    SkipReason.NO_MODEL: Count.LEFT_NO_MODEL,
}


@dataclass(slots=True)
class Tally:
    """What was counted, the seconds that answers took in all, and how many answers fell into which step."""

    counts: Counter[Count] = field(default_factory=Counter)
    seconds: float = 0.0
    steps: Counter[int] = field(default_factory=Counter)

    def add(self, other: Tally, sign: int = 1) -> None:
        """Add what another counted, or take it back with the sign -1."""
        if sign > 0:
            self.counts.update(other.counts)
            self.steps.update(other.steps)
        else:
            self.counts.subtract(other.counts)
            self.steps.subtract(other.steps)
        self.seconds += sign * other.seconds

    @property
    def average_seconds(self) -> float | None:
        """None where no answer was timed."""
        return self.seconds / self.counts[Count.TIMED] if self.counts[Count.TIMED] else None


@dataclass(frozen=True, slots=True)
class EndedQuestion:
    """A question that has its outcome."""

    created_at: datetime
    status: AssessmentStatus
    judged_by: JudgedBy
    level: RiskLevel | None = None
    sampled: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ClosedFrame:
    """A frame that waits for nothing any more."""

    captured_at: datetime
    status: AssessmentStatus
    left_out: Sequence[SkipReason] = ()
    questions: Sequence[EndedQuestion] = ()


def hour_of(moment: datetime) -> datetime:
    """The beginning of its hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def tally_frame(frame: ClosedFrame) -> dict[datetime, Tally]:
    """What the frame and its questions add to which hour."""
    hours: defaultdict[datetime, Tally] = defaultdict(Tally)
    own = hours[hour_of(frame.captured_at)].counts
    if frame.status in FRAMES_BY_STATUS:
        own[FRAMES_BY_STATUS[frame.status]] += 1
    for reason in frame.left_out:
        own[LEFT_OUT_BY_REASON[reason]] += 1
    for question in frame.questions:
        _add_question(hours[hour_of(question.created_at)], question)
    return dict(hours)


def _add_question(hour: Tally, question: EndedQuestion) -> None:
    if question.status in UNANSWERED:
        hour.counts[UNANSWERED[question.status]] += 1
    if question.status != AssessmentStatus.DONE or question.level is None:
        return
    hour.counts[DONE_BY[question.judged_by]] += 1
    hour.counts[VERDICTS_BY_LEVEL[question.level]] += 1
    if question.sampled:
        hour.counts[Count.SAMPLED] += 1
        hour.counts[Count.MISSED] += question.level in ALERTING
    if question.judged_by == JudgedBy.MODEL and question.seconds is not None:
        hour.counts[Count.TIMED] += 1
        hour.seconds += question.seconds
        hour.steps[step_of(question.seconds)] += 1


def step_of(seconds: float) -> int:
    """The step of the histogram that holds a time: step n those up to `SHORTEST_SECONDS * GROWTH**n`."""
    if seconds <= SHORTEST_SECONDS:
        return 0
    return min(STEPS, math.ceil(round(math.log(seconds / SHORTEST_SECONDS, GROWTH), 9)))


def seconds_of(step: int) -> float:
    """The time that stands for a step: what is in the middle of it, as shares go."""
    return SHORTEST_SECONDS * GROWTH ** (step - 0.5) if step else SHORTEST_SECONDS


def quantile(steps: Mapping[int, int], share: float) -> float | None:
    """The time within which this share of the answers came, at most 2.5 % off; None of none."""
    total, passed = sum(steps.values()), 0
    for step in sorted(steps):
        passed += steps[step]
        if passed and passed >= share * total:
            return seconds_of(step)
    return None


def add_up(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    together = Tally()
    for each in tallies:
        together.add(each)
    return together
