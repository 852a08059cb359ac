"""The back office as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BackOfficeConfig(AppConfig):
    name = "trafficmon.back_office"
    verbose_name = _("Back office")
