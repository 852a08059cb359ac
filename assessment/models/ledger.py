"""What calls have cost."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from cameras.models import Camera


class ModelPrice(models.Model):
    """What a model costs per million tokens, in the currency that budgets are in."""

    model = models.CharField(_("model"), max_length=100, unique=True)
    input_price = models.DecimalField(
        _("per million tokens in"), max_digits=12, decimal_places=6, validators=[MinValueValidator(0)]
    )
    output_price = models.DecimalField(
        _("per million tokens out"), max_digits=12, decimal_places=6, validators=[MinValueValidator(0)]
    )

    class Meta:
        ordering = ("model",)
        verbose_name = _("price of a model")
        verbose_name_plural = _("prices of models")

    def __str__(self) -> str:
        return self.model


class Spending(models.Model):
    """The calls of one day with one camera, account, key, prompt version and model, added up."""

    day = models.DateField(_("day"), help_text=_("In the configured time zone."))
    camera = models.ForeignKey(Camera, models.SET_NULL, null=True, verbose_name=_("camera"))
    account = models.CharField(_("account"), max_length=64)
    key = models.CharField(_("API key"), max_length=64)
    prompt_version = models.CharField(_("prompt"), max_length=100)
    model = models.CharField(_("model"), max_length=100)
    calls = models.PositiveIntegerField(_("calls"), default=0)
    failed_calls = models.PositiveIntegerField(_("of them failed"), default=0)
    input_tokens = models.PositiveBigIntegerField(_("tokens in"), default=0)
    output_tokens = models.PositiveBigIntegerField(_("tokens out"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=14, decimal_places=8, default=0)

    class Meta:
        ordering = ("-day", "camera", "account", "key")
        verbose_name = _("spending of a day")
        verbose_name_plural = _("spending by the day")
        # Of deleted cameras there may be several rows of a kind.
        constraints = [
            models.UniqueConstraint(
                fields=("day", "camera", "account", "key", "prompt_version", "model"),
                name="one_spending_of_a_day_and_kind",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.account} {self.key} {self.model}: {self.cost}"
