"""The project's own user, so that roles can grow without a painful migration."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _

from trafficmon.accounts.roles import Role, reaches


class User(AbstractUser):
    """A person who signs in. A superuser may do everything, whatever the role says."""

    role = models.CharField(_("role"), max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known")]

    def may(self, wanted: Role) -> bool:
        """Whether this user may do what the role `wanted` may."""
        return self.is_active and (self.is_superuser or reaches(self.role, wanted))
