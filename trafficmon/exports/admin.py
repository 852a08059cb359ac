"""How each sink is, and what became of each event; what was parked can be sent again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from trafficmon.accounts.site import ReadOnlyAdmin
from trafficmon.exports.deliver import send_again
from trafficmon.exports.models import Event, Sink


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Events that wait, were delivered or are parked."""

    list_display = ("pk", "topic", "camera_id", "sink", "state", "attempts", "created_at", "ended_at", "last_error")
    list_filter = ("state", "sink", "topic")
    search_fields = ("event_id__exact",)
    actions = ("again",)

    @admin.action(description=_("Send again"), permissions=["act"])
    def again(self, request: HttpRequest, rows: QuerySet[Event]) -> None:
        """Those of them that are parked, all their attempts anew."""
        count = send_again(rows)
        text = ngettext("%(n)d is sent again.", "%(n)d are sent again.", count)
        self.message_user(request, text % {"n": count}, messages.SUCCESS)


@admin.register(Sink)
class SinkAdmin(ReadOnlyAdmin):
    """When each was last reached, and what is wrong with it."""

    list_display = ("name", "reached_at", "failures", "next_at", "last_error")
    fields = list_display
    search_fields = ("name",)
