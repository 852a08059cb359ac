"""Questions that were given up, to be sent again or dropped."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from assessment.dead_letters import Chosen, drop, send_again
from assessment.models import DeadLetter
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.accounts.site import ReadOnlyAdmin, by_recent_values


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Sent again, a question has all its attempts anew, and its answer is labelled late."""

    list_display = ("died_at", "camera", "reason", "detail", "attempts", "state", "ended_at", "ended_by")
    list_filter = ("died_at", "state", by_recent_values("reason", "died_at", _("reason")), "assessment__camera")
    search_fields = ("assessment__camera__name", "reason", "detail")
    list_select_related = ("assessment__camera", "ended_by")
    actions = ("send_again", "drop")

    @admin.display(description=_("camera"))
    def camera(self, letter: DeadLetter) -> Camera:
        return letter.assessment.camera

    @admin.action(description=_("Send again"), permissions=["act"])
    def send_again(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
        again = send_again(_chosen(letters), now=now(), patience=patience, by=_user(request))
        self._say(request, ngettext("%(n)d was sent again.", "%(n)d were sent again.", len(again)), len(again))

    @admin.action(description=_("Drop"), permissions=["act"])
    def drop(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        dropped = drop(_chosen(letters), now=now(), by=_user(request))
        self._say(request, ngettext("%(n)d was dropped.", "%(n)d were dropped.", dropped), dropped)

    def _say(self, request: HttpRequest, text: str, count: int) -> None:
        self.message_user(request, text % {"n": count}, messages.SUCCESS)


def _chosen(letters: QuerySet[DeadLetter]) -> Chosen:
    return Chosen(ids=tuple(letters.values_list("pk", flat=True)))


def _user(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
