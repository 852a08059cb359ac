"""The log of who did what: what is written, that it stays as it is, and how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client

from assessment.models import ApiKey
from cameras.models import Camera
from tests.factories import make_camera
from tests.integration.test_keys import make_key
from tests.integration.test_pages import browser, camera_of, make_user, raise_alert
from trafficmon.accounts import audit
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role
from trafficmon.accounts.site import AuditedAdmin
from trafficmon.core.clock import utc_now
from workers import retention

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def chief() -> User:
    return make_user(Role.ADMINISTRATOR)


@pytest.fixture
def desk(chief: User) -> Client:
    client = browser(chief)
    AuditEntry.objects.all().forget(before=utc_now() + timedelta(days=1))
    return client


def entry() -> tuple[str, str, dict[str, Any]]:
    """What was written since the desk was opened: action, object and detail of the only entry."""
    only = AuditEntry.objects.get()
    assert (only.actor_name, only.address) == ("desk administrator", "127.0.0.1")
    return only.action, only.object_name, only.detail


def test_every_page_of_the_admin_writes_what_is_done_there() -> None:
    unaudited = [model for model, page in admin.site._registry.items() if not isinstance(page, AuditedAdmin)]
    assert unaudited == []


def test_addition_in_the_admin_is_written(desk: Client) -> None:
    group = {"name": "North", "viewers": []}
    desk.post("/admin/cameras/cameragroup/add/", group)
    assert entry() == ("cameragroup.add", "North", {})


def test_change_in_the_admin_is_written_with_its_fields_and_without_their_values(desk: Client) -> None:
    make_key("one", secret="sk-very-secret-1234")
    key = ApiKey.objects.get()
    form = {"slug": "one", "account": key.account_id, "secret": "sk-another-5678", "priority": 1, "weight": 1}
    limits = ("requests_per_second", "requests_per_minute", "tokens_per_minute", "most_in_flight")
    form |= dict.fromkeys(limits, 0) | {"enabled": "on", "refused_models": "[]"}
    desk.post(f"/admin/assessment/apikey/{key.pk}/change/", form)
    action, name, detail = entry()
    assert (action, name) == ("apikey.change", str(key))
    assert "Secret" in detail["changes"][0]["changed"]["fields"]
    assert "5678" not in str(detail)


def test_rights_given_in_the_admin_are_written(desk: Client) -> None:
    desk.post(
        "/admin/accounts/user/add/",
        {
            "username": "new",
            "password1": "long enough 7",
            "password2": "long enough 7",
            "role": "supervisor",
            "usable_password": "true",
        },
    )
    action, name, detail = entry()
    assert (action, name, detail["role"], detail["staff"]) == ("user.add", "new", "supervisor", False)
    assert "long enough" not in str(detail)


def test_deletion_in_the_admin_is_written(desk: Client) -> None:
    camera = make_camera(name="Old bridge")
    desk.post(f"/admin/cameras/camera/{camera.pk}/delete/", {"post": "yes"})
    assert not Camera.objects.exists()
    assert entry() == ("camera.delete", "Old bridge", {})


@pytest.mark.parametrize("action", ["start", "stop", "detection_off"])
def test_action_in_the_admin_is_written_with_its_objects(action: str, desk: Client) -> None:
    cameras = [make_camera(), make_camera()]
    numbers = [each.pk for each in cameras]
    desk.post("/admin/cameras/camera/", {"action": action, "_selected_action": numbers})
    assert entry() == (f"camera.{action}", "", {"numbers": numbers})


def test_connection_test_in_the_admin_is_written_without_the_password(desk: Client) -> None:
    desk.post("/admin/cameras/camera/test/", {"source": "rtsp://user:geheim@127.0.0.1/live"})
    action, _name, detail = entry()
    assert (action, "127.0.0.1/live" in detail["sources"][0], "geheim" in str(detail)) == ("camera.test", True, False)


def test_change_of_ones_own_password_is_written(chief: User, desk: Client) -> None:
    chief.set_password("the old password")
    chief.save()
    desk.force_login(chief)
    before = AuditEntry.objects.count()
    form = {"old_password": "wrong", "new_password1": "a new one 12345", "new_password2": "a new one 12345"}
    desk.post("/admin/password_change/", form)
    assert AuditEntry.objects.count() == before
    desk.post("/admin/password_change/", {**form, "old_password": "the old password"})
    assert AuditEntry.objects.order_by("pk").last().action == "user.change_password"  # type: ignore[union-attr]


@pytest.mark.parametrize("by_page", [True, False])
def test_acknowledging_is_written_once(by_page: bool, desk: Client, chief: User) -> None:
    alert = raise_alert(camera_of(chief))
    path = f"/alerts/{alert.pk}/acknowledge/" if by_page else f"/api/alerts/{alert.pk}/acknowledge"
    for _ in range(2):
        desk.post(path)
    assert entry() == ("alert.acknowledge", str(alert), {})


def test_taking_a_key_out_and_back_is_written(desk: Client) -> None:
    make_key("one")
    desk.post("/api/keys/one/disable", {"reason": "leaked"}, content_type="application/json")
    desk.post("/api/keys/one/enable")
    desk.post("/api/keys/one/enable")
    told = AuditEntry.objects.order_by("pk").values_list("action", "object_name", "detail")
    key = str(ApiKey.objects.get())
    assert list(told) == [("apikey.take_out", key, {"reason": "leaked"}), ("apikey.put_back", key, {})]


def test_command_line_is_written_too() -> None:
    make_key("one")
    call_command("keys", "disable", "one")
    only = AuditEntry.objects.get()
    assert (only.actor_name, only.actor_id, only.action, only.detail) == (
        "command line",
        None,
        "apikey.take_out",
        {"names": ["one"]},
    )


def test_entries_are_neither_changed_nor_deleted() -> None:
    audit.record(None, "camera.start")
    with pytest.raises(TypeError, match="not changed"):
        AuditEntry.objects.filter(action="camera.start").update(action="camera.stop")
    with pytest.raises(TypeError, match="not deleted"):
        AuditEntry.objects.all().delete()


def test_admin_shows_the_log_and_changes_nothing_in_it(desk: Client) -> None:
    audit.record(None, "camera.start", make_camera(name="North gate"))
    row = AuditEntry.objects.get()
    path = f"/admin/accounts/auditentry/{row.pk}"
    assert "North gate" in desk.get("/admin/accounts/auditentry/").content.decode()
    assert [desk.get(f"{path}/{page}/").status_code for page in ("change", "delete")] == [200, 403]
    assert desk.post(f"{path}/change/", {"action": "camera.stop"}).status_code == 403
    assert desk.get("/admin/accounts/auditentry/add/").status_code == 403


@pytest.mark.parametrize("entries", [1, 3])
def test_list_of_the_log_takes_as_many_queries_for_three(
    entries: int, desk: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(entries):
        audit.record(None, "camera.start", make_camera())
    with django_assert_num_queries(5):
        desk.get("/admin/accounts/auditentry/")


def test_entry_outlives_its_actor(desk: Client) -> None:
    leaver = User.objects.create(username="leaver")
    AuditEntry.objects.create(at=utc_now(), actor_id=leaver.pk, actor_name="leaver", action="camera.stop")
    leaver.delete()
    assert AuditEntry.objects.get().actor_name == "leaver"


def test_entries_are_kept_as_long_as_configured(settings: Any) -> None:
    days = settings.ENVIRONMENT.audit_retention_days
    for age in (days - 1, days + 1):
        AuditEntry.objects.create(at=utc_now() - timedelta(days=age), action="camera.start")
    retention.forget_old_frames()
    assert AuditEntry.objects.get().at > utc_now() - timedelta(days=days)
    for _ in range(2):
        AuditEntry.objects.create(at=utc_now(), action="camera.start")
    tomorrow, entries = utc_now() + timedelta(days=1), AuditEntry.objects.all()
    assert [entries.forget(before=tomorrow, at_once=2, seconds=-1) for _minute in range(3)] == [2, 1, 0]
