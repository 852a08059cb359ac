"""Each hour's statistics, told to the back office once the hour is over.

A report is a row before it is a request. A request that was received though its answer was lost is sent again under the
same `Idempotency-Key`, by which the back office can tell.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import F, QuerySet
from pydantic.alias_generators import to_camel

from assessment.statistics import CameraStatistics, statistics_of
from cameras.models import Camera
from trafficmon.back_office.client import BackOfficeRefused, ask
from trafficmon.back_office.models import ImportedCamera, StatisticsReport
from trafficmon.core.clock import spell, utc_now
from trafficmon.pruning import SECONDS, prune

log = structlog.get_logger()

PATH = "statistics"
HOUR = timedelta(hours=1)
SETTLING = timedelta(minutes=5)
"""After the hour, until its last questions have their answers."""
REACH = timedelta(hours=24)
"""How far back: older frames may be forgotten already, and their hour would look emptier than it was."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)


def report_due(*, now: datetime) -> int:
    """Send the reports that are due, until one is refused; how many were sent. None where no back office is named."""
    if not settings.ENVIRONMENT.has_back_office:
        return 0
    _plan(now)
    sent = (_send(report, now) for report in _due(now).order_by("hour"))
    return sum(1 for _report in itertools.takewhile(bool, sent))


def is_due(now: datetime) -> bool:
    """Whether an hour is over that nothing is known of yet, or a report is to be sent."""
    if not settings.ENVIRONMENT.has_back_office:
        return False
    latest = StatisticsReport.objects.filter(hour=_end(now) - HOUR)
    return not latest.exists() or _due(now).exists()


def _due(now: datetime) -> QuerySet[StatisticsReport]:
    return StatisticsReport.objects.filter(sent_at=None, hour__gte=now - REACH, next_at__lte=now)


def _end(now: datetime) -> datetime:
    """Of the last hour that is over and has settled."""
    return (now - SETTLING).replace(minute=0, second=0, microsecond=0)


def _plan(now: datetime) -> None:
    """A row for each hour that is over; at the very first the last one alone."""
    end = _end(now)
    latest = StatisticsReport.objects.order_by("-hour").values_list("hour", flat=True).first()
    hour = max(latest + HOUR, end - REACH + HOUR) if latest else end - HOUR
    while hour < end:
        StatisticsReport.objects.get_or_create(hour=hour, defaults={"next_at": now})
        hour += HOUR


def _send(report: StatisticsReport, now: datetime) -> bool:
    mine = StatisticsReport.objects.filter(pk=report.pk, sent_at=None, next_at=report.next_at)
    pause = min(FIRST_PAUSE * 2 ** min(report.attempts, 10), LONGEST_PAUSE)
    if not mine.update(next_at=now + pause, attempts=F("attempts") + 1):
        return False  # another worker has it
    try:
        headers = {"Idempotency-Key": f"trafficmon-statistics-{report.hour:%Y%m%d%H}"}
        ask("POST", PATH, body=_told(report.hour), headers=headers)
    except BackOfficeRefused as error:
        StatisticsReport.objects.filter(pk=report.pk).update(last_error=str(error)[:300])
        log.warning("back_office.report_refused", hour=spell(report.hour), error=str(error))
        return False
    StatisticsReport.objects.filter(pk=report.pk).update(sent_at=utc_now(), last_error="")
    return True


def _told(hour: datetime) -> dict[str, object]:
    found = statistics_of(Camera.objects.all(), since=hour, before=hour + HOUR)
    numbers = dict(ImportedCamera.objects.values_list("camera", "number"))
    cameras = [_camera(each, numbers.get(each.camera_id)) for each in found]
    return {"from": spell(hour), "before": spell(hour + HOUR), "cameras": cameras}


def _camera(each: CameraStatistics, number: str | None) -> dict[str, Any]:
    """As the API tells it, with the number that the back office knows the camera by."""
    return {"backOfficeNumber": number, **{to_camel(name): value for name, value in asdict(each).items()}}


def forget_reports(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the reports of hours before a moment; how many went."""
    return prune(StatisticsReport.objects.filter(hour__lt=before), seconds=seconds)
