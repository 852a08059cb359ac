"""The admin: who may enter it, and what is written down of what is done there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import CASCADE, Model, QuerySet
from django.http import HttpRequest

from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.sign_in import AdminSignInForm
from trafficmon.core.clock import utc_now

MOST_NAMED = 1000
MOST_COUNTED = 1000
_WRITTEN_ELSEWHERE = {"delete_selected"}


class Site(admin.AdminSite):
    """Lets in administrators, and others who were made staff."""

    login_form = AdminSignInForm

    def has_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and request.user.may_enter_admin

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's page for one's own password; that it was changed is written down."""
        answer = super().password_change(request, extra_context)
        if request.method == "POST" and answer.status_code == 302 and isinstance(request.user, User):
            audit.record(caller_of(request), "user.change_password", request.user)
        return answer


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Whatever is added, changed, deleted or done by an action here is written to the audit log."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "add", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "change", obj, changes=message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for each in queryset:
            self._record(request, "delete", each)
        return super().log_deletions(request, queryset)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The usual ones; each writes down that it was carried out, and on what."""
        usual: dict[str, Any] = super().get_actions(request) or {}
        return {name: each if name in _WRITTEN_ELSEWHERE else _audited(*each) for name, each in usual.items()}

    def _record(self, request: HttpRequest, verb: str, obj: Model | None, **detail: object) -> None:
        told = self.told_of(obj) if obj else {}
        audit.record(caller_of(request), f"{self.opts.model_name}.{verb}", obj, **told, **detail)

    def told_of(self, obj: Any) -> dict[str, object]:  # noqa: ARG002  # for those that say more
        """What the log keeps of an object, beside its name."""
        return {}


def _audited(work: Callable[..., Any], name: str, text: str) -> tuple[Callable[..., Any], str, str]:
    @functools.wraps(work)
    def carry_out(page: AuditedAdmin, request: HttpRequest, rows: QuerySet[Any]) -> Any:
        meant = list(rows.values_list("pk", flat=True)[:MOST_NAMED])
        answer = work(page, request, rows)
        page._record(request, name, None, numbers=meant)
        return answer

    return carry_out, name, text


class HistoryAdmin(AuditedAdmin):
    """Whose objects have histories that go with them: these are counted before, not listed nor asked for a right."""

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, Any], set[str], list[str]]:
        """For the page that asks whether to delete: names, counts, what the user may not delete, what is in the way."""
        chosen = list(objs)
        may = all(self.has_delete_permission(request, each) for each in chosen)
        counts = {str(self.opts.verbose_name_plural): len(chosen), **_counted_histories(self.model, chosen)}
        return [str(each) for each in chosen], counts, set() if may else {str(self.opts.verbose_name)}, []


def _counted_histories(model: type[Model], chosen: list[Any]) -> dict[str, Any]:
    """How many rows of each kind are deleted with the chosen, no further than MOST_COUNTED."""
    parts = [each for each in model._meta.related_objects if each.on_delete is CASCADE]
    kinds = [(each.related_model, each.field.name) for each in parts]
    return {str(kind._meta.verbose_name_plural): _counted(kind, name, chosen) for kind, name in kinds}


def _counted(kind: type[Model], name: str, chosen: list[Any]) -> int | str:
    count = kind._base_manager.filter(**{f"{name}__in": chosen})[:MOST_COUNTED].count()
    return count if count < MOST_COUNTED else f"{count}+"


LATELY = timedelta(days=7)


class ShortPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts no further than MOST_COUNTED rows, however many there are: who looks for older ones narrows the list."""

    @functools.cached_property
    def count(self) -> int:
        """How many rows there are, MOST_COUNTED at the most."""
        rows = self.object_list
        return rows.order_by()[:MOST_COUNTED].count() if isinstance(rows, QuerySet) else len(rows)


def by_recent_values(column: str, moment: str, name: Any) -> type[admin.SimpleListFilter]:
    """A filter by the values that a column has had in the last days: to look for all of them takes the whole table."""

    class RecentValues(admin.SimpleListFilter):
        title = name
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  # Django's
            rows = model_admin.model._default_manager.filter(**{f"{moment}__gte": utc_now() - LATELY})
            found = {*rows.order_by().values_list(column, flat=True).distinct(), *filter(None, [self.value()])}
            return [(each, each) for each in sorted(found)]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    return RecentValues


class ReadOnlyAdmin(AuditedAdmin):
    """Lists and details without a way to change anything but by actions; built for tables of millions.

    An action asks for the permission `act`.
    No `date_hierarchy` and no filter by all values of a column: either reads the whole table.
    """

    show_full_result_count = False
    paginator = ShortPaginator
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  # Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whether the user has Django's right to change such rows, which nothing else here asks for."""
        return super().has_change_permission(request)
