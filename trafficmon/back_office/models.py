"""Which cameras came from the back office, and which hours it has been told of."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cameras.models import Camera


class ImportedCamera(models.Model):
    """A camera that the back office named, by the number or text it knows it by."""

    camera = models.OneToOneField(Camera, models.CASCADE, related_name="imported", verbose_name=_("camera"))
    number = models.CharField(_("number in the back office"), max_length=100, unique=True)
    digest = models.CharField(
        _("digest"), max_length=64, help_text=_("Of what was last imported: what has not changed there is left alone.")
    )
    imported_at = models.DateTimeField(_("imported"))

    class Meta:
        ordering = ("number",)
        verbose_name = _("imported camera")
        verbose_name_plural = _("imported cameras")

    def __str__(self) -> str:
        return f"{self.number}: {self.camera_id}"


class StatisticsReport(models.Model):
    """An hour whose statistics go to the back office, once."""

    hour = models.DateTimeField(_("hour"), unique=True, help_text=_("Its beginning."))
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_at = models.DateTimeField(_("not before"))
    sent_at = models.DateTimeField(_("sent"), null=True)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)

    class Meta:
        ordering = ("-hour",)
        verbose_name = _("report of statistics")
        verbose_name_plural = _("reports of statistics")

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00"
