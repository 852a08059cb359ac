"""What people say of alerts: what happened to each, and how right it was."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from assessment.models.alerts import Alert
from assessment.models.choices import JUDGED_BY_CHOICES, LEVEL_CHOICES, TYPE_CHOICES, known
from assessment.models.frames import Assessment
from cameras.models import Camera
from trafficmon.accounts.models import User


class EventKind(models.TextChoices):
    """What can happen to an alert."""

    OPENED = "opened", _("opened")
    SEEN = "seen", _("seen again")
    ESCALATED = "escalated", _("became worse")
    CLOSED = "closed", _("closed")
    ACKNOWLEDGED = "acknowledged", _("acknowledged")
    ASSIGNED = "assigned", _("assigned")
    COMMENTED = "commented", _("commented")
    JUDGED = "judged", _("judged")


class AlertEvent(models.Model):
    """One thing that happened to an alert; together they are its timeline. Nothing is changed or taken out."""

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="events", verbose_name=_("alert"), db_index=False)
    kind = models.CharField(_("kind"), max_length=16, choices=EventKind.choices)
    at = models.DateTimeField(_("when"))
    by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("by"), db_index=False
    )
    by_name = models.CharField(_("name"), max_length=150, blank=True, help_text=_("As it was then."))
    assessment = models.ForeignKey(
        Assessment, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("assessment")
    )
    risk_level = models.CharField(
        _("risk"), max_length=8, choices=LEVEL_CHOICES, blank=True, help_text=_("What was just seen, or judged right.")
    )
    words = models.TextField(_("words"), blank=True, help_text=_("A comment, or to whom it was assigned."))

    class Meta:
        ordering = ("at", "pk")
        verbose_name = _("event of an alert")
        verbose_name_plural = _("events of alerts")
        indexes = [models.Index(fields=("alert", "at"), name="event_by_alert_and_time")]
        constraints = [known("kind", EventKind.choices, "event_kind_known")]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.kind}"


class Truth(models.TextChoices):
    """Whether an alert was right."""

    TRUE = "true", _("true")
    FALSE = "false", _("false")
    UNSURE = "unsure", _("unsure")


class AlertJudgement(models.Model):
    """What one person says of one alert about a danger, with what was judged as it was then.

    It outlives the alert, the person and the camera, for the statistics of how well the system judges.
    """

    alert = models.ForeignKey(Alert, models.SET_NULL, null=True, related_name="judgements", verbose_name=_("alert"))
    judge = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("judged by"))
    truth = models.CharField(_("judgement"), max_length=8, choices=Truth.choices)
    right_level = models.CharField(
        _("right level"), max_length=8, choices=LEVEL_CHOICES, blank=True, help_text=_("Empty only where unsure.")
    )
    judged_at = models.DateTimeField(_("judged"))
    is_latest = models.BooleanField(
        _("the latest of its alert"),
        default=True,
        db_default=True,
        help_text=_("An alert counts once, as it was judged last."),
    )

    camera = models.ForeignKey(Camera, models.SET_NULL, null=True, related_name="+", verbose_name=_("camera"))
    opened_at = models.DateTimeField(_("alert opened"))
    risk_level = models.CharField(_("alert's level"), max_length=8, choices=LEVEL_CHOICES)
    risk_type = models.CharField(_("type"), max_length=32, choices=TYPE_CHOICES)
    judged_by = models.CharField(_("verdict by"), max_length=16, choices=JUDGED_BY_CHOICES, blank=True)
    llm_model = models.CharField(_("model"), max_length=100, blank=True)
    prompt_version = models.CharField(_("prompt"), max_length=100, blank=True)

    class Meta:
        ordering = ("-judged_at", "-pk")
        verbose_name = _("judgement of an alert")
        verbose_name_plural = _("judgements of alerts")
        indexes = [
            models.Index(fields=("opened_at",), name="judgement_by_time"),
            # With all that precision is broken down by, so that PostgreSQL need not look at the rows.
            models.Index(
                fields=("opened_at",),
                include=("camera", "prompt_version", "risk_level", "truth", "right_level"),
                condition=Q(is_latest=True),
                name="judgement_latest_by_time",
            ),
        ]
        constraints = [
            # Of people and alerts that are gone there may be several: null differs from null.
            models.UniqueConstraint(fields=("alert", "judge"), name="one_judgement_per_person_and_alert"),
            models.UniqueConstraint(
                fields=("alert",), condition=Q(is_latest=True), name="one_latest_judgement_per_alert"
            ),
            known("truth", Truth.choices, "judgement_truth_known"),
            models.CheckConstraint(
                condition=Q(truth="true", right_level__in=["low", "medium", "high"])
                | Q(truth="false", right_level__in=["none", "low"])
                | Q(truth="unsure", right_level__in=["", "none", "low", "medium", "high"]),
                name="judgement_level_fits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.truth}"
