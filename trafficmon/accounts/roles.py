"""What a user may do. Roles are ordered: each may do all that those before it may."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """From watching to configuring."""

    VIEWER = "viewer", _("viewer")
    OPERATOR = "operator", _("operator")
    SUPERVISOR = "supervisor", _("supervisor")
    ADMINISTRATOR = "administrator", _("administrator")


_RANK = {role: rank for rank, role in enumerate(Role)}


def reaches(role: str, wanted: Role) -> bool:
    """Whether `role` may do what `wanted` may."""
    return _RANK[Role(role)] >= _RANK[wanted]
