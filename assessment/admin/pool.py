"""Accounts, keys, routes and the policy of the pool. A secret can be entered, and is never shown again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from pydantic import SecretStr

from assessment import keys
from assessment.clients import UnableToAssess
from assessment.key_file import names_a_setting, secret_fields
from assessment.limits import KeyStanding
from assessment.models import Account, ApiKey, CameraRoute, ModelLimit, PoolPolicy
from trafficmon.accounts.site import AuditedAdmin

LIMITS = ("requests_per_second", "requests_per_minute", "tokens_per_minute", "most_in_flight")
SWITCHED_OFF_BY_HAND = "by hand"


class PoolAdmin(AuditedAdmin):
    """Whatever is changed here holds from the next call on, without a restart."""

    show_full_result_count = False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # Django's
        super().save_related(request, form, formsets, change)
        keys.pool_changed()

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        keys.pool_changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        super().delete_queryset(request, queryset)
        keys.pool_changed()


class ModelLimitInline(admin.TabularInline):  # type: ignore[type-arg]
    """Limits for single models."""

    model = ModelLimit
    extra = 0


def _take_out(admin_page: PoolAdmin, request: HttpRequest, rows: QuerySet[Any], kind: type[Account | ApiKey]) -> None:
    take = keys.take_out_account if kind is Account else keys.take_out_key
    count = sum(take(each.slug, SWITCHED_OFF_BY_HAND, now=now()) for each in rows)
    _say(admin_page, request, ngettext("%(n)d was taken out.", "%(n)d were taken out.", count) % {"n": count})


def _put_back(admin_page: PoolAdmin, request: HttpRequest, rows: QuerySet[Any], kind: type[Account | ApiKey]) -> None:
    count = sum(keys.put_back(kind, each.slug) for each in rows)
    _say(admin_page, request, ngettext("%(n)d was put back.", "%(n)d were put back.", count) % {"n": count})


def _say(admin_page: PoolAdmin, request: HttpRequest, text: str) -> None:
    admin_page.message_user(request, text, messages.SUCCESS)


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """Another address is another party: no secret that was entered for the old one goes there."""

    class Meta:
        model = Account
        fields = ("slug", "provider", "base_url", "json_mode", *LIMITS, "daily_budget", "enabled")
        help_texts = {
            "base_url": _(
                "Of an OpenAI-compatible server up to and with /v1. Left empty for DashScope: ALGO_LLM_BASE_URL. "
                "With another address the account's keys need their secrets anew."
            )
        }


@admin.register(Account)
class AccountAdmin(PoolAdmin):
    """Provider accounts: limits are theirs, whichever key is used."""

    form = AccountForm
    list_display = ("slug", "provider", *LIMITS, "key_count", "enabled", "disabled_reason")
    list_filter = ("provider", "enabled")
    search_fields = ("slug",)
    readonly_fields = ("disabled_reason", "disabled_at")
    inlines = (ModelLimitInline,)
    actions = ("take_out", "put_back")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        counted: QuerySet[Account] = super().get_queryset(request).annotate(key_total=Count("keys"))
        return counted

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        count = keys.forget_secrets(obj) if change and "base_url" in form.changed_data else 0
        if count:
            told = ngettext("%(n)d key needs its secret anew.", "%(n)d keys need their secrets anew.", count)
            self.message_user(request, told % {"n": count}, messages.WARNING)

    @admin.display(description=_("keys"), ordering="key_total")
    def key_count(self, account: Any) -> int:
        return int(account.key_total)

    @admin.action(description=_("Take out of the pool"), permissions=["change"])
    def take_out(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        _take_out(self, request, rows, Account)

    @admin.action(description=_("Put back into the pool"), permissions=["change"])
    def put_back(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        _put_back(self, request, rows, Account)


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new secret replaces the old one, and no refusal of that holds for it; left empty, the old one stays."""

    secret = forms.CharField(
        label=_("Secret"),
        required=False,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("The key itself, or ${NAME} for an environment variable of the workers. Left empty: as it is."),
    )

    class Meta:
        model = ApiKey
        fields = ("slug", "account", *LIMITS, "priority", "weight", "enabled", "refused_models")

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if names_a_setting(SecretStr(secret)):
            raise ValidationError(_("This variable is a setting of the service: give the key one of its own."))
        return secret

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if secret := cleaned.get("secret"):
            for field, value in {**secret_fields(SecretStr(secret)), **keys.UNREFUSED}.items():
                setattr(self.instance, field, value)
            cleaned["refused_models"] = keys.UNREFUSED["refused_models"]
        elif "secret" in cleaned and not self.instance.pk:
            self.add_error("secret", _("A key needs its secret."))
        elif self._goes_elsewhere():
            self.add_error("secret", _("The other account has another address: enter the secret anew."))
        return cleaned

    def _goes_elsewhere(self) -> bool:
        """Whether a secret that stays as it is would be sent to another address than the one it was entered for."""
        account = self.cleaned_data.get("account")
        return bool(account and self.instance.pk and account.base_url != self.instance.account.base_url)


