"""What people do with alerts: take them on, talk about them, and judge how right they were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from assessment.alerts import note_event
from assessment.models import Alert, AlertJudgement, AlertKind, EventKind, FleetDay, Truth
from assessment.risk import RiskLevel
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.pruning import SECONDS, prune


class UnfitAssignee(ValueError):
    """This person may not deal with the alert: the role does not reach, or the camera is not theirs to see."""


class UnfitJudgement(ValueError):
    """This judgement says nothing, or nothing that fits together."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """Whether an alert was right, and which level would have been; no level only where unsure."""

    truth: Truth
    right_level: RiskLevel | None = None

    @property
    def is_coherent(self) -> bool:
        """True is what has some level; what is false deserved no alert, so it is none or low at the most."""
        fitting: dict[Truth, set[RiskLevel | None]] = {
            Truth.TRUE: {RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH},
            Truth.FALSE: {RiskLevel.NONE, RiskLevel.LOW},
            Truth.UNSURE: {None, *RiskLevel},
        }
        return self.right_level in fitting[self.truth]


def usual_opinion(truth: Truth, alert: Alert) -> Opinion:
    """What is meant where only true, false or unsure was said: the alert's own level, none, or no level."""
    levels = {Truth.TRUE: RiskLevel(alert.risk_level), Truth.FALSE: RiskLevel.NONE, Truth.UNSURE: None}
    return Opinion(truth, levels[truth])


@transaction.atomic
def assign(alert: Alert, to: User | None, *, by: User, now: datetime) -> bool:
    """Give the alert to somebody, or to nobody; False where it is theirs already. Raises UnfitAssignee."""
    if to and not (to.may(Role.OPERATOR) and Camera.objects.visible_to(to).filter(pk=alert.camera_id).exists()):
        raise UnfitAssignee(to.get_username())
    others = Alert.objects.filter(pk=alert.pk)
    others = others.exclude(assigned_to=to) if to else others.filter(assigned_to__isnull=False)
    changed = others.update(assigned_to=to)
    if changed:
        note_event(alert.pk, EventKind.ASSIGNED, at=now, by=by, words=to.get_username() if to else "")
    return bool(changed)


def comment(alert: Alert, words: str, *, by: User, now: datetime) -> None:
    """Add what somebody says of it."""
    note_event(alert.pk, EventKind.COMMENTED, at=now, by=by, words=words)


@transaction.atomic
def judge_alert(alert: Alert, opinion: Opinion, *, by: User, now: datetime) -> bool:
    """Keep what a person says of the alert, in place of what they said before; False where that was the same.

    `alert.assessment` should be loaded. Raises UnfitJudgement.
    """
    if alert.kind != AlertKind.DANGER or not opinion.is_coherent:
        raise UnfitJudgement
    # One person at a time, or each of two would be the latest.
    Alert.objects.select_for_update(no_key=True).get(pk=alert.pk)
    said = {"truth": opinion.truth, "right_level": opinion.right_level or ""}
    if AlertJudgement.objects.filter(alert=alert, judge=by, **said).exists():
        return False
    AlertJudgement.objects.filter(alert=alert).exclude(judge=by).update(is_latest=False)
    AlertJudgement.objects.update_or_create(
        alert=alert, judge=by, defaults={**said, "judged_at": now, "is_latest": True, **_judged(alert)}
    )
    FleetDay.objects.holding(alert.opened_at).update(judged=None)
    note_event(alert.pk, EventKind.JUDGED, at=now, by=by, words=opinion.truth, risk_level=said["right_level"])
    return True


def forget_judgements(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete those of alerts opened before a moment; how many went."""
    return prune(AlertJudgement.objects.filter(opened_at__lt=before), seconds=seconds)


def _judged(alert: Alert) -> dict[str, object]:
    """The alert as it is now: it may become graver, and will be forgotten."""
    verdict = alert.assessment
    return {
        "camera_id": alert.camera_id,
        "opened_at": alert.opened_at,
        "risk_level": alert.risk_level,
        "risk_type": alert.risk_type,
        "judged_by": verdict.judged_by if verdict else "",
        "llm_model": verdict.llm_model if verdict else "",
        "prompt_version": verdict.prompt_version if verdict else "",
    }
