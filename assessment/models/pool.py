"""Whom the model is asked through: provider accounts, their keys and limits, and how a key is chosen."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from assessment.limits import Strategy
from cameras.models import Camera

STRATEGY_CHOICES = [
    (Strategy.ROUND_ROBIN.value, _("in turn")),
    (Strategy.LEAST_LOADED.value, _("the least loaded")),
    (Strategy.WEIGHTED.value, _("by weight")),
    (Strategy.PRIORITY.value, _("by priority")),
]
_slug = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", _("Letters, digits, dots, dashes and underscores."))


ADDRESS_PATTERN = r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$"
"""Unlike Django's own it knows names without a dot, as hosts of a compose file have, and no passwords."""


class Provider(models.TextChoices):
    """Which protocol an account's provider speaks."""

    DASHSCOPE = "dashscope", "DashScope"
    OPENAI = "openai", _("OpenAI-compatible")


class Limited(models.Model):
    """Limits of an account and model, or of a key; 0 is no limit."""

    requests_per_second = models.PositiveIntegerField(_("requests a second"), default=0)
    requests_per_minute = models.PositiveIntegerField(_("requests a minute"), default=0)
    tokens_per_minute = models.PositiveBigIntegerField(_("tokens a minute"), default=0)
    most_in_flight = models.PositiveIntegerField(_("calls at once"), default=0)

    class Meta:
        abstract = True


class Account(Limited):
    """An account with a provider. Its limits hold for each model by itself, shared by all of its keys."""

    slug = models.CharField(_("id"), max_length=64, unique=True, validators=[_slug])
    provider = models.CharField(_("provider"), max_length=16, choices=Provider.choices, default=Provider.DASHSCOPE)
    base_url = models.CharField(
        _("address"),
        max_length=200,
        blank=True,
        validators=[RegexValidator(ADDRESS_PATTERN, _("An address that begins with http:// or https://."))],
        help_text=_("Of an OpenAI-compatible server up to and with /v1. Left empty for DashScope: ALGO_LLM_BASE_URL."),
    )
    json_mode = models.BooleanField(
        _("JSON mode"),
        default=True,
        help_text=_("Ask for answers in JSON only, where the model can. Switch it off for a server that refuses it."),
    )
    daily_budget = models.DecimalField(
        _("daily budget"), max_digits=12, decimal_places=4, default=0, help_text=_("0 is no limit.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    disabled_reason = models.CharField(_("taken out because"), max_length=300, blank=True)
    disabled_at = models.DateTimeField(_("taken out"), null=True, blank=True)

    class Meta:
        ordering = ("slug",)
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.CheckConstraint(condition=Q(provider__in=Provider.values), name="account_provider_known"),
            models.CheckConstraint(
                condition=~Q(provider=Provider.OPENAI, base_url=""),
                name="account_openai_has_address",
                violation_error_message=_("An OpenAI-compatible account needs the address of its server."),
            ),
            models.CheckConstraint(condition=Q(daily_budget__gte=0), name="account_budget_not_negative"),
        ]

    def __str__(self) -> str:
        return self.slug


class ModelLimit(Limited):
    """Limits of an account for one model, in place of the account's own."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="model_limits", verbose_name=_("account"))
    model = models.CharField(_("model"), max_length=100)

    class Meta:
        ordering = ("account", "model")
        verbose_name = _("limits for a model")
        verbose_name_plural = _("limits for models")
        constraints = [models.UniqueConstraint(fields=("account", "model"), name="one_limit_per_account_and_model")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.model}"


class ApiKey(Limited):
    """A key of an account. Its secret is encrypted here, or is read from the environment variable named here."""

    slug = models.CharField(_("id"), max_length=64, unique=True, validators=[_slug])
    account = models.ForeignKey(Account, models.CASCADE, related_name="keys", verbose_name=_("account"))
    secret_encrypted = models.TextField(_("secret"), blank=True, editable=False)
    secret_variable = models.CharField(_("environment variable"), max_length=100, blank=True)
    priority = models.PositiveIntegerField(_("priority"), default=1, help_text=_("1 is asked first."))
    weight = models.PositiveIntegerField(
        _("weight"), default=1, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    disabled_reason = models.CharField(_("taken out because"), max_length=300, blank=True)
    disabled_at = models.DateTimeField(_("taken out"), null=True, blank=True)
    refused_models = models.JSONField(_("models it has no right to"), default=list, blank=True)

    class Meta:
        ordering = ("slug",)
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [
            models.CheckConstraint(
                condition=Q(secret_encrypted="") ^ Q(secret_variable=""), name="api_key_has_one_secret"
            ),
            models.CheckConstraint(condition=Q(weight__gte=1), name="api_key_weight_positive"),
        ]

    def __str__(self) -> str:
        return self.slug


class PoolPolicy(models.Model):
    """How a key is chosen and what a day may cost; there is one."""

    strategy = models.CharField(
        _("strategy"), max_length=16, choices=STRATEGY_CHOICES, default=Strategy.ROUND_ROBIN.value
    )
    max_retry_per_key = models.PositiveSmallIntegerField(_("retries per key"), default=3)
    default_cooldown_seconds = models.FloatField(
        _("cooldown"), default=60.0, validators=[MinValueValidator(10), MaxValueValidator(120)]
    )
    daily_budget = models.DecimalField(
        _("daily budget"), max_digits=12, decimal_places=4, default=0, help_text=_("Of all accounts; 0 is no limit.")
    )
    imported_digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        verbose_name = _("key pool")
        verbose_name_plural = _("key pool")
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="one_pool_policy"),
            models.CheckConstraint(condition=Q(strategy__in=list(Strategy)), name="pool_strategy_known"),
        ]

    def __str__(self) -> str:
        return str(self._meta.verbose_name)


class CameraRoute(models.Model):
    """Pins the questions of a camera to an account or a key."""

    camera = models.OneToOneField(Camera, models.CASCADE, related_name="route", verbose_name=_("camera"))
    account = models.ForeignKey(Account, models.CASCADE, null=True, blank=True, verbose_name=_("account"))
    key = models.ForeignKey(ApiKey, models.CASCADE, null=True, blank=True, verbose_name=_("API key"))

    class Meta:
        verbose_name = _("route of a camera")
        verbose_name_plural = _("routes of cameras")
        constraints = [
            models.CheckConstraint(
                condition=Q(account__isnull=True) ^ Q(key__isnull=True), name="route_leads_to_one_place"
            )
        ]

    def __str__(self) -> str:
        return f"{self.camera_id} → {self.key or self.account}"
