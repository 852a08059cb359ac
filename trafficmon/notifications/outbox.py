"""The outbox: notices written with the alert, gathered into messages by the policy, delivered until they have arrived.

Each step is decided by a unique constraint or a conditional UPDATE, so that a worker that dies or is late tells nothing
twice. Only what a receiver got just before its sender died can come again; it has the same id.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, Manager, Min, Q, QuerySet

from assessment.alerts import AlertChange
from assessment.models import Alert, AlertKind, AlertState
from assessment.risk import RiskLevel
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.notifications.channels import UnableToSend, send
from trafficmon.notifications.content import compose
from trafficmon.notifications.models import Delivery, DeliveryState, Destination, Message, Notice, Occasion, Rule
from trafficmon.notifications.policy import Told, Waiting, after_quiet, pause_before, plan
from trafficmon.pruning import SECONDS, prune

log = structlog.get_logger()

LEASE = timedelta(minutes=5)
"""Longer than any way of sending may take."""
MOST_ATTEMPTS = 12
"""Over about three hours."""
MOST_AT_ONCE = 500
LOOK_AGAIN = timedelta(minutes=5)
"""Until a rule none of whose destinations is enabled is looked at again."""
_OCCASIONS = {"opened": Occasion.OPENED, "escalated": Occasion.ESCALATED}


def note(changes: Iterable[AlertChange], *, now: datetime) -> int:
    """Write down which rules have to tell of these; to be called in the transaction that changed the alerts."""
    told = {change.alert_id: change for change in changes if change.change in _OCCASIONS}
    rules = list(Rule.objects.filter(enabled=True).prefetch_related("groups")) if told else []
    if not rules:
        return 0
    alerts = Alert.objects.filter(pk__in=told).select_related("camera").defer("camera__source")
    notices = [
        notice
        for alert in alerts
        if not alert.camera.is_of_check
        for rule in rules
        if _concerns(rule, alert, told[alert.pk])
        for notice in _notices(rule, told[alert.pk], now)
    ]
    return len(Notice.objects.bulk_create(notices, ignore_conflicts=True))


def _concerns(rule: Rule, alert: Alert, change: AlertChange) -> bool:
    groups = {group.pk for group in rule.groups.all()}
    if groups and alert.camera.group_id not in groups:
        return False
    return rule.camera_lost if alert.kind == AlertKind.CAMERA_LOST else change.level.value in rule.levels


def _notices(rule: Rule, change: AlertChange, now: datetime) -> list[Notice]:
    same = {"rule": rule, "alert_id": change.alert_id, "level": change.level, "created_at": now}
    notices = [Notice(**same, occasion=_OCCASIONS[change.change], due_at=now)]
    if rule.escalate_minutes:
        due_at = now + timedelta(minutes=rule.escalate_minutes)
        notices.append(Notice(**same, occasion=Occasion.UNACKNOWLEDGED, due_at=due_at))
    return notices


def is_due(now: datetime) -> bool:
    """Whether there is something to gather or to send."""
    return _untold().filter(due_at__lte=now).exists() or _waiting().filter(next_at__lte=now).exists()


def waiting_since(now: datetime) -> datetime | None:
    """When the first of what is due became so; None where nothing is."""
    notices = _untold().filter(due_at__lte=now).aggregate(first=Min("due_at"))["first"]
    deliveries = _waiting().filter(next_at__lte=now).aggregate(first=Min("next_at"))["first"]
    return min(filter(None, (notices, deliveries)), default=None)


def _untold() -> QuerySet[Notice]:
    return Notice.objects.filter(message=None, dropped_at=None)


def _waiting() -> QuerySet[Delivery]:
    return Delivery.objects.filter(state=DeliveryState.WAITING)


def gather(*, now: datetime) -> list[Message]:
    """Make messages of the notices that are due, as each rule's terms say."""
    due = _untold().filter(due_at__lte=now).order_by().values_list("rule", flat=True).distinct()
    messages = []
    for rule_id in sorted(due):
        with suppress(AlreadyTold):
            messages += _gather_of(rule_id, now)
    return messages


