"""Events delivered: by one worker at a time for each sink, in order by camera, at least once, always under the same id.

What is refused is tried again after growing pauses, and holds back what follows of its camera; what will never be taken
is parked. Where the sink as a whole does not answer, nothing is parked: all of it waits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Count, F, Min, Q, QuerySet

from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.core.ids import new_token
from trafficmon.exports.models import Event, EventState, Sink, SinkName
from trafficmon.exports.sinks import Refusal, Sent, SinkUnavailable, sender
from trafficmon.notifications.policy import pause_before
from trafficmon.pruning import SECONDS, prune

log = structlog.get_logger()

LEASE = timedelta(minutes=2)
"""Longer than any wave of events may take."""
MOST_ATTEMPTS = 12
"""Over about three hours, as notifications."""
AT_ONCE = 500
MOST_IN_A_WAVE = {SinkName.WEBHOOK.value: 5}
"""One request after the other, each of which may take a quarter of a minute."""
ROUND = timedelta(seconds=60)
LONGEST_OUTAGE_PAUSE = timedelta(seconds=60)
Send = Callable[[Sequence[Event]], Sent]


class LeaseLost(Exception):
    """Another worker delivers to the sink by now."""


def due_sinks(now: datetime) -> list[str]:
    """The configured sinks for which something waits that may be sent now, and to which nobody delivers."""
    busy = set(
        Sink.objects.filter(Q(lease_until__gt=now) | Q(next_at__gt=now)).values_list("name", flat=True)
        if settings.ENVIRONMENT.export_sinks
        else []
    )
    return [sink for sink in settings.ENVIRONMENT.export_sinks if sink not in busy and _due(sink, now).exists()]


def _due(sink: str, now: datetime) -> QuerySet[Event]:
    """What may be sent: not what follows, of its camera, an event that was refused a moment ago."""
    held = Event.objects.held(sink, now).values("camera_id")
    return Event.objects.waiting_for(sink).exclude(camera_id__in=held).order_by("pk")


def deliver(sink: str, *, send: Send | None = None) -> int:
    """Deliver what waits for a sink until nothing is due, another worker has it, or a minute is over; how many."""
    token, began, arrived = new_token(), utc_now(), 0
    if not _take(sink, token, now=began):
        return 0
    try:
        send = send or sender(sink)
        while utc_now() < began + ROUND and (events := list(_due(sink, utc_now())[:AT_ONCE])):
            arrived += _deliver_batch(sink, token, events, send)
    except SinkUnavailable as error:
        _note_outage(sink, token, error)
    except LeaseLost:
        log.warning("export.lease_lost", sink=sink)
    finally:
        Sink.objects.filter(name=sink, lease_token=token).update(lease_token="", lease_until=None)
    return arrived


def _take(sink: str, token: str, *, now: datetime) -> bool:
    Sink.objects.get_or_create(name=sink)
    free = Sink.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), Q(next_at=None) | Q(next_at__lte=now))
    return bool(free.filter(name=sink).update(lease_token=token, lease_until=now + LEASE))


def _deliver_batch(sink: str, token: str, events: Sequence[Event], send: Send) -> int:
    """By waves with one event of each camera at most: where one is refused, none of its camera goes before it."""
    arrived, blocked = 0, set[int]()
    for wave in _waves(events, most=MOST_IN_A_WAVE.get(sink, AT_ONCE)):
        chosen = [each for each in wave if each.camera_id not in blocked]
        if not chosen:
            continue
        _hold(sink, token)
        sent = send(chosen)
        arrived += _note(sink, chosen, sent)
        blocked |= {each.camera_id for each in chosen if each.pk not in sent.delivered}
        if sent.trouble or len(sent.delivered) + len(sent.refused) < len(chosen):
            raise SinkUnavailable(sent.trouble or "The sink said nothing of some events.")
    return arrived


def _waves(events: Sequence[Event], *, most: int) -> list[list[Event]]:
    """The first of each camera, then the second of each, and so on; `most` of them at once."""
    waves: list[list[Event]] = []
    seen: dict[int, int] = {}
    for each in events:
        place = seen.get(each.camera_id, 0)
        seen[each.camera_id] = place + 1
        if place == len(waves):
            waves.append([])
        waves[place].append(each)
    return [wave[start : start + most] for wave in waves for start in range(0, len(wave), most)]


def _hold(sink: str, token: str) -> None:
    mine = Sink.objects.filter(name=sink, lease_token=token)
    if not mine.update(lease_until=utc_now() + LEASE):
        raise LeaseLost


def _note(sink: str, events: Sequence[Event], sent: Sent) -> int:
    """Write down what became of a wave; how many arrived. A worker that dies before this sends them once more."""
    now = utc_now()
    waiting = Event.objects.filter(state=EventState.WAITING)
    arrived = waiting.filter(pk__in=sent.delivered).update(state=EventState.DELIVERED, ended_at=now, last_error="")
    if sent.delivered:
        Sink.objects.filter(name=sink).update(reached_at=now, failures=0, next_at=None, last_error="")
        metrics.export_events.labels(sink, "delivered").inc(arrived)
    for event in events:
        if event.pk in sent.refused:
            _note_refusal(event, sent.refused[event.pk], now)
    return arrived


def _note_refusal(event: Event, refusal: Refusal, now: datetime) -> None:
    attempts = event.attempts + 1
    is_parked = refusal.for_good or attempts >= MOST_ATTEMPTS
    pause = pause_before(attempts) * random.uniform(0.8, 1.2)
    ending = {"state": EventState.PARKED, "ended_at": now} if is_parked else {"next_at": now + pause}
    waiting = Event.objects.filter(pk=event.pk, state=EventState.WAITING)
    waiting.update(attempts=attempts, last_error=refusal.told[:300], **ending)
    metrics.export_events.labels(event.sink, "parked" if is_parked else "failed").inc()
    log.warning("export.refused", sink=event.sink, event_id=event.event_id, parked=is_parked, error=refusal.told)


def _note_outage(sink: str, token: str, error: SinkUnavailable) -> None:
    mine = Sink.objects.filter(name=sink, lease_token=token)
    failures = mine.values_list("failures", flat=True).first() or 0
    pause = min(timedelta(seconds=2 * 2 ** min(failures, 10)), LONGEST_OUTAGE_PAUSE) * random.uniform(0.8, 1.2)
    mine.update(failures=F("failures") + 1, next_at=utc_now() + pause, last_error=str(error)[:300])
    metrics.export_events.labels(sink, "failed").inc()
    log.warning("export.sink_unavailable", sink=sink, error=str(error))


def send_again(events: QuerySet[Event]) -> int:
    """Give those that were parked all their attempts anew; how many. They go behind what was delivered meanwhile."""
    parked = events.filter(state=EventState.PARKED)
    return parked.update(state=EventState.WAITING, attempts=0, next_at=None, ended_at=None, last_error="")


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many events wait for a sink, since when, and how many it has refused for good."""

    sink: str
    waiting: int
    since: datetime | None
    parked: int


