"""What was counted of frames and questions, hour by hour: it outlives the frames, and need not be counted again."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from assessment.tally import Count, Tally
from cameras.models import Camera


class Figures(models.Model):
    """What closed frames came to, as `assessment.tally` adds it up; the columns are those of `Count`."""

    frames_done = models.IntegerField(_("frames assessed"), default=0)
    frames_failed = models.IntegerField(_("frames failed"), default=0)
    frames_expired = models.IntegerField(_("frames expired"), default=0)
    frames_skipped = models.IntegerField(_("frames not asked about"), default=0)
    answered = models.IntegerField(_("answered by a model"), default=0)
    reused = models.IntegerField(_("given the verdict of a moment before"), default=0)
    guessed = models.IntegerField(_("judged by geometry"), default=0)
    failed = models.IntegerField(_("failed"), default=0)
    expired = models.IntegerField(_("expired"), default=0)
    verdicts_none = models.IntegerField(_("verdicts: none"), default=0)
    verdicts_low = models.IntegerField(_("verdicts: low"), default=0)
    verdicts_medium = models.IntegerField(_("verdicts: medium"), default=0)
    verdicts_high = models.IntegerField(_("verdicts: high"), default=0)
    sampled = models.IntegerField(_("sampled"), default=0)
    missed = models.IntegerField(_("of them missed"), default=0)
    timed = models.IntegerField(_("answers timed"), default=0)
    left_switched_off = models.IntegerField(_("left out: switched off"), default=0)
    left_too_few = models.IntegerField(_("left out: too few"), default=0)
    left_low_prior = models.IntegerField(_("left out: not dangerous enough"), default=0)
    left_cooldown = models.IntegerField(_("left out: cooldown"), default=0)
    left_duplicate = models.IntegerField(_("left out: as before"), default=0)
    left_urgent_only = models.IntegerField(_("left out: not urgent"), default=0)
    left_no_model = models.IntegerField(_("left out: no model is asked"), default=0)
    seconds = models.FloatField(_("seconds of all answers"), default=0)
    steps = models.JSONField(_("answers by step of time"), default=dict)

    class Meta:
        abstract = True

    @property
    def tally(self) -> Tally:
        """As a value."""
        told = Tally(seconds=self.seconds)
        told.counts.update({each: getattr(self, each.value) for each in Count})
        told.steps.update({int(step): count for step, count in self.steps.items()})
        return told


class HourFigures(Figures):
    """Within an hour."""

    hour = models.DateTimeField(_("hour"), help_text=_("Its beginning."))

    class Meta:
        abstract = True


class CameraHour(HourFigures):
    """Of one camera."""

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="+", db_index=False, verbose_name=_("camera"))

    class Meta:
        ordering = ("-hour", "camera")
        verbose_name = _("hour of a camera")
        verbose_name_plural = _("hours of cameras")
        indexes = [models.Index(fields=("hour", "camera"), name="camera_hour_by_hour")]
        constraints = [models.UniqueConstraint(fields=("camera", "hour"), name="one_row_per_camera_and_hour")]

    def __str__(self) -> str:
        return f"{self.camera_id} {self.hour:%Y-%m-%d %H}:00"


class FleetHour(HourFigures):
    """Of all cameras together, with who crossed their lines: made of an hour that is over, taken away if it changes."""

    crossings = models.JSONField(_("crossings by class and direction"), default=list)

    class Meta:
        ordering = ("-hour",)
        verbose_name = _("hour of all cameras")
        verbose_name_plural = _("hours of all cameras")
        constraints = [models.UniqueConstraint(fields=("hour",), name="one_row_per_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00"
