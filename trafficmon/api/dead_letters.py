"""Questions that were given up, as programs see them: listed, sent again or dropped, singly and in bulk."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

import structlog
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from assessment import dead_letters
from assessment.dead_letters import MOST_AT_ONCE, Chosen
from assessment.models import DeadLetter
from cameras.models import Camera
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.api.answers import endpoint, envelope, read_body, read_query
from trafficmon.core.clock import spell, utc_now

log = structlog.get_logger()


class Filters(BaseModel):
    """Which dead letters are meant; what is left out narrows nothing."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    reason: str = Field(default="", max_length=100)
    camera_id: int | None = Field(default=None, alias="cameraId")
    before: AwareDatetime | None = None

    def chosen(self, user: User, ids: tuple[int, ...] | None = None) -> Chosen:
        """Those of them that the user may see."""
        return Chosen(ids, self.reason, self.camera_id, self.before, Camera.objects.visible_to(user))


class Page(Filters):
    """The oldest of them that wait, from an offset on."""

    limit: int = Field(default=100, ge=1, le=MOST_AT_ONCE)
    offset: int = Field(default=0, ge=0)


class Order(Filters):
    """What is to be sent again or dropped. Everything that waits only where `all` says so."""

    ids: tuple[int, ...] | None = Field(default=None, max_length=MOST_AT_ONCE)
    everything: bool = Field(default=False, alias="all")

    @model_validator(mode="after")
    def something_is_named(self) -> Self:
        if not (self.ids or self.reason or self.camera_id is not None or self.before or self.everything):
            message = 'name ids, a reason, a cameraId or a moment before; or say "all": true'
            raise ValueError(message)
        return self


@endpoint("GET", role=Role.SUPERVISOR)
def listed(request: HttpRequest, user: User) -> JsonResponse:
    """Those that wait, oldest first, and how many there are."""
    page = read_query(request, Page)
    rows = dead_letters.waiting(page.chosen(user)).select_related("assessment__camera")
    shown = rows[page.offset : page.offset + page.limit]
    return envelope({"total": rows.count(), "deadLetters": [_told(each) for each in shown]})


def _told(letter: DeadLetter) -> dict[str, object]:
    question = letter.assessment
    return {
        "id": letter.pk,
        "assessmentId": question.pk,
        "cameraId": question.camera_id,
        "cameraName": question.camera.name,
        "groupIndex": question.group_index,
        "reason": letter.reason,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "diedAt": spell(letter.died_at),
        "account": question.account or None,
        "key": question.key or None,
    }


@endpoint("POST", role=Role.SUPERVISOR)
def send_again(request: HttpRequest, user: User) -> JsonResponse:
    """Put the questions again; the fleet takes them within seconds, and their answers are labelled late."""
    order = read_body(request, Order)
    patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
    again = dead_letters.send_again(order.chosen(user, order.ids), now=utc_now(), patience=patience, by=user)
    log.info("dead_letters.sent_again", count=len(again), user=user.pk)
    audit.record(caller_of(request), "deadletter.send_again", assessments=again)
    return envelope({"sentAgain": len(again), "assessmentIds": again})


@endpoint("POST", role=Role.SUPERVISOR)
def drop(request: HttpRequest, user: User) -> JsonResponse:
    """Give them up for good."""
    order = read_body(request, Order)
    dropped = dead_letters.drop(order.chosen(user, order.ids), now=utc_now(), by=user)
    log.info("dead_letters.dropped", count=dropped, user=user.pk)
    audit.record(
        caller_of(request), "deadletter.drop", count=dropped, order=order.model_dump(mode="json", by_alias=True)
    )
    return envelope({"dropped": dropped})
