"""What was asked, answered and alerted, to look at: results are never edited by hand."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from assessment.models import Alert, Assessment
from cameras.models import Camera


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Lists and details without a way to change anything; built for tables of millions."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  # Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Assessment)
class AssessmentAdmin(ReadOnlyAdmin):
    """Every question put to the model."""

    list_display = ("created_at", "camera", "group_index", "status", "reason", "risk_level", "risk_type", "llm_seconds")
    list_filter = ("status", "risk_level", "risk_type", "urgent", "llm_model")
    date_hierarchy = "created_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Assessment]:
        rows: QuerySet[Assessment] = super().get_queryset(request).select_related("frame_result__camera")
        return rows

    @admin.display(description=_("camera"))
    def camera(self, row: Assessment) -> Camera:
        return row.frame_result.camera


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Every alert raised."""

    list_display = ("opened_at", "camera", "risk_level", "risk_type", "state", "times_seen", "acknowledged_by")
    list_filter = ("state", "risk_level", "risk_type", "camera")
    list_select_related = ("camera", "acknowledged_by")
    date_hierarchy = "opened_at"