def backlogs() -> list[Backlog]:
    """Of each sink that is configured."""
    return [_backlog_of(sink) for sink in settings.ENVIRONMENT.export_sinks]


def _backlog_of(sink: str) -> Backlog:
    found = Event.objects.waiting_for(sink).aggregate(waiting=Count("pk"), since=Min("created_at"))
    parked = Event.objects.filter(sink=sink, state=EventState.PARKED).count()
    return Backlog(sink, parked=parked, **found)


def forget_events(*, now: datetime, seconds: float = SECONDS) -> int:
    """Delete what was delivered or parked long ago, and drop what has waited for too long; how many rows went."""
    environment = settings.ENVIRONMENT
    delivered_before = now - timedelta(hours=environment.export_retention_hours)
    parked_before = now - timedelta(days=environment.risk_retention_days)
    too_old = now - timedelta(hours=environment.export_backlog_hours)
    gone = prune(Event.objects.filter(state=EventState.DELIVERED, ended_at__lt=delivered_before), seconds=seconds / 3)
    gone += prune(Event.objects.filter(state=EventState.PARKED, ended_at__lt=parked_before), seconds=seconds / 3)
    return gone + sum(_drop(sink, before=too_old, seconds=seconds / 3 / len(SinkName)) for sink in SinkName)


def _drop(sink: SinkName, *, before: datetime, seconds: float) -> int:
    """Give up what waits for a sink since before a moment, also for one that is not configured any more."""
    waiting = Event.objects.filter(sink=sink, state=EventState.WAITING, created_at__lt=before)
    if dropped := prune(waiting, seconds=seconds):
        metrics.export_events.labels(sink, "dropped").inc(dropped)
        log.error("export.dropped", sink=sink, events=dropped, waiting_since_before=before.isoformat())
    return dropped
