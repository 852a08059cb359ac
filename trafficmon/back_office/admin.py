"""What came from the back office, and what it was told."""

from __future__ import annotations

from django.contrib import admin

from trafficmon.accounts.site import ReadOnlyAdmin
from trafficmon.back_office.models import ImportedCamera, StatisticsReport


@admin.register(ImportedCamera)
class ImportedCameraAdmin(ReadOnlyAdmin):
    """Cameras by the number that the back office knows them by."""

    list_display = ("number", "camera", "imported_at")
    list_select_related = ("camera",)
    search_fields = ("number", "camera__name")
    date_hierarchy = "imported_at"


@admin.register(StatisticsReport)
class StatisticsReportAdmin(ReadOnlyAdmin):
    """Hours, and whether the back office knows of them."""

    list_display = ("hour", "sent_at", "attempts", "last_error")
    list_filter = (("sent_at", admin.EmptyFieldListFilter),)
    search_fields = ("last_error",)
    date_hierarchy = "hour"
