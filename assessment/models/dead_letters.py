"""Questions that were given up."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from assessment.models.frames import Assessment
from trafficmon.accounts.models import User


class DeadLetterState(models.TextChoices):
    """What became of it."""

    WAITING = "waiting", _("waiting")
    SENT_AGAIN = "sent_again", _("sent again")
    DROPPED = "dropped", _("dropped")


class DeadLetter(models.Model):
    """A question whose attempts were used up; its pictures are kept so that it can be sent again."""

    assessment = models.OneToOneField(
        Assessment, models.CASCADE, related_name="dead_letter", verbose_name=_("assessment")
    )
    reason = models.CharField(_("reason"), max_length=100)
    detail = models.CharField(_("what happened"), max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"))
    """Calls that failed by themselves, and workers that died."""
    died_at = models.DateTimeField(_("given up"))
    state = models.CharField(
        _("state"), max_length=16, choices=DeadLetterState.choices, default=DeadLetterState.WAITING
    )
    ended_at = models.DateTimeField(_("sent again or dropped"), null=True)
    ended_by = models.ForeignKey(User, models.SET_NULL, null=True, verbose_name=_("by"))

    class Meta:
        ordering = ("-died_at", "-pk")
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")
        indexes = [
            models.Index(fields=("state", "-died_at"), name="dead_letter_by_state_and_time"),
            models.Index(fields=("-died_at", "-id"), name="dead_letter_by_time"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=DeadLetterState.values), name="dead_letter_state_known"),
            models.CheckConstraint(
                condition=Q(state="waiting", ended_at__isnull=True) | ~Q(state="waiting"),
                name="dead_letter_waiting_is_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.assessment_id} {self.reason}"
