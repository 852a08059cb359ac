"""Alerts about dangers as they are kept: opened and continued by verdicts, acknowledged by people, closed by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, Subquery

from assessment.alert_policy import AlertPolicy, LiveAlert, Match, Sighting, is_over, match_sightings, sighting_of
from assessment.models import Alert, AlertEvent, AlertState, Assessment, EventKind, FleetDay, FrameResult
from assessment.results import detected_frame
from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from cameras.models import Camera
from detection.detections import DetectedFrame
from trafficmon.accounts.models import User
from trafficmon.core import metrics
from trafficmon.core.geometry import box_from
from trafficmon.pruning import SECONDS, prune


@dataclass(frozen=True, slots=True)
class AlertChange:
    """What happened to an alert: `opened`, `updated`, `escalated` or `closed`; `level` is what was just seen of it."""

    alert_id: int
    change: str
    level: RiskLevel


def policy_of(camera: Camera) -> AlertPolicy:
    """How long the camera's alerts continue: as its rhythm of frames and questions asks."""
    environment = settings.ENVIRONMENT
    return AlertPolicy.for_rhythm(
        frame_seconds=camera.frame_interval or environment.frame_interval,
        cooldown_seconds=settings.MODEL_FILE.llm.cooldown_seconds,
        display_seconds=environment.alert_pause_seconds,
    )


def apply_verdicts(row: FrameResult) -> list[AlertChange]:
    """Open or continue alerts for the risky verdicts of a frame; once, in the transaction that closes it.

    A frame of which a question was put again tells of what is long over, and its other verdicts were applied when it
    was closed before: it alarms nobody. Nor does one of a camera that was removed.
    """
    questions = list(row.assessments.all())
    verdicts = {each.pk: each for each in questions if _alarms(each)}
    if not verdicts or any(each.late for each in questions):
        return []
    # One frame of a camera at a time, or two could open the same alert twice.
    camera = Camera.objects.select_for_update(no_key=True).filter(pk=row.camera_id).first()
    if camera is None:
        return []
    frame = detected_frame(row)
    sightings = [_sighting(verdict, frame) for verdict in verdicts.values()]
    live = [_live_alert(alert) for alert in Alert.objects.dangers().live().filter(camera=row.camera_id)]
    matches = match_sightings(live, sightings, policy_of(camera))
    return [_apply(match, verdicts[match.sighting.assessment_id], row.camera_id) for match in matches]


def _alarms(verdict: Assessment) -> bool:
    return verdict.status == AssessmentStatus.DONE and verdict.risk_level != RiskLevel.NONE


def _sighting(verdict: Assessment, frame: DetectedFrame) -> Sighting:
    return sighting_of(
        frame,
        verdict.group_index,
        assessment_id=verdict.pk,
        risk_type=RiskType(verdict.risk_type),
        level=RiskLevel(verdict.risk_level),
    )


def _live_alert(alert: Alert) -> LiveAlert:
    return LiveAlert(
        alert_id=alert.pk,
        risk_type=RiskType(alert.risk_type),
        level=RiskLevel(alert.risk_level),
        place=box_from(alert.place),
        track_ids=frozenset(alert.track_ids),
        last_seen_at=alert.last_seen_at,
    )


def _apply(match: Match, verdict: Assessment, camera_id: int) -> AlertChange:
    continued = match.alert and _continue(match.alert, match.sighting, verdict)
    return continued or _open(match.sighting, verdict, camera_id)


def _open(sighting: Sighting, verdict: Assessment, camera_id: int) -> AlertChange:
    alert = Alert.objects.create(
        camera_id=camera_id,
        opened_at=sighting.seen_at,
        last_seen_at=sighting.seen_at,
        risk_level=sighting.level,
        risk_type=sighting.risk_type,
        **_words(verdict),
        **_whereabouts(sighting),
    )
    FleetDay.objects.holding(alert.opened_at).update(is_current=False)
    note_event(alert.pk, EventKind.OPENED, at=sighting.seen_at, assessment=verdict, risk_level=sighting.level)
    metrics.risk_alerts.labels(sighting.level).inc()
    return AlertChange(alert.pk, "opened", sighting.level)