@transaction.atomic
def _gather_of(rule_id: int, now: datetime) -> list[Message]:
    """One worker at a time for each rule: two would tell the same in two messages."""
    rule = Rule.objects.select_for_update(no_key=True).filter(pk=rule_id).first()
    if rule is None:
        return []
    if not rule.enabled:
        _untold().filter(rule=rule).update(dropped_at=now)
    # The soonest first: what quiet hours or cooldowns hold back, however much it is, takes no place of what is due.
    rows = _untold().filter(rule=rule).select_related("alert__camera").order_by("due_at", "pk")
    late = list(rows.filter(occasion=Occasion.UNACKNOWLEDGED, due_at__lte=now)[:MOST_AT_ONCE])
    new = list(rows.exclude(occasion=Occasion.UNACKNOWLEDGED)[:MOST_AT_ONCE])
    messages = [
        _tell_new(rule, _drop(new, now, _is_needless), now),
        _escalate(rule, _drop(late, now, _is_settled), now),
    ]
    return [each for each in messages if each]


def _is_needless(notice: Notice) -> bool:
    """Of a camera that was removed, or of a lost one that was found, before anybody was told; a danger that is over was
    one all the same."""
    alert = notice.alert
    is_back = alert.kind == AlertKind.CAMERA_LOST and alert.state == AlertState.CLOSED
    return is_back or alert.camera.removed_at is not None


def _is_settled(notice: Notice) -> bool:
    return notice.alert.acknowledged_at is not None or _is_needless(notice)


def _drop(notices: Sequence[Notice], now: datetime, is_needless: Callable[[Notice], bool]) -> list[Notice]:
    needless = [each.pk for each in notices if is_needless(each)]
    if needless:
        _untold().filter(pk__in=needless).update(dropped_at=now)
    return [each for each in notices if each.pk not in needless]


def _tell_new(rule: Rule, notices: Sequence[Notice], now: datetime) -> Message | None:
    waiting = [Waiting(each.pk, each.alert.camera_id, RiskLevel(each.level), each.created_at) for each in notices]
    planned = plan(waiting, _told(rule, now), rule.terms, now=now)
    for number, at in planned.later.items():
        # Never at once again: what holds it back has only just begun.
        _untold().filter(pk=number).update(due_at=max(at, now + timedelta(seconds=1)))
    chosen = [each for each in notices if each.pk in planned.now]
    return _write(rule, chosen, rule.destinations, now) if chosen else None


def _escalate(rule: Rule, notices: Sequence[Notice], now: datetime) -> Message | None:
    """Those that nobody has acknowledged, but for what quiet hours hold back."""
    ready = []
    for each in notices:
        at = after_quiet(now, RiskLevel(each.level), rule.terms.quiet)
        if at > now:
            _untold().filter(pk=each.pk).update(due_at=at)
        else:
            ready.append(each)
    return _write(rule, ready, rule.escalate_to, now) if ready else None


def _told(rule: Rule, now: datetime) -> Told:
    """What the rule told within the longest of its cooldowns."""
    terms = rule.terms
    since = now - max(terms.camera_cooldown, terms.overall_cooldown)
    rows = Notice.objects.filter(rule=rule, message__created_at__gt=since, message__escalation=False)
    cameras: dict[int, tuple[datetime, RiskLevel]] = {}
    seen = rows.order_by("message__created_at").values_list("alert__camera", "level", "message__created_at")
    for camera_id, level, at in seen:
        before = cameras.get(camera_id)
        gravest = RiskLevel(level)
        if before and before[0] == at and before[1].severity > gravest.severity:
            gravest = before[1]
        cameras[camera_id] = (at, gravest)
    last = rule.messages.filter(escalation=False).order_by("-created_at").values_list("created_at", flat=True).first()
    return Told(last, cameras)


