"""The API as Django knows it, for its command."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "trafficmon.api"
