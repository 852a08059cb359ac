"""What was asked, answered and alerted, to look at: results are never edited by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from assessment.group_outcomes import outcomes_of
from assessment.models import Alert, Assessment, FrameResult, LineCount, ModelPrice
from cameras.models import Camera
from trafficmon.accounts.site import ReadOnlyAdmin
from trafficmon.core.clock import spell
from trafficmon.core.spreadsheet import csv_line

COUNT_COLUMNS = ("hour", "camera", "line", "class", "direction", "count")


class ModelFilter(admin.SimpleListFilter):
    """By the models that are configured or priced: those that were ever asked would have to be looked for."""

    title = _("model")
    parameter_name = "llm_model"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:  # noqa: ARG002  # Django's
        environment = settings.ENVIRONMENT
        configured = {environment.llm_model, environment.llm_cheaper_model} - {""}
        return [(each, each) for each in sorted(configured | set(ModelPrice.objects.values_list("model", flat=True)))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Assessment]) -> QuerySet[Assessment]:  # noqa: ARG002
        return queryset.filter(llm_model=self.value()) if self.value() else queryset


@admin.register(Assessment)
class AssessmentAdmin(ReadOnlyAdmin):
    """Every question put to the model."""

    list_display = (
        *("created_at", "camera", "group_index", "status", "reason", "risk_level", "risk_type", "judged_by"),
        *("prior", "llm_seconds"),
    )
    list_filter = (
        "created_at",
        "status",
        "risk_level",
        "risk_type",
        "judged_by",
        "sampled_from",
        "urgent",
        ModelFilter,
    )
    search_fields = ("camera__name", "=id", "=key")
    list_select_related = ("camera",)


@admin.register(FrameResult)
class FrameResultAdmin(ReadOnlyAdmin):
    """Every analysed frame, and what became of each of its traffic groups."""

    list_display = ("captured_at", "camera", "status", "reason", "max_risk_level", "partial")
    list_filter = ("captured_at", "status", "max_risk_level", "partial", "camera")
    search_fields = ("camera__name", "=id", "=frame_key")
    list_select_related = ("camera",)
    fields = (
        *("camera", "captured_at", "detected_at", "deadline_at", "closed_at", "status", "reason", "max_risk_level"),
        *("partial", "outcomes", "width", "height", "process_seconds", "model", "tracking_enabled", "frame_key"),
    )
    readonly_fields = ("outcomes",)

    @admin.display(description=_("traffic groups"))
    def outcomes(self, row: FrameResult) -> str:
        lines = ((each.name, each.outcome, each.by_geometry) for each in outcomes_of(row))
        return format_html_join(mark_safe("<br>"), "{}: {} ({})", lines) or "–"


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Every alert raised."""

    list_display = ("opened_at", "camera", "kind", "risk_level", "risk_type", "state", "times_seen", "acknowledged_by")
    list_filter = ("opened_at", "kind", "state", "risk_level", "risk_type", "camera")
    search_fields = ("camera__name", "=id", "acknowledged_by__username")
    list_select_related = ("camera", "acknowledged_by")


@admin.register(LineCount)
class LineCountAdmin(ReadOnlyAdmin):
    """Who crossed which counting line, hour by hour; what the list is narrowed to can be had as CSV."""

    list_display = ("hour", "camera", "line_name", "object_class", "direction", "count")
    list_filter = ("hour", "line__camera", "line__name", "object_class", "direction")
    search_fields = ("line__name", "line__camera__name")
    list_select_related = ("line__camera",)

    @admin.display(description=_("camera"))
    def camera(self, row: LineCount) -> Camera:
        return row.line.camera

    @admin.display(description=_("counting line"))
    def line_name(self, row: LineCount) -> str:
        return row.line.name

    def get_urls(self) -> list[URLPattern]:
        """The download before the usual pages."""
        csv = self.admin_site.admin_view(self.csv_view)
        return [path("csv/", csv, name="assessment_linecount_csv"), *super().get_urls()]

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """All rows of the list as its filters narrow it, as one CSV file that is sent while it is read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseBadRequest(_("These filters do not exist."))
        headers = {"Content-Disposition": 'attachment; filename="counts.csv"'}
        return StreamingHttpResponse(_count_lines(rows), content_type="text/csv; charset=utf-8", headers=headers)


async def _count_lines(rows: QuerySet[LineCount]) -> AsyncIterator[str]:
    yield csv_line(COUNT_COLUMNS)
    async for row in rows.select_related("line__camera").aiterator(chunk_size=2000):
        line = row.line
        counted = (row.object_class, row.direction, row.count)
        yield csv_line((spell(row.hour), line.camera.name, line.name, *counted))
