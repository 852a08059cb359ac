"""Whole days added up, so that months are read in a few rows: made of days that are over, again where they changed."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from assessment.models.hours import Figures
from cameras.models import Camera


class FleetDayQuerySet(models.QuerySet["FleetDay"]):
    """Reads of days."""

    def holding(self, moment: datetime | models.OuterRef | models.Subquery) -> Self:
        """The day to which the moment belongs, if it was added up and tells it as it is.

        Who changes what it tells calls `.update(is_current=False)` on it in the same transaction: even where there is
        none, this waits for whoever is adding one up. Of a day that is to be added up again anyway, nobody waits for
        another.
        """
        return self.filter(is_current=True, since__lte=moment, before__gt=moment)

    def within(self, since: datetime, before: datetime) -> Self:
        """The days that are wholly in that time and tell it as it is, the oldest first."""
        return self.filter(is_current=True, since__gte=since, before__lte=before).order_by("since")


class DayFigures(Figures):
    """Within a day of the configured time zone, of whole hours (see `assessment.days.begin_of`)."""

    crossings = models.JSONField(_("crossings by hour of day, class and direction"), default=list)

    class Meta:
        abstract = True


class FleetDay(DayFigures):
    """Of all cameras together, with what was spent and how people judge the day's alerts; no two days overlap."""

    since = models.DateTimeField(_("beginning"), unique=True)
    before = models.DateTimeField(_("end"))
    is_current = models.BooleanField(
        _("current"), default=True, help_text=_("Nothing that it tells has changed since.")
    )
    calls = models.PositiveIntegerField(_("calls"), default=0)
    failed_calls = models.PositiveIntegerField(_("of them failed"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=14, decimal_places=8, default=0)
    judged = models.JSONField(
        _("judgements"), null=True, help_text=_("As `assessment.judged` breaks them down; null: to be counted again.")
    )

    objects = FleetDayQuerySet.as_manager()

    class Meta:
        ordering = ("-since",)
        verbose_name = _("day of all cameras")
        verbose_name_plural = _("days of all cameras")

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d %H}:00"


class CameraDay(DayFigures):
    """Of one camera, with its alerts; of cameras at which nothing happened there is none."""

    day = models.ForeignKey(FleetDay, models.CASCADE, related_name="cameras", db_index=False, verbose_name=_("day"))
    camera = models.ForeignKey(Camera, models.CASCADE, related_name="+", verbose_name=_("camera"))
    dangers_low = models.PositiveIntegerField(_("dangers: low"), default=0)
    dangers_medium = models.PositiveIntegerField(_("dangers: medium"), default=0)
    dangers_high = models.PositiveIntegerField(_("dangers: high"), default=0)
    times_lost = models.PositiveIntegerField(_("times lost"), default=0)
    crossed = models.JSONField(
        _("crossings by class"),
        default=dict,
        help_text=_("The sums of `crossings`, to be read of many cameras at once."),
    )

    class Meta:
        ordering = ("-day", "camera")
        verbose_name = _("day of a camera")
        verbose_name_plural = _("days of cameras")
        constraints = [models.UniqueConstraint(fields=("day", "camera"), name="one_row_per_day_and_camera")]

    def __str__(self) -> str:
        return f"{self.camera_id} {self.day_id}"
