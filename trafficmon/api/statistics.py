"""Figures: what happened at cameras, who crossed which line by the hour, what was spent by the day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Self

from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import Field, model_validator

from assessment.models import LineCount, Spending
from assessment.statistics import CameraStatistics, statistics_of
from cameras.models import Camera
from detection.detections import Direction
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.api.answers import Answer, Asked, Paged, Refused, endpoint
from trafficmon.api.paging import Number, Order, Page, Period, chosen
from trafficmon.core.clock import spell, utc_now
from trafficmon.core.objects import ObjectClass
from trafficmon.live.incoming import Moment

LONGEST = timedelta(days=31)
USUAL = timedelta(days=1)
BY_HOUR = Order("hour")
BY_DAY = Order("day")


class Stretch(Asked):
    """From when until before when, at most 31 days; the last day where nothing is said."""

    camera_id: Number | None = None
    since: Moment | None = Field(default=None, alias="from")
    before: Moment | None = None

    def ends(self, now: datetime) -> tuple[datetime, datetime]:
        """Its beginning and end; raises Refused where it is empty or too long."""
        before = self.before or now
        since = self.since or before - USUAL
        if not timedelta(0) < before - since <= LONGEST:
            raise Refused(400, _("from, before: the time between them is above 0 and at most 31 days."))
        return since, before


class CameraFigures(Answer):
    """Of one camera: frames and assessments by status, verdicts and dangers by level, crossings by class."""

    camera_id: int
    frames: dict[str, int]
    assessments: dict[str, int]
    verdicts: dict[str, int]
    dangers: dict[str, int]
    times_lost: int
    crossings: dict[str, int]
    answer_seconds: float | None


class Figures(Answer):
    """What happened in a stretch of time. Of frames without a risk only those that are still kept are counted."""

    since: str = Field(alias="from")
    before: str
    cameras: list[CameraFigures]


class Counts(Period):
    """Which counts; `from` and `before` are of the hour's beginning."""

    line_id: Number | None = None
    object_class: ObjectClass | None = Field(default=None, alias="class")
    direction: Direction | None = None


class CountAnswer(Answer):
    """How many road users of a class crossed a line one way within the hour that begins at `hour`."""

    line_id: int
    camera_id: int
    hour: str
    object_class: ObjectClass = Field(alias="class")
    direction: Direction
    count: int


class Days(Page):
    """Of which days, those of the configured time zone, and of which camera and account."""

    camera_id: Number | None = None
    account: str | None = Field(default=None, max_length=64)
    first_day: date | None = None
    last_day: date | None = None

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            message = "firstDay is after lastDay"
            raise ValueError(message)
        return self


class SpendingAnswer(Answer):
    """The calls of a day with one camera, account, key, prompt and model, added up."""

    day: date
    camera_id: int | None
    account: str
    key: str
    prompt_version: str
    model: str
    calls: int
    failed_calls: int
    input_tokens: int
    output_tokens: int
    cost: float


@endpoint("GET")
def figures(_request: HttpRequest, user: User, query: Stretch) -> Figures:
    """What happened at the cameras that the user may see."""
    since, before = query.ends(utc_now())
    cameras = Camera.objects.visible_to(user).filter(**chosen({"pk": query.camera_id}))
    found = statistics_of(cameras, since=since, before=before)
    return Figures(since=spell(since), before=spell(before), cameras=[figures_of(each) for each in found])


def figures_of(each: CameraStatistics) -> CameraFigures:
    return CameraFigures.model_validate(each, from_attributes=True)


@endpoint("GET")
def counts(_request: HttpRequest, user: User, query: Counts) -> Paged[CountAnswer]:
    """Who crossed the counting lines of the cameras that the user may see, by the hour, newest first."""
    wanted: dict[str, object] = {"line": query.line_id, "object_class": query.object_class}
    wanted |= {
        "direction": query.direction,
        "line__camera": query.camera_id,
        "hour__gte": query.since,
        "hour__lt": query.before,
    }
    rows = LineCount.objects.filter(line__camera__in=Camera.objects.visible_to(user)).select_related("line")
    return BY_HOUR.page(rows.filter(**chosen(wanted)), query, _count)


def _count(row: LineCount) -> CountAnswer:
    return CountAnswer(
        line_id=row.line_id,
        camera_id=row.line.camera_id,
        hour=spell(row.hour),
        object_class=ObjectClass(row.object_class),
        direction=Direction(row.direction),
        count=row.count,
    )


@endpoint("GET", role=Role.SUPERVISOR)
def spending(_request: HttpRequest, _user: User, query: Days) -> Paged[SpendingAnswer]:
    """What the model's calls cost, by the day, newest first."""
    wanted: dict[str, object] = {"camera": query.camera_id, "account": query.account}
    wanted |= {"day__gte": query.first_day, "day__lte": query.last_day}
    return BY_DAY.page(Spending.objects.filter(**chosen(wanted)), query, _spent)


def _spent(row: Spending) -> SpendingAnswer:
    alike = ("day", "camera_id", "account", "key", "prompt_version", "model", "calls", "failed_calls")
    told = {name: getattr(row, name) for name in (*alike, "input_tokens", "output_tokens")}
    return SpendingAnswer(**told, cost=round(float(row.cost), 8))
