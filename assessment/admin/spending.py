"""Prices, and what was spent."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from assessment.models import ModelPrice, Spending
from trafficmon.accounts.site import AuditedAdmin, ReadOnlyAdmin, by_recent_values


@admin.register(ModelPrice)
class ModelPriceAdmin(AuditedAdmin):
    """Per million tokens, in the currency that budgets are in."""

    list_display = ("model", "input_price", "output_price")
    search_fields = ("model",)


@admin.register(Spending)
class SpendingAdmin(ReadOnlyAdmin):
    """Calls, tokens and cost by day."""

    list_display = (
        "day",
        "camera",
        "account",
        "key",
        "model",
        "calls",
        "failed_calls",
        "input_tokens",
        "output_tokens",
        "cost",
    )
    list_filter = (
        "day",
        by_recent_values("account", "day", _("account")),
        by_recent_values("key", "day", _("API key")),
        by_recent_values("model", "day", _("model")),
        by_recent_values("prompt_version", "day", _("prompt")),
        "camera",
    )
    search_fields = ("camera__name", "account", "key", "model")
    list_select_related = ("camera",)
