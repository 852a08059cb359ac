"""What a camera's page says of its last minutes: rates, latencies, outcomes, drops, cost and history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Case, Prefetch, Sum, When

from assessment.camera_lost import spell_duration
from assessment.ledger import day_of
from assessment.models import STATUS_CHOICES, Alert, Assessment, Evidence, EvidenceKind, FrameResult, Spending
from assessment.risk import AssessmentStatus, JudgedBy
from cameras.models import Camera, StateChange
from cameras.skipped import Skipped, skipped_in_words
from cameras.wording import in_words
from trafficmon.core.logging import mask_secrets

MINUTES = 5
"""What rates and latencies are of."""
MOST_FRAMES = 1500
"""Of a camera at 5 frames a second so many come in that time; of a faster one the newest are looked at."""
MOST_ANSWERS = 200
VERDICTS_SHOWN, ALERTS_SHOWN, STATES_SHOWN = 8, 4, 12


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds that something took: half of the times at most `median`, 95 of 100 at most `most`."""

    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked of models today, and what it cost in the currency of the prices."""

    calls: int
    failed_calls: int
    tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """How a camera has been doing."""

    minutes: int
    interval_seconds: float
    frames_a_minute: float
    detection: Spread | None
    model: Spread | None
    verdict: Spread | None
    outcomes: tuple[tuple[str, int], ...]
    skipped: Skipped | None
    spent: Spent


def spread_of(seconds: Iterable[float]) -> Spread | None:
    """Of any number of times; None of none."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    last = len(ordered) - 1
    return Spread(ordered[last // 2], ordered[-(-95 * len(ordered) // 100) - 1])


def figures_of(camera: Camera, *, now: datetime) -> Figures:
    """The camera's figures; four queries."""
    since = now - timedelta(minutes=MINUTES)
    frames = FrameResult.objects.filter(camera=camera, captured_at__gt=since).order_by("-captured_at")
    moments = list(frames.values_list("captured_at", "detected_at")[:MOST_FRAMES])
    asked = list(Assessment.objects.filter(camera=camera, created_at__gt=since).values_list("status", flat=True))
    answers = _answers(camera, since)
    return Figures(
        minutes=MINUTES,
        interval_seconds=camera.frame_interval or settings.ENVIRONMENT.frame_interval,
        frames_a_minute=_rate(moments, now),
        detection=spread_of((detected - captured).total_seconds() for captured, detected in moments),
        model=spread_of(model for model, _verdict in answers),
        verdict=spread_of(verdict for _model, verdict in answers),
        outcomes=_outcomes(asked),
        skipped=skipped_in_words(camera.pk),
        spent=_spent(camera, now),
    )


def _rate(moments: Sequence[tuple[datetime, datetime]], now: datetime) -> float:
    """Frames a minute; where there were more than were looked at, of the time that those looked at took."""
    if len(moments) < MOST_FRAMES:
        return len(moments) / MINUTES
    return 60 * len(moments) / (now - moments[-1][0]).total_seconds()


def _answers(camera: Camera, since: datetime) -> list[tuple[float, float]]:
    """Of the newest answers of a model: what the call took, and what it took from capture to the verdict; seconds."""
    rows = (
        Assessment.objects.filter(camera=camera, created_at__gt=since, status=AssessmentStatus.DONE)
        .filter(judged_by=JudgedBy.MODEL, llm_seconds__isnull=False, ended_at__isnull=False)
        .order_by("-created_at")
        .values_list("llm_seconds", "ended_at", "frame_result__captured_at")[:MOST_ANSWERS]
    )
    return [(took, (ended - captured).total_seconds()) for took, ended, captured in rows if took is not None and ended]


def _outcomes(statuses: Iterable[str]) -> tuple[tuple[str, int], ...]:
    counts = Counter(statuses)
    return tuple((str(words), counts[status]) for status, words in STATUS_CHOICES if counts[status])


def _spent(camera: Camera, now: datetime) -> Spent:
    summed = {name: Sum(name, default=0) for name in ("calls", "failed_calls", "input_tokens", "output_tokens")}
    day = Spending.objects.filter(day=day_of(now), camera=camera).aggregate(**summed, money=Sum("cost"))
    tokens = day["input_tokens"] + day["output_tokens"]
    return Spent(day["calls"], day["failed_calls"], tokens, day["money"] or Decimal(0))


def _pictures() -> Prefetch:  # type: ignore[type-arg]  # generic in the stubs only
    """The traffic group where it was kept, else the whole picture."""
    first = Evidence.objects.order_by(Case(When(kind=EvidenceKind.CROP, then=0), default=1), "pk")
    return Prefetch("evidence", queryset=first)


def last_verdicts(camera: Camera) -> list[Assessment]:
    """The newest questions that have an outcome, with what was kept of them; three queries."""
    ended = Assessment.objects.filter(camera=camera).exclude(status=AssessmentStatus.PENDING)
    newest = ended.select_related("frame_result").order_by("-created_at").defer("raw_text")
    return list(newest.prefetch_related(_pictures(), "alerts")[:VERDICTS_SHOWN])


def last_alerts(camera: Camera) -> list[Alert]:
    """The newest alerts, with the picture that explains each; two queries."""
    alerts = Alert.objects.filter(camera=camera).select_related("assessment")
    pictures = _pictures()
    pictures.add_prefix("assessment")
    return list(alerts.prefetch_related(pictures)[:ALERTS_SHOWN])


@dataclass(frozen=True, slots=True)
class Stay:
    """A camera's time in one state; it `lasted` so long, in words, or goes on."""

    state: str
    words: str
    error: str
    since: datetime
    lasted: str


def state_history(camera: Camera) -> list[Stay]:
    """The last states that the camera was seen in, newest first; one query."""
    changes = list(StateChange.objects.filter(camera=camera)[:STATES_SHOWN])
    ends = [None, *(each.at for each in changes)]
    return [
        Stay(
            each.state,
            str(each.get_state_display()),
            mask_secrets(in_words(each.error)),
            each.at,
            _lasted(each.at, until),
        )
        for each, until in zip(changes, ends, strict=False)
    ]


def _lasted(since: datetime, until: datetime | None) -> str:
    return spell_duration((until - since).total_seconds()) if until else ""
