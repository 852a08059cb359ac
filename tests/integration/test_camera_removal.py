"""Cameras that are deleted: gone at once for everybody, their history a little at a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from assessment.alerts import apply_verdicts
from assessment.evidence import Pictures, keep_evidence
from assessment.forgetting import SETTLING, forget_removed
from assessment.models import Alert, Assessment, CameraHour, Evidence, FrameResult, LineCount, Spending
from cameras.models import Camera, CountingLine, StateChange, Wanted, Zone
from cameras.removal import remove
from tests.factories import NOON, make_camera, record
from tests.integration.test_pages import browser, make_user, raise_alert
from trafficmon.accounts.roles import Role
from trafficmon.back_office.models import ImportedCamera

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
LATER = NOON + SETTLING
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


def test_verdict_that_comes_after_its_camera_was_removed_alarms_nobody() -> None:
    row = record(make_camera())
    row.assessments.update(status="done", risk_level="high", risk_type="collision")
    taken_away(row.camera)
    assert (apply_verdicts(row), Alert.objects.count()) == ([], 0)
