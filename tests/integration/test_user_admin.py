"""Users in the admin: who gives rights to whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.http import HttpRequest
from django.test import Client, RequestFactory

from tests.integration.test_pages import browser
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

RIGHTS = ("change_user", "view_user", "add_user", "delete_user")


@pytest.fixture
def clerk() -> User:
    """A member of staff with every right over users, and no administrator."""
    user = User.objects.create_user("clerk", password="a long password", is_staff=True, role=Role.OPERATOR)
    user.user_permissions.set(Permission.objects.filter(codename__in=RIGHTS))
    return user


@pytest.fixture
def chief() -> User:
    return User.objects.create_user("chief", password="a long password", role=Role.ADMINISTRATOR)


def save(by: User, user: User, **changes: object) -> int:
    """What an opened page answers when it is sent with `changes`, rights that are not offered among them."""
    data: dict[str, Any] = {
        "username": user.username,
        "role": user.role,
        "is_active": "on",
        "is_staff": "on" if user.is_staff else "",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "12:00:00",
        **changes,
    }
    status: int = browser(by).post(f"/admin/accounts/user/{user.pk}/change/", data).status_code
    user.refresh_from_db()
    return status


def test_staff_raises_nobody_and_not_itself(clerk: User) -> None:
    other = User.objects.create_user("other", password="a long password", role=Role.VIEWER)
    wanted = {"role": Role.ADMINISTRATOR, "is_superuser": "on", "is_staff": "on", "first_name": "Li"}
    for user, role in ((clerk, Role.OPERATOR), (other, Role.VIEWER)):
        assert save(clerk, user, **wanted) == 302
        assert (user.first_name, user.role, user.is_superuser) == ("Li", role, False)
    assert other.is_staff is False


def test_staff_adds_viewers_only(clerk: User) -> None:
    data = {"username": "new", "password1": "Fg7-long-pass", "password2": "Fg7-long-pass", "role": Role.ADMINISTRATOR}
    answer = browser(clerk).post("/admin/accounts/user/add/", {**data, "usable_password": "true"})
    assert (answer.status_code, User.objects.get(username="new").role) == (302, Role.VIEWER)


def test_staff_takes_over_no_administrator(clerk: User, chief: User) -> None:
    assert save(clerk, chief, username="mine") == 403
    desk: Client = browser(clerk)
    passwords = {"password1": "Fg7-long-pass", "password2": "Fg7-long-pass"}
    assert desk.post(f"/admin/accounts/user/{chief.pk}/password/", passwords).status_code == 403
    assert desk.post(f"/admin/accounts/user/{chief.pk}/delete/", {"post": "yes"}).status_code == 403
    chief.refresh_from_db()
    assert (chief.username, chief.check_password("a long password")) == ("chief", True)


def gatekeeper(**fields: Any) -> User:
    """Somebody who may change groups, by a group."""
    group, _made = Group.objects.get_or_create(name="Gatekeepers")
    group.permissions.set(Permission.objects.filter(codename__in=["change_group", "view_group"]))
    user = User.objects.create_user("keeper", password="a long password", role=Role.VIEWER, **fields)
    user.groups.set([group])
    return user


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("grown", ["by role", "by group"])
def test_staff_takes_over_nobody_who_may_more(clerk: User, grown: str, *, is_active: bool) -> None:
    other = gatekeeper(is_active=is_active)
    if grown == "by role":
        other.groups.clear()
        User.objects.filter(pk=other.pk).update(role=Role.SUPERVISOR)
    passwords = {"password1": "Fg7-long-pass", "password2": "Fg7-long-pass"}
    assert browser(clerk).post(f"/admin/accounts/user/{other.pk}/password/", passwords).status_code == 403
    answer = browser(clerk).post(
        "/admin/accounts/user/", {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    )
    assert (answer.status_code, User.objects.filter(pk=other.pk).exists()) == (403, True)


def test_only_administrators_give_rights_by_groups(chief: User) -> None:
    keeper = gatekeeper(is_staff=True)
    group = Group.objects.get()
    path, wanted = (
        f"/admin/auth/group/{group.pk}/change/",
        {"name": "Gatekeepers", "permissions": Permission.objects.values_list("pk", flat=True)[:3]},
    )
    assert [browser(keeper).get(path).status_code, browser(keeper).post(path, wanted).status_code] == [200, 403]
    assert browser(chief).post(path, wanted).status_code == 302
    assert group.permissions.count() == 3


def actions_of(request: HttpRequest) -> dict[str, set[str]]:
    offered = {model.__name__: set(page.get_actions(request)) for model, page in admin.site._registry.items()}
    return {name: actions for name, actions in offered.items() if actions}


def test_who_may_only_look_is_offered_no_action(rf: RequestFactory) -> None:
    request = rf.get("/admin/")
    request.user = User.objects.create_user("onlooker", is_staff=True)
    request.user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    assert actions_of(request) == {}


def test_right_to_change_gives_the_actions_of_pages_that_change_nothing_else(rf: RequestFactory) -> None:
    request, names = rf.get("/admin/"), ["change_delivery", "change_event", "change_deadletter"]
    request.user = User.objects.create_user("sender", is_staff=True)
    request.user.user_permissions.set(Permission.objects.filter(codename__in=names))
    assert actions_of(request) == {"Delivery": {"again"}, "Event": {"again"}, "DeadLetter": {"send_again", "drop"}}


def test_administrator_changes_the_roles_of_others_and_not_the_own(chief: User, clerk: User) -> None:
    assert save(chief, clerk, role=Role.SUPERVISOR) == 302
    assert clerk.role == Role.SUPERVISOR
    assert save(chief, chief, role=Role.VIEWER, first_name="Li") == 302
    assert (chief.first_name, chief.role) == ("Li", Role.ADMINISTRATOR)
