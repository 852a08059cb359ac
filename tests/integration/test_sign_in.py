"""Signing in: throttled on every page that asks for a password, and written down."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.test import Client

from tests.integration.test_pages import browser, make_user
from trafficmon.accounts import throttle
from trafficmon.accounts.access import client_address
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
PASSWORD = "a long password"
PAGES = ["/login/", "/admin/login/"]


@pytest.fixture
def chief() -> User:
    return User.objects.create_user("chief", password=PASSWORD, role=Role.ADMINISTRATOR)


def attempt(password: str, *, name: str = "chief", page: str = "/login/", address: str = "192.0.2.1") -> Any:
    return Client(REMOTE_ADDR=address).post(page, {"username": name, "password": password})


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("chief")
def test_after_too_many_tries_the_right_password_has_to_wait(page: str) -> None:
    for _ in range(throttle.MOST_BY_ONE_AT_A_NAME):
        assert attempt("wrong", page=page).status_code == 200
    refused = attempt(PASSWORD, page=page)
    assert "There were too many tries. Try again in 15 minutes." in refused.content.decode()
    assert "_auth_user_id" not in refused.client.session
    assert attempt(PASSWORD, page=page, address="192.0.2.2").status_code == 302


@pytest.mark.usefixtures("chief")
def test_refusal_is_told_to_programs_and_written_down_once() -> None:
    answers = [attempt("wrong") for _ in range(throttle.MOST_BY_ONE_AT_A_NAME + 3)]
    refused = answers[-1]
    assert (refused.status_code, 0 < int(refused["Retry-After"]) <= 900) == (429, True)
    assert actions() == ["user.sign_in_failed"] * throttle.MOST_BY_ONE_AT_A_NAME + ["user.sign_in_throttled"]


@pytest.mark.usefixtures("chief")
def test_success_gives_the_tries_back() -> None:
    for _ in range(3):
        for _ in range(throttle.MOST_BY_ONE_AT_A_NAME - 1):
            attempt("wrong")
        assert attempt(PASSWORD).status_code == 302


@pytest.mark.usefixtures("chief")
def test_one_address_may_not_try_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_BY_ONE", 3)
    codes = [attempt("wrong", name=f"name {n}").status_code for n in range(4)]
    assert (codes, attempt(PASSWORD).status_code) == ([200, 200, 200, 429], 429)


@pytest.mark.usefixtures("chief")
def test_many_addresses_may_not_try_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_AT_A_NAME", 3)
    codes = [
        attempt("wrong", name=name, address=f"192.0.2.{n}").status_code
        for n, name in enumerate(["Chief", "chief", "CHIEF"] * 2)
    ]
    assert codes == [200, 200, 200, 429, 429, 429]


@pytest.mark.usefixtures("chief")
def test_neighbours_in_an_ipv6_network_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_BY_ONE", 2)
    codes = [attempt("wrong", address=f"2001:db8::{n}").status_code for n in range(3)]
    assert (codes, attempt("wrong", address="2001:db8:0:1::1").status_code) == ([200, 200, 429], 200)


@pytest.mark.usefixtures("chief")
def test_limit_ends_by_itself(redis_client: redis.Redis) -> None:
    for _ in range(throttle.MOST_BY_ONE_AT_A_NAME + 1):
        attempt("wrong")
    keys = list(redis_client.scan_iter("sign_in:*"))
    assert [0 < redis_client.ttl(key) <= throttle.WINDOW_SECONDS for key in keys] == [True] * 3


@pytest.mark.usefixtures("chief")
def test_without_redis_people_can_still_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = redis.Redis(host="127.0.0.1", port=1)
    monkeypatch.setattr(throttle, "_client", lambda: gone)
    assert attempt(PASSWORD).status_code == 302


def test_sign_in_and_out_are_written_down(chief: User) -> None:
    client = Client(REMOTE_ADDR="192.0.2.1")
    client.post("/login/", {"username": "chief", "password": PASSWORD})
    client.post("/logout/")
    told = AuditEntry.objects.order_by("pk").values_list("action", "actor_id", "actor_name", "address")
    assert list(told) == [(f"user.sign_{way}", chief.pk, "chief", "192.0.2.1") for way in ("in", "out")]


def test_failure_names_users_but_not_what_else_was_typed(chief: User) -> None:
    attempt("wrong")
    attempt("wrong", name="a password by mistake")
    told = AuditEntry.objects.order_by("pk").values_list("actor_name", "object_id", "object_name")
    assert list(told) == [("", str(chief.pk), "chief"), ("", "", "")]


def test_administrator_enters_the_admin_and_may_do_everything_there(chief: User) -> None:
    client = Client()
    assert client.post("/admin/login/", {"username": "chief", "password": PASSWORD}).status_code == 302
    paths = ["/admin/", "/admin/cameras/camera/add/", "/admin/accounts/user/add/", "/admin/accounts/auditentry/"]
    assert [client.get(path).status_code for path in paths] == [200] * 4
    assert 'href="/admin/"' in client.get("/alerts/").content.decode()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR])
def test_others_do_not_enter_the_admin(role: Role) -> None:
    user = make_user(role)
    assert browser(user).get("/admin/").status_code == 302
    assert 'href="/admin/"' not in browser(user).get("/alerts/").content.decode()
    user.set_password(PASSWORD)
    user.save()
    assert attempt(PASSWORD, name=user.username, page="/admin/login/").status_code == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "behind_proxy", "address"),
    [
        ("192.0.2.1", "", False, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", False, "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", True, "198.51.100.7"),
        ("10.0.0.1", "rubbish", True, "10.0.0.1"),
        ("fe80::1%eth0", "", False, "fe80::1"),
        ("", "", True, None),
    ],
)
def test_address_is_the_one_that_cannot_be_invented(
    peer: str, forwarded: str, behind_proxy: bool, address: str | None, settings: Any
) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"behind_tls": behind_proxy})
    assert client_address(peer, forwarded) == address
