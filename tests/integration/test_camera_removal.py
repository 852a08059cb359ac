"""Cameras that are deleted: gone at once for everybody, their history a little at a time; and others with a history."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from assessment.alerts import apply_verdicts
from assessment.evidence import Pictures, keep_evidence
from assessment.forgetting import LEAST_SETTLING, forget_removed
from assessment.models import Alert, Assessment, CameraHour, Evidence, FrameResult, LineCount, Spending
from cameras.models import Camera, CountingLine, StateChange, Wanted, Zone
from cameras.removal import remove
from tests.factories import NOON, make_camera, make_token, record
from tests.integration.test_pages import browser, make_user, raise_alert
from trafficmon.accounts.models import ApiToken, AuditEntry, User
from trafficmon.accounts.roles import Role, Scope
from trafficmon.accounts.site import MOST_COUNTED
from trafficmon.back_office.models import ImportedCamera
from trafficmon.notifications.models import Delivery, Destination, Message, Notice, Rule

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
LATER = NOON + LEAST_SETTLING
HISTORY = (FrameResult, Assessment, Evidence, Alert, LineCount, CameraHour, StateChange, ImportedCamera, Zone)


@pytest.fixture(autouse=True)
def own_media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def chief() -> Client:
    return browser(make_user(Role.ADMINISTRATOR))


def with_history(name: str = "Bridge") -> Camera:
    camera = make_camera(name=name, wanted=Wanted.RUNNING)
    alert = raise_alert(camera)
    keep_evidence(alert.assessment_id or 0, Pictures(b"frame", (160, 90)))
    line = CountingLine.objects.create(camera=camera, name="line", ends=[[0, 0], [1, 1]])
    LineCount.objects.create(line=line, hour=NOON, object_class="car", direction="forward", count=3)
    CameraHour.objects.create(camera=camera, hour=NOON)
    StateChange.objects.create(camera=camera, at=NOON, state="online")
    ImportedCamera.objects.create(number=name, camera=camera, imported_at=NOON)
    Zone.objects.create(camera=camera, name="a", kind="crossing", polygon=[[0, 0], [1, 0], [1, 1]])
    Spending.objects.create(day=NOON.date(), camera=camera, account="a", key="k", model="m")
    return camera


def taken_away(camera: Camera) -> None:
    remove(Camera.objects.filter(pk=camera.pk), now=NOON)


def left() -> list[int]:
    return [model._base_manager.count() for model in HISTORY]


def test_removed_camera_is_gone_at_once_for_everybody(chief: Client) -> None:
    camera = with_history()
    alert = Alert.objects.get()
    assert chief.get(f"/alerts/{alert.pk}/").status_code == 200
    taken_away(camera)
    camera.refresh_from_db()
    assert (camera.wanted, Camera.objects.wanted_running().exists()) == (Wanted.STOPPED, False)
    paths = (f"/alerts/{alert.pk}/", f"/cameras/{camera.pk}/", f"/evidence/{Evidence.objects.get().pk}/")
    assert [chief.get(path).status_code for path in paths] == [404] * 3
    assert make_camera(name="Bridge").pk != camera.pk


def test_supervisor_finds_a_removed_camera_in_no_list() -> None:
    camera, desk = with_history(), browser(make_user(Role.SUPERVISOR))
    record(camera).assessments.update(status="failed", reason="timeout")
    paths = ("/alerts/?part=rows", "/groups/?part=rows", "/api/alerts", "/api/assessments", "/api/frames")

    def naming() -> list[bool]:
        told = [desk.get(path).content.decode() for path in paths]
        return ["Bridge" in each or '"camera_id"' in each or '"cameraId"' in each for each in told]

    before = naming()
    taken_away(camera)
    assert (before, naming()) == ([True] * len(paths), [False] * len(paths))


def test_history_of_a_removed_camera_goes_with_its_pictures_and_what_was_spent_stays() -> None:
    other, camera = with_history("Other"), with_history()
    kept, gone = (Path(each.picture.path) for each in Evidence.objects.order_by("pk"))
    taken_away(camera)
    assert forget_removed(now=LATER - timedelta(seconds=1), seconds=10) == 0
    assert left() == [2] * len(HISTORY)
    assert forget_removed(now=LATER, seconds=10) == 1
    assert left() == [1] * len(HISTORY)
    assert (list(Camera.with_removed.all()), Spending.objects.count()) == ([other], 2)
    assert (kept.exists(), gone.exists()) == (True, False)


def test_long_history_goes_a_batch_at_a_time() -> None:
    taken_away(with_history())
    rounds = [forget_removed(now=LATER, seconds=-1) for _round in range(6)]
    assert (rounds, left()) == ([0, 0, 0, 0, 0, 1], [0] * len(HISTORY))


def test_cameras_without_a_history_go_while_there_is_time() -> None:
    for _number in range(3):
        taken_away(make_camera())
    assert [forget_removed(now=LATER, seconds=-1) for _round in range(4)] == [1, 1, 1, 0]


def test_history_stays_for_as_long_as_a_question_may_take(settings: Any) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"assessment_deadline_seconds": 3600})
    taken_away(make_camera())
    hour = timedelta(hours=1)
    assert [forget_removed(now=NOON + after, seconds=1) for after in (hour, hour + timedelta(minutes=1))] == [0, 1]


def test_verdict_that_comes_after_its_camera_was_removed_alarms_nobody() -> None:
    row = record(make_camera())
    row.assessments.update(status="done", risk_level="high", risk_type="collision")
    taken_away(row.camera)
    assert (apply_verdicts(row), Alert.objects.count()) == ([], 0)


def counted(page: Client, path: str) -> str:
    """What the question before a deletion says, on one line."""
    answer = page.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_admin_deletes_a_camera_with_a_history_and_counts_it_first(chief: Client) -> None:
    camera = with_history()
    path = f"/admin/cameras/camera/{camera.pk}/delete/"
    assert "<li>Frame results: 1</li>" in counted(chief, path)
    assert chief.post(path, {"post": "yes"}).status_code == 302
    assert (Camera.objects.exists(), Camera.with_removed.count(), FrameResult.objects.count()) == (False, 1, 1)
    assert AuditEntry.objects.get(action="camera.delete").object_name == "Bridge"


def test_admin_deletes_several_cameras(chief: Client) -> None:
    cameras = [with_history("North"), with_history("South")]
    chosen = {"action": "delete_selected", "_selected_action": [each.pk for each in cameras], "post": "yes"}
    assert chief.post("/admin/cameras/camera/", chosen).status_code == 302
    assert (Camera.objects.exists(), Camera.with_removed.count()) == (False, 2)


def test_question_before_a_deletion_counts_only_so_far(chief: Client) -> None:
    camera = make_camera()
    StateChange.objects.bulk_create(StateChange(camera=camera, at=NOON, state="online") for _ in range(MOST_COUNTED))
    said = counted(chief, f"/admin/cameras/camera/{camera.pk}/delete/")
    assert f"<li>Changes of state: {MOST_COUNTED}+</li>" in said


def test_admin_deletes_destinations_rules_and_users_that_were_used(chief: Client) -> None:
    place = Destination.objects.create(name="Desk", kind="email", address="desk@example.org")
    rule = Rule.objects.create(name="Night")
    message = Message.objects.create(rule=rule, created_at=NOON, title="High risk")
    Delivery.objects.create(message=message, destination=place, next_at=NOON)
    alert = raise_alert(make_camera())
    Notice.objects.create(rule=rule, alert=alert, occasion="opened", level="high", created_at=NOON, due_at=NOON)
    user = User.objects.create(username="program")
    make_token(user, Scope.READ)
    for path, kind in (
        (f"/admin/notifications/destination/{place.pk}/delete/", "Deliveries"),
        (f"/admin/notifications/rule/{rule.pk}/delete/", "Notices"),
        (f"/admin/accounts/user/{user.pk}/delete/", "API tokens"),
    ):
        assert f"<li>{kind}: 1</li>" in counted(chief, path)
        assert chief.post(path, {"post": "yes"}).status_code == 302
    assert [each.objects.count() for each in (Destination, Delivery, Rule, Notice, ApiToken)] == [0] * 5


def test_staff_deletes_only_what_it_may() -> None:
    camera = with_history()
    for codename, status in (("view_camera", 403), ("delete_camera", 302)):
        clerk = User.objects.create(username=codename, is_staff=True)
        clerk.user_permissions.add(Permission.objects.get(codename=codename))
        answer = browser(clerk).post(f"/admin/cameras/camera/{camera.pk}/delete/", {"post": "yes"})
        assert answer.status_code == status
