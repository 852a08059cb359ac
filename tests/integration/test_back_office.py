"""The back office: whose cameras are taken in, what it is told of each hour, and how it knows that it is us."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from cameras.models import Camera, Wanted
from cameras.removal import remove
from tests.back_office import BackOffice, standing_in
from tests.factories import NOON, make_camera
from tests.integration.test_pages import raise_alert
from trafficmon.accounts.models import AuditEntry
from trafficmon.back_office.cameras import import_cameras
from trafficmon.back_office.client import BackOfficeRefused, ask
from trafficmon.back_office.models import ImportedCamera, StatisticsReport
from trafficmon.back_office.reports import forget_reports, is_due, report_due
from trafficmon.settings.environment import Environment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

BRIDGE = {"id": 7, "name": "Bridge", "rtspUrl": "rtsp://8.8.8.7/live", "groupName": "North"}
SOON = NOON + timedelta(minutes=10)


def configured(**fields: Any) -> Environment:
    return Environment.model_validate(fields)


@pytest.fixture
def office(settings: Any) -> Iterator[BackOffice]:
    with standing_in() as office:
        settings.ENVIRONMENT = configured(backend_base_url=office.url)
        yield office


@pytest.mark.parametrize(
    "told",
    [
        [BRIDGE],
        {"code": 200, "msg": "OK", "data": [BRIDGE]},
        {"code": 0, "data": {"records": [BRIDGE], "total": 1}},
        {"list": [{"cameraId": "7", "cameraName": "Bridge", "url": BRIDGE["rtspUrl"], "group": "North"}]},
    ],
)
def test_cameras_are_added_from_any_usual_spelling_and_not_started(office: BackOffice, told: object) -> None:
    office.told = told
    result = import_cameras(now=NOON)
    assert (result.added, result.refused) == (["Bridge"], [])
    camera = Camera.objects.get()
    assert (camera.name, camera.source, str(camera.group), camera.wanted) == (
        *("Bridge", "rtsp://8.8.8.7/live", "North"),
        Wanted.STOPPED,
    )
    assert [each.path for each in office.received] == ["/api/cameras"]


def test_what_has_not_changed_there_keeps_what_was_changed_here(office: BackOffice) -> None:
    office.told = [BRIDGE]
    import_cameras(now=NOON)
    Camera.objects.update(name="Old bridge", wanted=Wanted.RUNNING)
    again = import_cameras(now=SOON)
    assert (again.unchanged, Camera.objects.get().name) == (1, "Old bridge")
    office.told = [BRIDGE | {"rtspUrl": "rtsp://8.8.8.8/live"}]
    changed = import_cameras(now=SOON)
    camera = Camera.objects.get()
    assert (changed.changed, camera.source, camera.wanted) == (["Bridge"], "rtsp://8.8.8.8/live", "running")
    office.told = []
    assert (import_cameras(now=SOON).missing, Camera.objects.count()) == (["Bridge"], 1)


def test_camera_that_was_removed_here_is_added_anew(office: BackOffice) -> None:
    office.told = [BRIDGE]
    import_cameras(now=NOON)
    remove(Camera.objects.all(), now=NOON)
    assert (import_cameras(now=SOON).added, Camera.objects.get().name) == (["Bridge"], "Bridge")


def test_camera_that_cannot_be_one_is_refused_by_itself(office: BackOffice) -> None:
    make_camera(name="Taken")
    office.told = [
        BRIDGE | {"id": 1, "rtspUrl": "rtsp://169.254.169.254/"},
        BRIDGE | {"id": 2, "name": "Taken"},
        {"id": 3},
        "nonsense",
        BRIDGE,
        BRIDGE,
    ]
    result = import_cameras(now=NOON)
    assert result.added == ["Bridge"]
    assert [each.partition(":")[0] for each in result.refused] == ["1 Bridge", "2 Taken", "entry 3", "entry 4"]
    assert ImportedCamera.objects.count() == 1


@pytest.mark.parametrize(
    ("told", "status", "said"),
    [
        (None, 401, "ALGO_JWT_SECRET"),
        (None, 302, "HTTP 302"),
        ({"code": 500, "msg": "no database"}, 200, "no database"),
        ({"cameras": 3}, 200, "no list"),
        ({"rows": [BRIDGE], "total": 250}, 200, "1 of its 250"),
    ],
)
def test_answer_that_is_no_list_is_said(office: BackOffice, told: object, status: int, said: str) -> None:
    office.told, office.status = told, status
    with pytest.raises(BackOfficeRefused, match=said):
        import_cameras(now=NOON)


def test_back_office_that_is_not_there_is_said(settings: Any) -> None:
    settings.ENVIRONMENT = configured(backend_base_url="http://127.0.0.1:9/api")
    with pytest.raises(CommandError, match="ALGO_BACKEND_BASE_URL"):
        call_command("back_office", "import")


def test_command_tells_and_writes_down_what_came(office: BackOffice, capsys: pytest.CaptureFixture[str]) -> None:
    office.told = [BRIDGE]
    call_command("back_office", "import")
    assert capsys.readouterr().out == "added\tBridge\n1 added, 0 changed, 0 refused, 0 unchanged.\n"
    assert AuditEntry.objects.get().detail == {"added": 1, "changed": 0, "refused": 0}


def test_hour_is_reported_once_when_it_is_over(office: BackOffice) -> None:
    alert = raise_alert(make_camera())
    ImportedCamera.objects.create(camera=alert.camera, number="7", imported_at=NOON)
    later = NOON + timedelta(hours=1, minutes=6)
    assert is_due(later)
    assert [report_due(now=each) for each in (later, later, later + timedelta(minutes=30))] == [1, 0, 0]
    assert [is_due(each) for each in (later, later + timedelta(hours=1))] == [False, True]
    [sent] = office.received
    assert (sent.path, sent.headers["idempotency-key"]) == ("/api/statistics", "trafficmon-statistics-2026050412")
    told = sent.json()
    assert (told["from"], told["before"]) == ("2026-05-04T12:00:00.000Z", "2026-05-04T13:00:00.000Z")
    [camera] = told["cameras"]
    assert (camera["backOfficeNumber"], camera["dangers"], camera["timesLost"]) == ("7", {"high": 1}, 0)


def test_refused_report_is_sent_again_after_growing_pauses(office: BackOffice) -> None:
    office.status = 503
    assert [report_due(now=SOON + timedelta(minutes=n)) for n in range(8)] == [0] * 8
    assert len(office.received) == 4  # at once, after 1, 2 and 4 minutes
    assert StatisticsReport.objects.get().last_error == "The back office answered with HTTP 503."
    office.status = 200
    assert report_due(now=SOON + timedelta(minutes=15)) == 1
    assert StatisticsReport.objects.get().last_error == ""


def test_hours_missed_are_caught_up_but_not_those_that_are_half_forgotten(office: BackOffice) -> None:
    report_due(now=SOON)
    assert report_due(now=SOON + timedelta(hours=3)) == 3
    assert report_due(now=SOON + timedelta(hours=100)) == 23
    assert forget_reports(before=NOON + timedelta(hours=50)) == 4


def test_nothing_is_reported_where_no_back_office_is_named() -> None:
    assert (is_due(SOON), report_due(now=SOON)) == (False, 0)
    assert not StatisticsReport.objects.exists()


@pytest.mark.parametrize(("header", "start"), [("Authorization", "Bearer "), ("X-Token", "")])
def test_requests_are_signed(office: BackOffice, settings: Any, header: str, start: str) -> None:
    settings.ENVIRONMENT = configured(backend_base_url=office.url, jwt_secret="hush", jwt_header=header)
    ask("GET", "cameras")
    shown = office.received[0].headers[header.lower()]
    assert shown.startswith(start)
    signed, _dot, signature = shown.removeprefix(start).rpartition(".")
    expected = (
        base64.urlsafe_b64encode(hmac.new(b"hush", signed.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    )
    assert signature == expected
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed.split("."))
    assert (head["alg"], claims["iss"], claims["exp"] - claims["iat"]) == ("HS256", "trafficmon", 300)