@admin.register(ApiKey)
class ApiKeyAdmin(PoolAdmin):
    """Keys, and where each stands at this moment."""

    form = ApiKeyForm
    list_display = ("slug", "account", "masked", "state", "in_flight", "used", "priority", "weight", "enabled")
    list_filter = ("account", "enabled")
    list_select_related = ("account",)
    autocomplete_fields = ("account",)
    search_fields = ("slug", "account__slug")
    readonly_fields = ("masked", "disabled_reason", "disabled_at")
    actions = ("take_out", "put_back")
    _standings: dict[str, KeyStanding]

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "secret" in form.changed_data:
            keys.secret_changed(obj.slug)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """With where the keys stand, asked of Redis once a page."""
        try:
            self._standings = {each.key_id: each for each in keys.standings(settings.ENVIRONMENT.llm_model)}
        except UnableToAssess:
            self._standings = {}
        rows: QuerySet[ApiKey] = super().get_queryset(request)
        return rows

    @admin.display(description=_("secret"))
    def masked(self, key: ApiKey) -> str:
        return keys.masked(key)

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> str:
        standing = self._standings.get(key.slug)
        if standing is None:
            return "?"
        until = f" {standing.until_seconds:.0f} s" if standing.until_seconds else ""
        return " ".join(filter(None, [f"{standing.state}{until}", standing.reason]))

    @admin.display(description=_("in flight"))
    def in_flight(self, key: ApiKey) -> int:
        standing = self._standings.get(key.slug)
        return standing.in_flight if standing else 0

    @admin.display(description=_("used and permitted: second, minute, tokens"))
    def used(self, key: ApiKey) -> str:
        standing = self._standings.get(key.slug)
        if standing is None:
            return ""
        pairs = (
            (standing.used_second, standing.limit_second),
            (standing.used_minute, standing.limit_minute),
            (standing.tokens_minute, standing.limit_tokens),
        )
        return ", ".join(f"{used}/{limit}" if limit else str(used) for used, limit in pairs)

    @admin.action(description=_("Take out of the pool"), permissions=["change"])
    def take_out(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        _take_out(self, request, rows, ApiKey)

    @admin.action(description=_("Put back into the pool"), permissions=["change"])
    def put_back(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        _put_back(self, request, rows, ApiKey)


@admin.register(PoolPolicy)
class PoolPolicyAdmin(PoolAdmin):
    """There is one: to add is to replace it."""

    list_display = ("__str__", "strategy", "default_cooldown_seconds", "daily_budget")

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        obj.pk = 1
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002  # Django's
        return False


@admin.register(CameraRoute)
class CameraRouteAdmin(PoolAdmin):
    """Which cameras are pinned to an account or a key."""

    list_display = ("camera", "account", "key")
    list_select_related = ("camera", "account", "key")
    list_filter = ("account", "key")
    search_fields = ("camera__name", "account__slug", "key__slug")
    autocomplete_fields = ("camera", "account", "key")
