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


class Scope(models.TextChoices):
    """What an API token may be used for, as far as its owner's role reaches."""

    READ = "read", _("read: cameras, alerts, pictures, figures")
    LIVE = "live", _("live: open the live feed")
    OPERATE = "operate", _("operate: what an operator may change")
    SUPERVISE = "supervise", _("supervise: what a supervisor may change")
    ADMINISTER = "administer", _("administer: what an administrator may change")


SCOPE_OF = {
    Role.VIEWER: Scope.READ,
    Role.OPERATOR: Scope.OPERATE,
    Role.SUPERVISOR: Scope.SUPERVISE,
    Role.ADMINISTRATOR: Scope.ADMINISTER,
}
"""The scope under which a token changes what needs the role."""
