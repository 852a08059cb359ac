"""Prices, and what was spent."""

from __future__ import annotations

from django.contrib import admin

from assessment.models import ModelPrice, Spending
from trafficmon.accounts.site import AuditedAdmin, ReadOnlyAdmin


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
    list_filter = ("account", "key", "model", "prompt_version", "camera")
    search_fields = ("camera__name", "account", "key", "model")
    list_select_related = ("camera",)
    date_hierarchy = "day"