def _write(rule: Rule, notices: Sequence[Notice], to: Manager[Destination], now: datetime) -> Message | None:
    """The message with its deliveries; raises where another worker has told one of the notices already.

    Where it would go nowhere none is written, and the notices wait until it would.
    """
    reachable = list(to.filter(enabled=True))
    if not reachable:
        log.warning("notification.nowhere_to_go", rule=rule.pk, notices=len(notices))
        _untold().filter(pk__in=[each.pk for each in notices]).update(due_at=now + LOOK_AGAIN)
        return None
    message = compose(rule, notices, now=now)
    message.save(force_insert=True)
    if _untold().filter(pk__in=[each.pk for each in notices]).update(message=message) != len(notices):
        raise AlreadyTold
    Delivery.objects.bulk_create(Delivery(message=message, destination=each, next_at=now) for each in reachable)
    return message


class AlreadyTold(Exception):
    """Another worker made a message of the same notice."""


def deliver(*, now: datetime) -> int:
    """Send what is due; how many arrived. A destination that fails is not tried again in this round."""
    due = _waiting().filter(next_at__lte=now).select_related("message", "destination").order_by("next_at", "pk")
    failed: set[int] = set()
    arrived = 0
    for delivery in due[:MOST_AT_ONCE]:
        if delivery.destination_id not in failed and _claim(delivery):
            if _attempt(delivery):
                arrived += 1
            else:
                failed.add(delivery.destination_id)
    return arrived


def _claim(delivery: Delivery) -> bool:
    """Only whoever moved its time may send it; that of a sender that dies comes round again."""
    mine = _waiting().filter(pk=delivery.pk, next_at=delivery.next_at, attempts=delivery.attempts)
    return bool(mine.update(next_at=utc_now() + LEASE, attempts=F("attempts") + 1))


def _attempt(delivery: Delivery) -> bool:
    attempt = delivery.attempts + 1
    mine = _waiting().filter(pk=delivery.pk, attempts=attempt)
    try:
        send(delivery.destination, delivery.message, delivery_id=delivery.pk)
    except UnableToSend as error:
        _note_failure(delivery, mine, attempt, error)
        return False
    now = utc_now()
    mine.update(state=DeliveryState.SENT, sent_at=now, last_error="")
    Destination.objects.filter(pk=delivery.destination_id).update(reached_at=now, last_error="")
    metrics.notifications.labels(delivery.destination.kind, "sent").inc()
    return True


def _note_failure(delivery: Delivery, mine: QuerySet[Delivery], attempt: int, error: UnableToSend) -> None:
    given_up = attempt >= MOST_ATTEMPTS or not error.retryable
    pause = pause_before(attempt) * random.uniform(0.8, 1.2)
    state = DeliveryState.FAILED if given_up else DeliveryState.WAITING
    mine.update(state=state, next_at=utc_now() + pause, last_error=str(error)[:300])
    Destination.objects.filter(pk=delivery.destination_id).update(last_error=str(error)[:300])
    metrics.notifications.labels(delivery.destination.kind, "given_up" if given_up else "failed").inc()
    log.warning("notification.not_sent", delivery=delivery.pk, attempt=attempt, given_up=given_up, error=str(error))


def send_again(deliveries: QuerySet[Delivery], *, now: datetime) -> int:
    """Give those that were given up all their attempts anew; how many."""
    return deliveries.filter(state=DeliveryState.FAILED).update(
        state=DeliveryState.WAITING, attempts=0, next_at=now, last_error=""
    )


def forget_messages(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the messages made before a moment, and the notices that came to nothing; how many rows went."""
    needless = Notice.objects.filter(Q(dropped_at__lt=before) | Q(message=None, created_at__lt=before))
    old = (needless, Message.objects.filter(created_at__lt=before))
    return sum(prune(rows, seconds=seconds / len(old)) for rows in old)
