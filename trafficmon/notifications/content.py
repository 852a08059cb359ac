"""The words of a message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from assessment.models import Evidence, EvidenceKind
from assessment.risk import RiskLevel
from trafficmon.core.clock import spell
from trafficmon.notifications.models import Message, Notice, Occasion, Rule

MOST_LISTED = 20


def compose(rule: Rule, notices: Sequence[Notice], *, now: datetime) -> Message:
    """What these notices come to in the installation's language, the gravest first; not saved yet.

    The alerts' cameras should be loaded.
    """
    ordered = sorted(notices, key=lambda each: (-RiskLevel(each.level).severity, each.created_at))
    with translation.override(settings.LANGUAGE_CODE):
        return Message(
            rule=rule,
            created_at=now,
            escalation=ordered[0].occasion == Occasion.UNACKNOWLEDGED,
            title=_title(ordered)[:300],
            text="\n".join(_lines(ordered)),
            alerts=[_told(each) for each in ordered],
            evidence_id=_picture(ordered),
        )


def compose_test(*, now: datetime) -> Message:
    """What a test says; it is not kept."""
    with translation.override(settings.LANGUAGE_CODE):
        text = _("If you can read this, notifications arrive here.")
        return Message(created_at=now, title=_("trafficmon: a test"), text=text)


def _title(ordered: Sequence[Notice]) -> str:
    first = ordered[0]
    if len(ordered) == 1:
        title = f"{first.get_level_display()}: {first.alert.camera.name}, {first.alert.name}"
    else:
        cameras = len({each.alert.camera_id for each in ordered})
        title = ngettext("%(n)d alerts at %(c)d camera", "%(n)d alerts at %(c)d cameras", cameras)
        title = f"{first.get_level_display()}: {title % {'n': len(ordered), 'c': cameras}}"
    return f"{_('Nobody has acknowledged')}: {title}" if first.occasion == Occasion.UNACKNOWLEDGED else title


def _lines(ordered: Sequence[Notice]) -> list[str]:
    lines = [_line(each) for each in ordered[:MOST_LISTED]]
    rest = len(ordered) - MOST_LISTED
    return [*lines, ngettext("and %(n)d more", "and %(n)d more", rest) % {"n": rest}] if rest > 0 else lines


def _line(notice: Notice) -> str:
    alert = notice.alert
    at = timezone.localtime(alert.opened_at, timezone.get_default_timezone())
    what = f"{at:%m-%d %H:%M:%S} {alert.camera.name}: {notice.get_level_display()}, {alert.name}"
    told = f"{what}. {alert.description}" if alert.description else what
    address = _address(notice)
    return f"{told} {address}" if address else told


def _address(notice: Notice) -> str:
    """Of the alert's page, where it is known by which address people reach the service."""
    public = settings.ENVIRONMENT.public_url.rstrip("/")
    return f"{public}{reverse('alert', args=[notice.alert_id])}" if public else ""


def _told(notice: Notice) -> dict[str, object]:
    """For programs, spelled as in the API."""
    alert = notice.alert
    return {
        "alertId": alert.pk,
        "occasion": notice.occasion,
        "kind": alert.kind,
        "cameraId": alert.camera_id,
        "cameraName": alert.camera.name,
        "riskLevel": notice.level,
        "type": alert.risk_type,
        "typeName": alert.name,
        "description": alert.description,
        "state": alert.state,
        "openedAt": spell(alert.opened_at),
        "url": _address(notice) or None,
    }


def _picture(ordered: Sequence[Notice]) -> int | None:
    """The traffic group's picture of the gravest alert that has one, else the whole picture."""
    questions = [each.alert.assessment_id for each in ordered if each.alert.assessment_id]
    kept = {(each.assessment_id, each.kind): each.pk for each in Evidence.objects.filter(assessment__in=questions)}
    wanted = ((question, kind) for question in questions for kind in (EvidenceKind.CROP, EvidenceKind.FRAME))
    return next((kept[each] for each in wanted if each in kept), None)
