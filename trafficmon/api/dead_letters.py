"""Questions that were given up, as programs see them: listed, sent again or dropped, singly and in bulk."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

import structlog
from django.conf import settings
from django.http import HttpRequest
from pydantic import Field, model_validator

from assessment import dead_letters
from assessment.dead_letters import MOST_AT_ONCE, Chosen
from assessment.models import DeadLetter
from cameras.models import Camera
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.api.answers import Answer, Asked, endpoint
from trafficmon.api.paging import Number
from trafficmon.core.clock import spell, utc_now
from trafficmon.live.incoming import Moment

log = structlog.get_logger()


class Filters(Asked):
    """Which dead letters are meant; what is left out narrows nothing."""

    reason: str = Field(default="", max_length=100)
    camera_id: Number | None = None
    before: Moment | None = None

    def chosen(self, user: User, ids: tuple[int, ...] | None = None) -> Chosen:
        """Those of them that the user may see."""
        return Chosen(ids, self.reason, self.camera_id, self.before, Camera.objects.visible_to(user))


class Waiting(Filters):
    """The oldest of them that wait, from an offset on."""

    limit: int = Field(default=100, ge=1, le=MOST_AT_ONCE)
    offset: Number = 0


class Bulk(Filters):
    """What is to be sent again or dropped. Everything that waits only where `all` says so."""

    ids: tuple[Number, ...] | None = Field(default=None, max_length=MOST_AT_ONCE)
    everything: bool = Field(default=False, alias="all")

    @model_validator(mode="after")
    def something_is_named(self) -> Self:
        if not (self.ids or self.reason or self.camera_id is not None or self.before or self.everything):
            message = 'name ids, a reason, a cameraId or a moment before; or say "all": true'
            raise ValueError(message)
        return self


class LetterAnswer(Answer):
    """A question that was given up, and why."""

    id: int
    assessment_id: int
    camera_id: int
    camera_name: str
    group_index: int
    reason: str
    detail: str
    attempts: int
    died_at: str
    account: str | None
    key: str | None


class LettersAnswer(Answer):
    """Those of the page, and how many wait in all."""

    total: int
    dead_letters: list[LetterAnswer]


class SentAgain(Answer):
    """Whose questions are put again."""

    sent_again: int
    assessment_ids: list[int]


class Dropped(Answer):
    """How many were given up for good."""

    dropped: int


@endpoint("GET", role=Role.SUPERVISOR)
def listed(_request: HttpRequest, user: User, query: Waiting) -> LettersAnswer:
    """Those that wait, oldest first, and how many there are."""
    rows = dead_letters.waiting(query.chosen(user)).select_related("assessment__camera")
    shown = rows[query.offset : query.offset + query.limit]
    return LettersAnswer(total=rows.count(), dead_letters=[_told(each) for each in shown])


def _told(letter: DeadLetter) -> LetterAnswer:
    question = letter.assessment
    return LetterAnswer(
        id=letter.pk,
        assessment_id=question.pk,
        camera_id=question.camera_id,
        camera_name=question.camera.name,
        group_index=question.group_index,
        reason=letter.reason,
        detail=letter.detail,
        attempts=letter.attempts,
        died_at=spell(letter.died_at),
        account=question.account or None,
        key=question.key or None,
    )


@endpoint("POST", role=Role.SUPERVISOR)
def send_again(request: HttpRequest, user: User, body: Bulk) -> SentAgain:
    """Put the questions again; the fleet takes them within seconds, and their answers are labelled late."""
    patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
    again = dead_letters.send_again(body.chosen(user, body.ids), now=utc_now(), patience=patience, by=user)
    log.info("dead_letters.sent_again", count=len(again), user=user.pk)
    audit.record(caller_of(request), "deadletter.send_again", assessments=again)
    return SentAgain(sent_again=len(again), assessment_ids=again)


@endpoint("POST", role=Role.SUPERVISOR)
def drop(request: HttpRequest, user: User, body: Bulk) -> Dropped:
    """Give them up for good."""
    dropped = dead_letters.drop(body.chosen(user, body.ids), now=utc_now(), by=user)
    log.info("dead_letters.dropped", count=dropped, user=user.pk)
    order = body.model_dump(mode="json", by_alias=True)
    audit.record(caller_of(request), "deadletter.drop", count=dropped, order=order)
    return Dropped(dropped=dropped)