def _continue(alert: LiveAlert, sighting: Sighting, verdict: Assessment) -> AlertChange | None:
    """Add the sighting to the alert; None when time has closed it meanwhile."""
    rising = sighting.level.severity > alert.level.severity
    changes = _risen(sighting, verdict) if rising else _repeated(alert, sighting, verdict)
    if sighting.seen_at >= alert.last_seen_at:
        changes |= {"last_seen_at": sighting.seen_at, **_whereabouts(sighting)}
    if not Alert.objects.live().filter(pk=alert.alert_id).update(times_seen=F("times_seen") + 1, **changes):
        return None
    kind = EventKind.ESCALATED if rising else EventKind.SEEN
    note_event(alert.alert_id, kind, at=sighting.seen_at, assessment=verdict, risk_level=sighting.level)
    if rising:
        opened_at = Alert.objects.filter(pk=alert.alert_id).values("opened_at")
        FleetDay.objects.holding(Subquery(opened_at)).update(is_current=False)
        metrics.risk_alerts.labels(sighting.level).inc()
    return AlertChange(alert.alert_id, "escalated" if rising else "updated", sighting.level)


def _risen(sighting: Sighting, verdict: Assessment) -> dict[str, object]:
    """An alert that gets worse is open again, whoever acknowledged it."""
    reopened = {"state": AlertState.OPEN, "acknowledged_by": None, "acknowledged_at": None}
    return {"risk_level": sighting.level, **reopened, **_words(verdict)}


def _repeated(alert: LiveAlert, sighting: Sighting, verdict: Assessment) -> dict[str, object]:
    """An alert goes on showing its gravest moment, of equals the latest."""
    newer = sighting.seen_at >= alert.last_seen_at
    return _words(verdict) if newer and sighting.level == alert.level else {}


def _words(verdict: Assessment) -> dict[str, object]:
    return {"assessment": verdict, "description": verdict.description, "risk_types": verdict.risk_types}


def _whereabouts(sighting: Sighting) -> dict[str, object]:
    return {"place": list(sighting.place.rounded()), "track_ids": sorted(sighting.track_ids)}


def acknowledge(alert_id: int, *, by: User, now: datetime) -> bool:
    """Say that somebody has seen it; False when it was not open."""
    opened = Alert.objects.filter(pk=alert_id, state=AlertState.OPEN)
    with transaction.atomic():
        changed = opened.update(state=AlertState.ACKNOWLEDGED, acknowledged_by=by, acknowledged_at=now)
        if changed:
            note_event(alert_id, EventKind.ACKNOWLEDGED, at=now, by=by)
    return bool(changed)


def note_event(alert_id: int, kind: EventKind, *, at: datetime, by: User | None = None, **told: object) -> None:
    """Add to the alert's timeline what happened to it; in the transaction that makes it happen."""
    name = by.get_username() if by else ""
    AlertEvent.objects.create(alert_id=alert_id, kind=kind, at=at, by=by, by_name=name, **told)


def forget_alerts(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the alerts closed before a moment, with what happened to them; how many alerts went."""
    return prune(Alert.objects.filter(closed_at__lt=before), seconds=seconds)


def close_unseen(*, now: datetime) -> list[AlertChange]:
    """Close the alerts whose danger has not been seen for their camera's time."""
    live = Alert.objects.dangers().live().select_related("camera")
    over = [alert for alert in live if is_over(alert.last_seen_at, now, policy_of(alert.camera))]
    return [AlertChange(alert.pk, "closed", RiskLevel(alert.risk_level)) for alert in over if _close(alert, now)]


@transaction.atomic
def _close(alert: Alert, now: datetime) -> bool:
    unseen = Alert.objects.live().filter(pk=alert.pk, last_seen_at=alert.last_seen_at)
    closed = unseen.update(state=AlertState.CLOSED, closed_at=now)
    if closed:
        note_event(alert.pk, EventKind.CLOSED, at=now)
    return bool(closed)
