"""Who crossed which counting line."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from assessment.models.choices import known
from cameras.models import CountingLine
from detection.detections import Direction
from trafficmon.core.objects import ROAD_USERS

DIRECTION_CHOICES = [(Direction.FORWARD.value, _("forward")), (Direction.BACKWARD.value, _("backward"))]
CLASS_CHOICES = [(each, each) for each in sorted(each.value for each in ROAD_USERS)]


class LineCount(models.Model):
    """How many road users of one class crossed a counting line one way within an hour."""

    line = models.ForeignKey(CountingLine, models.CASCADE, related_name="counts", verbose_name=_("counting line"))
    hour = models.DateTimeField(_("hour"), help_text=_("Its beginning."))
    object_class = models.CharField(_("class"), max_length=16, choices=CLASS_CHOICES)
    direction = models.CharField(_("direction"), max_length=8, choices=DIRECTION_CHOICES)
    count = models.PositiveIntegerField(_("count"), default=0)

    class Meta:
        ordering = ("-hour", "line", "object_class", "direction")
        verbose_name = _("count of an hour")
        verbose_name_plural = _("counts by the hour")
        indexes = [models.Index(fields=("-hour",), name="line_count_by_hour")]
        constraints = [
            models.UniqueConstraint(
                fields=("line", "hour", "object_class", "direction"), name="one_count_of_an_hour_and_kind"
            ),
            known("object_class", CLASS_CHOICES, "line_count_class_known"),
            known("direction", DIRECTION_CHOICES, "line_count_direction_known"),
        ]

    def __str__(self) -> str:
        return f"{self.line_id} {self.hour:%Y-%m-%d %H}:00 {self.object_class} {self.direction}: {self.count}"
