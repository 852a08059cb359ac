"""Users with their roles, API tokens that act for them, and the log of who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from django.contrib.auth.models import AbstractUser, Permission
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from trafficmon.accounts.roles import Role, Scope, reaches
from trafficmon.pruning import AT_ONCE, SECONDS, repeat


class User(AbstractUser):
    """A person, or a program that has a token. A superuser may do everything, whatever the role says."""

    role = models.CharField(_("role"), max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known")]

    def may(self, wanted: Role) -> bool:
        """Whether this user may do what the role `wanted` may."""
        return self.is_active and (self.is_superuser or reaches(self.role, wanted))

    @property
    def sees_every_camera(self) -> bool:
        """Others see the cameras of the groups they belong to. The admin shows every camera, so its staff does too."""
        return self.may(Role.SUPERVISOR) or self.may_enter_admin

    def outranks(self, other: User) -> bool:
        """Whether this user, active or not, has a right that `other` lacks, who could gain it by a new password."""
        if other.may(Role.ADMINISTRATOR):
            return False
        return self.is_superuser or not reaches(other.role, Role(self.role)) or not self._rights() <= other._rights()

    def _rights(self) -> set[int]:
        """Django's permissions, the user's own and those of groups, also while the user is not active."""
        return set(Permission.objects.filter(Q(user=self) | Q(group__user=self)).values_list("pk", flat=True))

    @property
    def may_enter_admin(self) -> bool:
        """Administrators may, with every right there; those made staff may, with the rights they are given."""
        return self.may(Role.ADMINISTRATOR) or (self.is_active and self.is_staff)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self, now: datetime) -> ApiTokenQuerySet:
        """Those that open a door now."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(unexpired, revoked_at=None, owner__is_active=True).select_related("owner")


class ApiToken(models.Model):
    """The right of a program to act for its owner. Only a digest is kept: the token itself is shown once."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="api_tokens", verbose_name=_("owner"))
    name = models.CharField(_("name"), max_length=100, help_text=_("What uses it, such as the name of a front end."))
    scopes = models.JSONField(_("scopes"), default=list)
    start = models.CharField(_("begins with"), max_length=12, editable=False)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("Empty: when it is revoked."))
    used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ("owner", "name")
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        constraints = [
            models.UniqueConstraint(
                fields=("owner", "name"), condition=Q(revoked_at=None), name="one_usable_token_per_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"

    def holds(self, scope: Scope) -> bool:
        return scope in self.scopes


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Entries are added and, when they are old, forgotten; nothing else happens to them."""

    def update(self, **_changes: Any) -> NoReturn:
        raise TypeError("Entries of the audit log are not changed.")

    def delete(self) -> NoReturn:
        raise TypeError("Entries of the audit log are not deleted, but forgotten when they are old.")

    def forget(self, *, before: datetime, at_once: int = AT_ONCE, seconds: float = SECONDS) -> int:
        """Delete those older than a moment, as `prune` does; how many went."""
        old = self.filter(at__lt=before).order_by("pk").values_list("pk", flat=True)

        def forget_some() -> int:
            keys = list(old[:at_once])
            return self.filter(pk__in=keys)._raw_delete(self.db) if keys else 0

        return repeat(forget_some, seconds=seconds)


class AuditEntry(models.Model):
    """One thing that somebody did. Names are kept as they were, so that it reads the same when their rows are gone."""

    at = models.DateTimeField(_("time"))
    actor_id = models.BigIntegerField(_("user number"), null=True)
    actor_name = models.CharField(_("who"), max_length=150, blank=True)
    token = models.CharField(_("by API token"), max_length=120, blank=True)
    action = models.CharField(_("what"), max_length=100, help_text=_("Kind of object and what was done to it."))
    object_id = models.CharField(_("number"), max_length=100, blank=True)
    object_name = models.CharField(_("to what"), max_length=200, blank=True)
    detail = models.JSONField(_("detail"), default=dict)
    address = models.GenericIPAddressField(_("address"), null=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        indexes = [
            models.Index(fields=("-at", "-id"), name="audit_by_time"),
            models.Index(fields=("action", "-at"), name="audit_by_action_and_time"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.object_name}"
