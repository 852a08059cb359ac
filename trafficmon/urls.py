"""Every path of the web side."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.utils.translation import gettext_lazy as _

admin.site.site_header = admin.site.site_title = _("trafficmon administration")
admin.site.index_title = _("Administration")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("trafficmon.api.urls")),
    path("", include("trafficmon.dashboard.urls")),
]

handler400 = "trafficmon.errors.bad_request"
handler403 = "trafficmon.errors.forbidden"
handler404 = "trafficmon.errors.not_found"
handler500 = "trafficmon.errors.server_error"
