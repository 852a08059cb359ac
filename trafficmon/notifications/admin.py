"""Destinations with a test button, rules, and what became of each message."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.site import HistoryAdmin, ReadOnlyAdmin
from trafficmon.core.clock import utc_now
from trafficmon.notifications.channels import UnableToSend, send
from trafficmon.notifications.content import compose_test
from trafficmon.notifications.forms import DestinationForm, RuleForm
from trafficmon.notifications.models import Delivery, Destination, Message, Rule
from trafficmon.notifications.outbox import send_again


@admin.register(Destination)
class DestinationAdmin(HistoryAdmin):
    """Where notifications go."""

    form = DestinationForm
    change_form_template = "admin/notifications/destination/change_form.html"
    list_display = ("name", "kind", "enabled", "with_picture", "reached_at", "last_error")
    list_filter = ("kind", "enabled", "with_picture")
    search_fields = ("name",)
    date_hierarchy = "reached_at"
    readonly_fields = ("reached_at", "last_error")
    fields = ("name", "kind", "address", "secret", "with_picture", "enabled", *readonly_fields)

    def get_urls(self) -> list[URLPattern]:
        test = path(
            "<int:destination_id>/test/",
            self.admin_site.admin_view(self.test),
            name="notifications_destination_test",
        )
        usual: list[URLPattern] = super().get_urls()
        return [test, *usual]

    @method_decorator(require_POST)
    def test(self, request: HttpRequest, destination_id: int) -> HttpResponseRedirect:
        """Send a test now, and say whether it arrived."""
        destination = get_object_or_404(Destination, pk=destination_id)
        if not self.has_change_permission(request, destination):
            raise PermissionDenied
        now = utc_now()
        try:
            send(destination, compose_test(now=now))
        except UnableToSend as error:
            Destination.objects.filter(pk=destination_id).update(last_error=str(error)[:300])
            self.message_user(request, _("The test was not sent: %s") % error, messages.ERROR)
        else:
            Destination.objects.filter(pk=destination_id).update(reached_at=now, last_error="")
            self.message_user(request, _("The test was sent."), messages.SUCCESS)
        audit.record(caller_of(request), "destination.test", destination)
        return redirect(reverse("admin:notifications_destination_change", args=[destination_id]))


@admin.register(Rule)
class RuleAdmin(HistoryAdmin):
    """Which alerts are told where."""

    form = RuleForm
    list_display = ("name", "enabled", "levels", "camera_lost", "digest_minutes", "escalate_minutes")
    list_filter = ("enabled", "camera_lost", "destinations", "groups")
    search_fields = ("name",)
    filter_horizontal = ("destinations", "groups", "escalate_to")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "destinations")}),
        (_("Which alerts"), {"fields": ("levels", "camera_lost", "groups")}),
        (
            _("How often"),
            {"fields": ("merge_seconds", "camera_cooldown_seconds", "overall_cooldown_seconds", "digest_minutes")},
        ),
        (_("Quiet hours"), {"fields": (("quiet_from", "quiet_until"), "quiet_spares_high")}),
        (_("Escalation"), {"fields": ("escalate_minutes", "escalate_to")}),
    )


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """What was told."""

    list_display = ("created_at", "title", "rule", "escalation")
    list_filter = ("created_at", "rule", "escalation")
    search_fields = ("title", "rule__name")
    list_select_related = ("rule",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Whether it arrived; what was given up can be sent again."""

    list_display = ("message", "destination", "state", "attempts", "next_at", "sent_at", "last_error")
    list_filter = ("state", "destination")
    search_fields = ("message__title", "destination__name", "last_error")
    date_hierarchy = "sent_at"
    list_select_related = ("message", "destination")
    actions = ("again",)

    @admin.action(description=_("Send again"), permissions=["act"])
    def again(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """All their attempts anew."""
        count = send_again(rows, now=utc_now())
        text = ngettext("%(n)d is sent again.", "%(n)d are sent again.", count)
        self.message_user(request, text % {"n": count}, messages.SUCCESS)
