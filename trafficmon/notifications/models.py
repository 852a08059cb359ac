"""Where notifications go, which rules say so, and the outbox: what is to be told, and whether it was."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from assessment.models import LEVEL_CHOICES, Alert
from assessment.risk import RiskLevel
from cameras.fields import EncryptedTextField
from cameras.models import CameraGroup
from trafficmon.notifications.addresses import check_mail, check_service, check_webhook
from trafficmon.notifications.policy import QuietHours, Terms


class Kind(models.TextChoices):
    """How a destination is reached."""

    WEBHOOK = "webhook", _("webhook")
    EMAIL = "email", _("e-mail")
    SERVICE = "service", _("messaging service (Apprise)")


_CHECKS = {Kind.WEBHOOK: check_webhook, Kind.EMAIL: check_mail, Kind.SERVICE: check_service}


class Destination(models.Model):
    """Where notifications go. Address and secret are encrypted and never shown."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    address = EncryptedTextField(_("address"))
    secret = EncryptedTextField(_("secret"), blank=True, default="")
    with_picture = models.BooleanField(_("with picture"), default=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    reached_at = models.DateTimeField(_("last reached"), null=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=300, blank=True, editable=False)

    class Meta:
        ordering = ("name",)
        verbose_name = _("destination")
        verbose_name_plural = _("destinations")
        constraints = [models.CheckConstraint(condition=Q(kind__in=Kind.values), name="destination_kind_known")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an address that nothing may be sent to, and a webhook without a secret to sign with."""
        if self.kind and self.address:
            try:
                _CHECKS[Kind(self.kind)](self.address)
            except ValidationError as error:
                raise ValidationError({"address": error}) from None
        if self.kind == Kind.WEBHOOK and not self.secret:
            raise ValidationError({"secret": _("A webhook needs a secret, by which its receiver knows us.")})


def check_levels(value: object) -> None:
    """Refuse anything but a list of levels that are a risk."""
    if not isinstance(value, list) or not set(map(str, value)) <= {"low", "medium", "high"}:
        raise ValidationError(_('Give a list of low, medium and high, such as ["high"].'))


def _only_high() -> list[str]:
    return [RiskLevel.HIGH.value]


_A_DAY = [MaxValueValidator(86_400)]


class Rule(models.Model):
    """Which alerts are told where, and how often."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    destinations = models.ManyToManyField(Destination, related_name="rules", verbose_name=_("destinations"))
    levels = models.JSONField(_("levels"), default=_only_high, blank=True, validators=[check_levels])
    camera_lost = models.BooleanField(_("lost cameras"), default=False)
    groups = models.ManyToManyField(
        CameraGroup, blank=True, verbose_name=_("camera groups"), help_text=_("Empty: all cameras.")
    )
    merge_seconds = models.PositiveIntegerField(
        _("merge, seconds"),
        default=10,
        validators=_A_DAY,
        help_text=_("What comes within this time goes in one message."),
    )
    camera_cooldown_seconds = models.PositiveIntegerField(
        _("cooldown of a camera, seconds"),
        default=300,
        validators=_A_DAY,
        help_text=_("Until a camera is told of again, unless it gets worse. 0: none."),
    )
    overall_cooldown_seconds = models.PositiveIntegerField(
        _("cooldown overall, seconds"),
        default=30,
        validators=_A_DAY,
        help_text=_("Between any two messages. 0: none."),
    )
    digest_minutes = models.PositiveIntegerField(
        _("digest, minutes"),
        default=0,
        validators=[MaxValueValidator(1440)],
        help_text=_("Tell all together, this often. 0: one by one."),
    )
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    quiet_spares_high = models.BooleanField(_("high risks also in quiet hours"), default=True)
    escalate_minutes = models.PositiveIntegerField(
        _("escalate after, minutes"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1440)],
        help_text=_("Where nobody has acknowledged the alert by then. Empty: never."),
    )
    escalate_to = models.ManyToManyField(
        Destination, blank=True, related_name="escalating_rules", verbose_name=_("escalate to")
    )

    class Meta:
        ordering = ("name",)
        verbose_name = _("notification rule")
        verbose_name_plural = _("notification rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="rule_quiet_hours_have_both_ends",
                violation_error_message=_("Quiet hours need a beginning and an end."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def terms(self) -> Terms:
        quiet = None
        if self.quiet_from and self.quiet_until:
            zone = ZoneInfo(settings.TIME_ZONE)
            quiet = QuietHours(self.quiet_from, self.quiet_until, zone, self.quiet_spares_high)
        return Terms(
            merge=timedelta(seconds=self.merge_seconds),
            camera_cooldown=timedelta(seconds=self.camera_cooldown_seconds),
            overall_cooldown=timedelta(seconds=self.overall_cooldown_seconds),
            digest=timedelta(minutes=self.digest_minutes),
            quiet=quiet,
        )


class Occasion(models.TextChoices):
    """Why an alert is told."""

    OPENED = "opened", _("new")
    ESCALATED = "escalated", _("worse than before")
    UNACKNOWLEDGED = "unacknowledged", _("nobody has acknowledged it")


class Message(models.Model):
    """What is told together; its words stay the same however often it is sent."""

    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="messages", verbose_name=_("rule"))
    created_at = models.DateTimeField(_("created"))
    escalation = models.BooleanField(_("escalation"), default=False)
    title = models.CharField(_("title"), max_length=300)
    text = models.TextField(_("text"))
    alerts = models.JSONField(_("alerts"), default=list)
    evidence_id = models.BigIntegerField(_("picture"), null=True)

    class Meta:
        ordering = ("-created_at", "-pk")
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [models.Index(fields=("rule", "-created_at"), name="message_by_rule_and_time")]

    def __str__(self) -> str:
        return self.title


class Notice(models.Model):
    """One alert that one rule is to tell on one occasion: written in the transaction that opens the alert."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="notices", verbose_name=_("rule"))
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="notices", verbose_name=_("alert"))
    occasion = models.CharField(_("occasion"), max_length=16, choices=Occasion.choices)
    level = models.CharField(_("risk"), max_length=8, choices=LEVEL_CHOICES)
    created_at = models.DateTimeField(_("created"))
    due_at = models.DateTimeField(_("not before"))
    message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="notices", verbose_name=_("told by"))
    dropped_at = models.DateTimeField(_("not told any more"), null=True)

    class Meta:
        ordering = ("-created_at", "-pk")
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        indexes = [
            models.Index(
                fields=("due_at",), condition=Q(message__isnull=True, dropped_at__isnull=True), name="notice_due"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=("rule", "alert", "occasion", "level"), name="notice_once_per_occasion"),
            models.CheckConstraint(condition=Q(occasion__in=Occasion.values), name="notice_occasion_known"),
            models.CheckConstraint(condition=Q(level__in=list(RiskLevel)), name="notice_level_known"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.alert_id} {self.occasion}"


class DeliveryState(models.TextChoices):
    """Where a delivery stands."""

    WAITING = "waiting", _("waiting")
    SENT = "sent", _("sent")
    FAILED = "failed", _("given up")


class Delivery(models.Model):
    """A message on its way to one destination."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="deliveries", verbose_name=_("message"))
    destination = models.ForeignKey(
        Destination, models.CASCADE, related_name="deliveries", verbose_name=_("destination")
    )
    state = models.CharField(_("state"), max_length=16, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_at = models.DateTimeField(_("not before"))
    sent_at = models.DateTimeField(_("sent"), null=True)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)

    class Meta:
        ordering = ("-pk",)
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes = [models.Index(fields=("next_at",), condition=Q(state="waiting"), name="delivery_due")]
        constraints = [
            models.UniqueConstraint(fields=("message", "destination"), name="one_delivery_per_destination"),
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="delivery_state_known"),
            models.CheckConstraint(
                condition=Q(state="sent", sent_at__isnull=False) | (~Q(state="sent") & Q(sent_at__isnull=True)),
                name="delivery_sent_has_a_moment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} → {self.destination_id} {self.state}"
