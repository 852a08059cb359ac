"""What users keep of their pages."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from cameras.models import Camera
from trafficmon.accounts.models import User

MOST_COLUMNS = 8
MOST_CAMERAS = 64


class WallLayout(models.Model):
    """A user's choice of cameras for the wall, and in how many columns: 0 for as many as are readable."""

    user = models.ForeignKey(User, models.CASCADE, related_name="wall_layouts", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=60)
    columns = models.PositiveSmallIntegerField(_("columns"), default=0, validators=[MaxValueValidator(MOST_COLUMNS)])
    cameras = models.ManyToManyField(Camera, related_name="wall_layouts", verbose_name=_("cameras"))
    order = models.JSONField(_("order"), default=list, blank=True)
    """The cameras' numbers as their user has put them; those that are not among them come behind, by name."""
    is_default = models.BooleanField(_("shown first"), default=False)

    class Meta:
        ordering = ("name",)
        verbose_name = _("layout of the wall")
        verbose_name_plural = _("layouts of the wall")
        constraints = [
            models.UniqueConstraint(fields=("user", "name"), name="layout_name_unique_per_user"),
            models.UniqueConstraint(
                fields=("user",), condition=models.Q(is_default=True), name="one_default_layout_per_user"
            ),
            models.CheckConstraint(condition=models.Q(columns__lte=MOST_COLUMNS), name="layout_columns_possible"),
        ]

    def __str__(self) -> str:
        return self.name

    def ordered(self, cameras: Iterable[Camera]) -> list[Camera]:
        """The cameras in the layout's order; `cameras` come by name."""
        places = {number: place for place, number in enumerate(self.order)}
        return sorted(cameras, key=lambda camera: places.get(camera.pk, len(places)))
