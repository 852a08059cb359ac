"""What an operator is alarmed about."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from assessment.models.choices import LEVEL_CHOICES, TYPE_CHOICES
from assessment.models.frames import Assessment
from assessment.risk import RiskLevel, RiskType
from cameras.models import Camera
from trafficmon.accounts.models import User


class AlertKind(models.TextChoices):
    """What an alert is about."""

    DANGER = "danger", _("danger")
    CAMERA_LOST = "camera_lost", _("camera lost")


class AlertState(models.TextChoices):
    """Where an alert stands with the operator."""

    OPEN = "open", _("open")
    ACKNOWLEDGED = "acknowledged", _("acknowledged")
    CLOSED = "closed", _("closed")


class AlertQuerySet(models.QuerySet["Alert"]):
    def live(self) -> Self:
        """Open or acknowledged: those that can still be continued."""
        return self.exclude(state=AlertState.CLOSED)

    def dangers(self) -> Self:
        """Those that verdicts raised: what continues, escalates and ends by not being seen."""
        return self.filter(kind=AlertKind.DANGER)

    def cameras_lost(self) -> Self:
        """Those about cameras that give no pictures."""
        return self.filter(kind=AlertKind.CAMERA_LOST)

    def before(self, opened_at: datetime, alert_id: int) -> Self:
        """Those that come after an alert in the list, which has the newest first: where its next page begins."""
        # The first condition alone bounds the index; the second settles alerts of the same moment.
        return self.filter(opened_at__lte=opened_at).filter(Q(opened_at__lt=opened_at) | Q(pk__lt=alert_id))

    def visible_to(self, user: User) -> Self:
        """Those of the cameras that `user` may see."""
        return self.filter(camera__in=Camera.objects.visible_to(user))


class Alert(models.Model):
    """One danger that an operator sees, however many frames show it; or one camera that is gone.

    Of a lost camera `opened_at` is since when it is gone, its type is `other`, and it has no place and no verdict.
    """

    kind = models.CharField(_("kind"), max_length=16, choices=AlertKind.choices, default=AlertKind.DANGER)
    camera = models.ForeignKey(Camera, models.CASCADE, related_name="alerts", verbose_name=_("camera"))
    assessment = models.ForeignKey(
        Assessment, models.SET_NULL, null=True, related_name="alerts", verbose_name=_("latest assessment")
    )
    risk_type = models.CharField(_("type"), max_length=32, choices=TYPE_CHOICES)
    risk_level = models.CharField(_("risk"), max_length=8, choices=LEVEL_CHOICES)
    state = models.CharField(_("state"), max_length=16, choices=AlertState.choices, default=AlertState.OPEN)
    description = models.TextField(_("description"), blank=True)
    risk_types = models.JSONField(_("risk types"), default=list)
    place = models.JSONField(_("place"), default=list, help_text=_("Box of the traffic group in the latest frame, px."))
    track_ids = models.JSONField(_("tracks"), default=list)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    opened_at = models.DateTimeField(_("opened"))
    last_seen_at = models.DateTimeField(_("last seen"))
    closed_at = models.DateTimeField(_("closed"), null=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)
    acknowledged_by = models.ForeignKey(
        User, models.SET_NULL, null=True, related_name="acknowledged_alerts", verbose_name=_("acknowledged by")
    )
    assigned_to = models.ForeignKey(
        User,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="assigned_alerts",
        verbose_name=_("assigned to"),
        db_index=False,
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-opened_at", "-pk")
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        indexes = [
            # With what the timeline and statistics count, so that PostgreSQL need not look at the rows.
            models.Index(
                fields=("-opened_at", "-id"), include=("risk_level", "kind", "camera"), name="alert_by_time_with_facts"
            ),
            models.Index(fields=("-opened_at", "-id"), condition=Q(kind="camera_lost"), name="alert_lost_by_time"),
            models.Index(fields=("camera", "-opened_at", "-id"), name="alert_by_camera"),
            models.Index(fields=("state", "-opened_at", "-id"), name="alert_by_state"),
            models.Index(fields=("risk_level", "-opened_at", "-id"), name="alert_by_level"),
            models.Index(fields=("risk_type", "-opened_at", "-id"), name="alert_by_type"),
            models.Index(
                fields=("assigned_to", "-opened_at", "-id"),
                condition=Q(assigned_to__isnull=False),
                name="alert_by_assignee",
            ),
            models.Index(fields=("last_seen_at",), condition=~Q(state="closed"), name="alert_live_by_last_seen"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=AlertKind.values), name="alert_kind_known"),
            models.UniqueConstraint(
                fields=("camera",),
                condition=Q(kind="camera_lost") & ~Q(state="closed"),
                name="one_live_alert_per_lost_camera",
            ),
            models.CheckConstraint(condition=Q(state__in=AlertState.values), name="alert_state_known"),
            models.CheckConstraint(
                condition=Q(risk_level__in=list(RiskLevel)) & Q(risk_type__in=list(RiskType)), name="alert_risk_known"
            ),
            models.CheckConstraint(condition=Q(last_seen_at__gte=F("opened_at")), name="alert_seen_after_opened"),
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False) | (~Q(state="closed") & Q(closed_at__isnull=True)),
                name="alert_closed_has_a_moment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera}: {self.name} {self.risk_level}"

    @property
    def name(self) -> str:
        """What it is called on pages."""
        is_danger = self.kind == AlertKind.DANGER
        return str(self.get_risk_type_display() if is_danger else self.get_kind_display())
