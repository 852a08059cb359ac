"""Users, API tokens and the audit log, for administrators."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from trafficmon.accounts.models import ApiToken, AuditEntry, User
from trafficmon.accounts.roles import Role, Scope
from trafficmon.accounts.site import AuditedAdmin, HistoryAdmin, ReadOnlyAdmin, by_recent_values
from trafficmon.accounts.tokens import issue, revoke
from trafficmon.core.clock import utc_now

RIGHTS = ("role", "is_superuser", "is_staff", "groups", "user_permissions")

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """Django's groups of rights in the admin, changed by administrators alone: who is in a group has what it gives.

    Which cameras somebody sees is a matter of camera groups.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_administrator(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002  # Django's signature
        return _is_administrator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return _is_administrator(request)


@admin.register(User)
class UserAdmin(HistoryAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Users and their roles."""

    list_display = ("username", "role", "is_active", "is_staff", "last_login")
    list_filter = ("role", "is_active", "is_staff")
    fieldsets = (*(DjangoUserAdmin.fieldsets or ()), (_("Traffic operations"), {"fields": ("role",)}))
    add_fieldsets = (*DjangoUserAdmin.add_fieldsets, (_("Traffic operations"), {"fields": ("role",)}))

    search_fields = ("username", "first_name", "last_name", "email")
    date_hierarchy = "date_joined"

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Rights are given by administrators alone, and by nobody to themselves."""
        usual = tuple(super().get_readonly_fields(request, obj))
        return usual if _is_administrator(request) and request.user != obj else (*usual, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes those who may more, and so takes over none by a new password."""
        return super().has_change_permission(request, obj) and _reaches(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _reaches(request, obj)

    def told_of(self, obj: Any) -> dict[str, object]:
        """What rights the user has now."""
        return {"role": obj.role, "active": obj.is_active, "staff": obj.is_staff, "superuser": obj.is_superuser}


def _is_administrator(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.may(Role.ADMINISTRATOR)


def _reaches(request: HttpRequest, user: Model | None) -> bool:
    """Whether somebody may deal with `user` at all."""
    return isinstance(request.user, User) and not (isinstance(user, User) and user.outranks(request.user))


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whose token it is, and what it may be used for."""

    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Never more than the owner's role allows. The cameras are those that the owner sees."),
    )

    class Meta:
        model = ApiToken
        fields = ("owner", "name", "scopes", "expires_at")


@admin.register(ApiToken)
class ApiTokenAdmin(AuditedAdmin):
    """A token is shown once, when it is made; one that is lost is revoked and another made."""

    form = ApiTokenForm
    list_display = ("name", "owner", "start", "scopes", "created_at", "expires_at", "used_at", "revoked_at")
    list_filter = ("owner", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    autocomplete_fields = ("owner",)
    date_hierarchy = "created_at"
    search_fields = ("name", "owner__username", "start")
    fields = ("owner", "name", "scopes", "expires_at", "start", "created_at", "used_at", "revoked_at")
    readonly_fields = ("start", "created_at", "used_at", "revoked_at")
    actions = ("revoke",)
    _secrets = "new_token"

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:  # noqa: ARG002
        return ("owner", *self.readonly_fields) if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Revoked, it goes on to say who had it."""
        return False

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Who is no administrator makes tokens for nobody else: they would act with the other's rights."""
        if not _is_administrator(request):
            kwargs["queryset"] = User.objects.filter(pk=request.user.pk or 0)
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # Django's
        if change:
            super().save_model(request, obj, form, change)
        else:
            vars(request)[self._secrets] = issue(obj, now=utc_now())

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002  # Django's
        """The token, this once, in the answer itself: a message would be kept in a cookie or the session."""
        secret = vars(request).pop(self._secrets)
        context = {**self.admin_site.each_context(request), "title": _("API token"), "opts": self.opts}
        told = {**context, "token": obj, "secret": secret}
        return TemplateResponse(request, "admin/accounts/apitoken/issued.html", told)

    def told_of(self, obj: Any) -> dict[str, object]:
        """What the token allows now."""
        return {"owner": obj.owner.get_username(), "scopes": obj.scopes, "expires": obj.expires_at}

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        """At once, also where it holds the live feed open: within half a minute."""
        count = sum(revoke(each, now=utc_now()) for each in rows)
        text = ngettext("%(n)d was revoked.", "%(n)d were revoked.", count)
        self.message_user(request, text % {"n": count}, messages.SUCCESS)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, to what, from where; it can be read and nothing else."""

    list_display = ("at", "actor_name", "token", "action", "object_name", "object_id", "detail", "address")
    list_filter = ("at", by_recent_values("action", "at", _("what")))
    search_fields = ("actor_name", "action", "object_name", "address")
