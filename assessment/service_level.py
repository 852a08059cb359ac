"""How well questions are answered, as measured, and the level of the ladder that follows from it, kept in Redis.

Nobody measures but the sweep, one process at a time; whoever gates questions or shows the level only reads it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import redis
from django.conf import settings
from django.db.models import Count, Q
from pydantic import TypeAdapter, ValidationError

from assessment import keys
from assessment.clients import ContentBlocked, QuestionRejected
from assessment.ladder import LadderLevel, LadderState, ServiceLevel, next_step
from assessment.ledger import todays_ledger
from assessment.limits import KeyState
from assessment.models import Assessment, AssessmentQuerySet
from assessment.risk import AssessmentStatus
from cameras.frames import connect_redis
from trafficmon.core.remembered import Remembered

LADDER_KEY = "{llm}:ladder"
LADDER_SECONDS = 60
"""A level that nobody renews ends after this: where the schedule is dead, everything is asked."""
LOOK_SECONDS = 1.0
"""Two looks are never closer: several sweeps at once count as one."""
READ_SECONDS = 1.0
WINDOW = timedelta(seconds=60)

QUESTIONS_OWN = frozenset({ContentBlocked.reason, QuestionRejected.reason})
"""Failures that lie in a question, and say nothing of how well questions are answered."""

_KEPT = TypeAdapter(LadderState)


@dataclass(frozen=True, slots=True)
class Workload:
    """The questions that wait now, and what became of those that ended within the last minute.

    `oldest_share` is of the time from the asking of the oldest one in line to its deadline.
    """

    urgent_waiting: int
    others_waiting: int
    in_flight: int
    oldest_seconds: float
    oldest_share: float
    in_time: int
    missed: int

    @property
    def in_time_share(self) -> float | None:
        """Of the questions that ended; None where none did."""
        ended = self.in_time + self.missed
        return self.in_time / ended if ended else None


def measure_workload(now: datetime, *, since: datetime | None = None, urgent_only: bool = False) -> Workload:
    """The questions put to a model: all of them, or those asked `since` a moment, or the urgent alone.

    Without those that are put again: nobody waits for their answers.
    """
    asked = Assessment.objects.put_to_models().filter(**({"urgent": True} if urgent_only else {}))
    if since:
        asked = asked.filter(created_at__gte=since)
    free = Q(lease_token="") | Q(lease_until__lte=now)
    pending = asked.pending().filter(late=False)
    waiting = pending.aggregate(
        urgent_waiting=Count("pk", filter=free & Q(urgent=True)),
        others_waiting=Count("pk", filter=free & Q(urgent=False)),
        in_flight=Count("pk", filter=~free),
    )
    in_line = asked.in_line(now).order_by("created_at")
    created_at, deadline_at = in_line.values_list("created_at", "deadline_at").first() or (now, now)
    in_time, missed = _ended_lately(asked, now)
    return Workload(
        urgent_waiting=waiting["urgent_waiting"],
        others_waiting=waiting["others_waiting"],
        in_flight=waiting["in_flight"],
        oldest_seconds=(now - created_at).total_seconds(),
        oldest_share=(now - created_at) / max(deadline_at - created_at, timedelta(milliseconds=1)),
        in_time=in_time,
        missed=missed,
    )


def _ended_lately(asked: AssessmentQuerySet, now: datetime) -> tuple[int, int]:
    """How many questions ended in the last minute with an answer in time, and how many without."""
    patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
    # An index finds them by when they were asked; what ended in the last minute was not asked long before.
    ended = asked.filter(created_at__gt=now - WINDOW - 2 * patience, ended_at__gt=now - WINDOW)
    put_once = ended.filter(Q(late=False) | Q(dead_letter=None))
    answered = Q(status=AssessmentStatus.DONE)
    unanswered = Q(status=AssessmentStatus.EXPIRED) | (
        Q(status=AssessmentStatus.FAILED) & ~Q(reason__in=sorted(QUESTIONS_OWN))
    )
    counts = put_once.aggregate(
        in_time=Count("pk", filter=answered & Q(late=False)),
        missed=Count("pk", filter=unanswered | (answered & Q(late=True))),
    )
    return counts["in_time"], counts["missed"]


def measure_service(state: LadderState, now: datetime) -> ServiceLevel:
    """How well the questions asked at the level in force are answered, and what is left to ask with."""
    environment = settings.ENVIRONMENT
    begun = time.perf_counter()
    workload = measure_workload(now, since=state.since, urgent_only=state.level is not LadderLevel.ALL)
    database_seconds = time.perf_counter() - begun
    patience = environment.assessment_deadline_seconds
    return ServiceLevel(
        in_time=workload.in_time,
        missed=workload.missed,
        oldest_share=workload.oldest_share,
        key_wait_share=seconds_until_key(environment.llm_model) / patience,
        cheaper_wait_share=_cheaper_wait_seconds() / patience,
        budget_share=todays_ledger().budget_share,
        database_seconds=database_seconds,
        switched_on=settings.MODEL_FILE.llm.enabled,
    )


def _cheaper_wait_seconds() -> float:
    cheaper = settings.ENVIRONMENT.llm_cheaper_model
    return seconds_until_key(cheaper) if cheaper and cheaper != settings.ENVIRONMENT.llm_model else math.inf


def seconds_until_key(model: str) -> float:
    """How long until some key may call `model`: 0 where one may now, infinite where none will by itself.

    Raises LimiterUnreachable.
    """
    usable = [each for each in keys.standings(model) if each.state is not KeyState.DISABLED]
    return min((each.until_seconds for each in usable), default=math.inf)


def adjust_ladder(client: redis.Redis, *, now: datetime) -> tuple[LadderState, LadderState]:
    """Measure, decide the level anew and keep it; what it was and what it is.

    Where another process does so at the same time, that one's word counts and nothing changes here.
    """
    with client.pipeline() as pipe:
        pipe.watch(LADDER_KEY)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        before = read_ladder(cast("bytes | None", pipe.get(LADDER_KEY)))
        if not pipe.set(f"{LADDER_KEY}:look", "1", nx=True, px=round(LOOK_SECONDS * 1000)):
            return before, before
        after = next_step(before, measure_service(before, now), now)
        pipe.multi()
        pipe.set(LADDER_KEY, _KEPT.dump_json(after), ex=LADDER_SECONDS)
        try:
            pipe.execute()
        except redis.WatchError:
            return before, before
    return before, after


def read_ladder(kept: bytes | str | None) -> LadderState:
    """The state found under LADDER_KEY; nothing there is no reduction."""
    try:
        return _KEPT.validate_json(kept) if kept else LadderState()
    except ValidationError:  # another version's
        return LadderState()


def _read() -> LadderState:
    return read_ladder(cast("bytes | None", connect_redis().get(LADDER_KEY)))


current_ladder: Remembered[LadderState] = Remembered(_read, seconds=READ_SECONDS)
"""The state in force, a second old at the most; raises RedisError where Redis cannot be reached."""


def asked_model() -> str:
    """Which model is asked at the level in force; raises RedisError where Redis cannot be reached."""
    environment = settings.ENVIRONMENT
    reduced = current_ladder().level == LadderLevel.CHEAPER_MODEL and environment.llm_cheaper_model
    return environment.llm_cheaper_model if reduced else environment.llm_model
