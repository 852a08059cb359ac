"""Cameras that somebody may not see, on every way in: their pages, their rows, their pictures, their messages.

The same for API tokens is in test_tokens.py and test_tickets.py, for the live feed in test_consumer.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from assessment.models import Alert, Assessment, Evidence, EvidenceKind
from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera, CameraGroup
from tests.factories import make_camera, record
from tests.integration.test_pages import browser, camera_of, make_user, raise_alert
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
JPEG = b"\xff\xd8picture"


def ways_to(camera: Camera) -> list[str]:
    """An alert's page, a picture kept with it, and a live one."""
    row, alert = record(camera), raise_alert(camera)
    FrameStore(connect_redis()).put(row.frame_key, JPEG)
    evidence = Evidence(assessment=Assessment.objects.filter(frame_result=row).get(), kind=EvidenceKind.CROP)
    evidence.picture.save("crop.jpg", ContentFile(JPEG))
    return [f"/alerts/{alert.pk}/", f"/evidence/{evidence.pk}/", f"/frames/{row.frame_key}/"]


@pytest.fixture(autouse=True)
def own_media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_is_in_a_group_gets_to_its_cameras_and_to_no_others(role: Role) -> None:
    user = make_user(role)
    mine, hidden = camera_of(user, name="Mine"), make_camera(name="Hidden", group=CameraGroup.objects.create(name="B"))
    paths = {camera.name: ways_to(camera) for camera in (mine, hidden)}
    client = browser(user)
    assert [client.get(path).status_code for path in paths["Mine"]] == [200, 200, 200]
    assert [client.get(path).status_code for path in paths["Hidden"]] == [404, 404, 404]
    for path in ("/", "/alerts/", "/api/cameras", "/api/alerts"):
        said = client.get(path).content.decode()
        assert ("Mine" in said, "Hidden" in said) == (True, False)
    by_filter = client.get(f"/alerts/?camera={hidden.pk}").content.decode()
    assert "Hidden" not in by_filter


def test_alert_of_a_hidden_camera_cannot_be_acknowledged() -> None:
    alert = raise_alert(make_camera())
    client = browser(make_user(Role.OPERATOR))
    paths = [f"/alerts/{alert.pk}/acknowledge/", f"/api/alerts/{alert.pk}/acknowledge"]
    assert [client.post(path).status_code for path in paths] == [404, 404]
    assert Alert.objects.get().state == "open"


def test_who_is_in_no_group_sees_nothing() -> None:
    make_camera()
    assert browser(make_user(Role.OPERATOR)).get("/api/cameras").json()["data"] == []


@pytest.mark.parametrize(
    "fields",
    [{"role": Role.SUPERVISOR}, {"role": Role.ADMINISTRATOR}, {"is_staff": True}, {"is_superuser": True}],
)
def test_supervisors_administrators_and_staff_see_every_camera(fields: dict[str, Any]) -> None:
    paths = ways_to(make_camera())
    client = browser(User.objects.create(username="all", **fields))
    assert [client.get(path).status_code for path in paths] == [200, 200, 200]
    assert len(client.get("/api/cameras").json()["data"]) == 1


def test_somebody_deactivated_sees_nothing_any_more() -> None:
    user = make_user(Role.SUPERVISOR)
    client = browser(user)
    User.objects.update(is_active=False)
    paths = ("/", "/api/cameras", *ways_to(make_camera()))
    assert [client.get(path).status_code for path in paths] == [302, 401, 302, 302, 302]
