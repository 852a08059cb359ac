"""Cameras and zones written by API: whose token may, which rules hold, and what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from cameras.models import Camera, CameraGroup, Wanted, Zone
from tests.factories import make_camera, make_token
from tests.integration.test_pages import browser, make_user
from trafficmon.accounts.models import AuditEntry
from trafficmon.accounts.roles import Role, Scope

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
SECRET = "rtsp://operator:geheim@93.184.215.14/live"
SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]


class Program:
    """Asks with an API token."""

    def __init__(self, role: Role, *scopes: Scope) -> None:
        self.token = make_token(make_user(role), *scopes)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str, Any]:
        kwargs: dict[str, Any] = {"headers": {"Authorization": f"Bearer {self.token}"}}
        if body is not None:
            kwargs |= {"data": body, "content_type": "application/json"}
        answer = getattr(Client(), method)(path, **kwargs)
        told = answer.json()
        assert (set(told), told["code"]) == ({"code", "msg", "data"}, answer.status_code)
        return answer.status_code, told["msg"], told["data"]


@pytest.fixture
def program() -> Program:
    return Program(Role.ADMINISTRATOR, Scope.READ, Scope.ADMINISTER)


WRITES = [
    ("post", "/api/cameras"),
    ("patch", "/api/cameras/1"),
    ("delete", "/api/cameras/1"),
    ("post", "/api/zones"),
    ("patch", "/api/zones/1"),
    ("delete", "/api/zones/1"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writing_needs_the_role_and_the_scope(method: str, path: str) -> None:
    body: dict[str, object] = {}
    lacks_scope = Program(Role.ADMINISTRATOR, Scope.READ, Scope.OPERATE, Scope.SUPERVISE)
    lacks_role = Program(Role.SUPERVISOR, Scope.ADMINISTER)
    assert lacks_scope.ask(method, path, body) == (403, "This API token lacks the scope administer.", None)
    assert lacks_role.ask(method, path, body) == (
        403,
        "This needs the administrator role. Ask an administrator.",
        None,
    )


def test_camera_is_added_and_its_address_told_to_nobody(program: Program) -> None:
    CameraGroup.objects.create(name="Streets")
    body = {"name": "North", "source": SECRET, "group": "Streets", "wanted": "running", "frameInterval": 0.5}
    status, _msg, told = program.ask("post", "/api/cameras", body)
    camera = Camera.objects.get()
    assert (status, told["cameraId"], told["group"], told["frameInterval"]) == (200, camera.pk, "Streets", 0.5)
    assert (camera.source, camera.wanted, camera.detection_enabled) == (SECRET, Wanted.RUNNING, True)
    assert "geheim" not in str(told)
    entry = AuditEntry.objects.get(action="camera.add")
    assert (entry.object_name, entry.token.startswith("Token ")) == ("North", True)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            {"name": "N", "source": "rtsp://10.0.0.1/live"},
            "source: 10.0.0.1 (10.0.0.1) is in a private network. Name that network in ALGO_CAMERA_NETWORKS to allow "
            "it.",
        ),
        ({"name": "N"}, "source: Field required"),
        ({"name": "Old", "source": "street://junction"}, "name: Camera with this Name already exists."),
        ({"name": "N", "source": "street://junction", "group": "No"}, "group: there is no camera group No."),
        ({"name": "N", "source": "street://junction", "state": "online"}, "state: Extra inputs are not permitted"),
        (
            {"name": "N", "source": "street://junction", "frameInterval": 0, "calibration": {"picture": []}},
            "frameInterval: Ensure this value is greater than or equal to 0.04.; calibration: ",
        ),
    ],
)
def test_camera_that_cannot_be_is_refused_with_what_is_wrong(
    body: dict[str, object], complaint: str, program: Program
) -> None:
    make_camera(name="Old")
    status, msg, data = program.ask("post", "/api/cameras", body)
    assert (status, msg[: len(complaint)], data, Camera.objects.count()) == (400, complaint, None, 1)


def test_change_leaves_what_it_does_not_name(program: Program) -> None:
    group = CameraGroup.objects.create(name="Streets")
    camera = make_camera(name="North", source=SECRET, group=group, frame_interval=2.0, wanted=Wanted.RUNNING)
    status, _msg, told = program.ask("patch", f"/api/cameras/{camera.pk}", {"name": "South", "frameInterval": None})
    camera.refresh_from_db()
    assert (status, told["name"], told["frameInterval"]) == (200, "South", None)
    assert (camera.source, camera.group, camera.wanted) == (SECRET, group, Wanted.RUNNING)
    assert AuditEntry.objects.get(action="camera.change").detail == {"changes": ["frame_interval", "name"]}


def test_masked_address_keeps_its_password_and_goes_to_no_other_host(program: Program) -> None:
    camera = make_camera(source=SECRET)
    path = f"/api/cameras/{camera.pk}"
    assert program.ask("patch", path, {"source": "rtsp://***@93.184.215.14/live"})[0] == 200
    assert program.ask("patch", path, {"source": "rtsp://***@93.184.215.15/live"})[:2] == (
        400,
        "source: The password in this address is masked: write it out again.",
    )
    assert Camera.objects.get().source == SECRET


def test_deleted_camera_is_gone_with_its_zones_and_its_name_is_free(program: Program) -> None:
    camera = make_camera(name="North")
    Zone.objects.create(camera=camera, name="a", kind="crossing", polygon=SQUARE)
    assert program.ask("delete", f"/api/cameras/{camera.pk}") == (200, "OK", {"id": camera.pk})
    assert (Camera.objects.exists(), program.ask("get", "/api/zones")[2]) == (False, [])
    assert AuditEntry.objects.get(action="camera.delete").object_name == "North"
    assert program.ask("post", "/api/cameras", {"name": "North", "source": SECRET})[0] == 200
    assert program.ask("delete", f"/api/cameras/{camera.pk}")[0] == 404


def test_zone_is_drawn_changed_and_deleted(program: Program) -> None:
    camera = make_camera()
    body = {"cameraId": camera.pk, "name": "A", "kind": "crossing", "polygon": SQUARE, "classes": ["person"]}
    status, _msg, told = program.ask("post", "/api/zones", body)
    zone = Zone.objects.get()
    assert (status, told["zoneId"], told["polygon"], zone.camera) == (200, zone.pk, SQUARE, camera)
    change = {"kind": "lane", "directionDegrees": 90}
    status, _msg, told = program.ask("patch", f"/api/zones/{zone.pk}", change)
    assert (status, told["name"], told["kind"], told["directionDegrees"]) == (200, "A", "lane", 90)
    assert told["classes"] == ["person"]
    assert program.ask("delete", f"/api/zones/{zone.pk}") == (200, "OK", {"id": zone.pk})
    done = AuditEntry.objects.filter(action="camera.draw").order_by("pk").values_list("detail", flat=True)
    assert list(done) == [{"added": ["A"]}, {"changed": ["A"]}, {"deleted": ["A"]}]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"polygon": [[0, 0], [1, 1]]}, "polygon: "),
        ({"classes": ["dragon"]}, "classes: "),
        ({"kind": "include", "minimumSeconds": 2}, "What is watched or ignored has no least stay: leave it at 0."),
        ({"name": "Other"}, "Zone with this Camera and Name already exists."),
        ({"kind": "moat"}, "kind: "),
        ({"cameraId": 3}, "cameraId: Extra inputs are not permitted"),
    ],
)
def test_zone_that_cannot_be_is_refused(body: dict[str, object], complaint: str, program: Program) -> None:
    camera = make_camera()
    for name in ("One", "Other"):
        Zone.objects.create(camera=camera, name=name, kind="crossing", polygon=SQUARE)
    zone = Zone.objects.get(name="One")
    status, msg, _data = program.ask("patch", f"/api/zones/{zone.pk}", body)
    zone.refresh_from_db()
    assert (status, msg[: len(complaint)], zone.polygon, zone.kind) == (400, complaint, SQUARE, "crossing")


def test_zone_of_no_camera_is_refused(program: Program) -> None:
    body = {"cameraId": 99999, "name": "A", "kind": "crossing", "polygon": SQUARE}
    assert program.ask("post", "/api/zones", body)[0] == 404
    assert program.ask("patch", "/api/zones/99999", {})[0] == 404


def test_another_method_is_refused_in_the_envelope(program: Program) -> None:
    answer = Client().put("/api/cameras", headers={"Authorization": f"Bearer {program.token}"})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, POST")
    assert answer.json() == {"code": 405, "msg": "Use the method GET, POST here.", "data": None}


def test_browser_needs_its_token_against_forgery() -> None:
    desk = browser(make_user(Role.ADMINISTRATOR), checks_csrf=True)
    body = {"name": "N", "source": "street://junction"}
    assert desk.post("/api/cameras", body, content_type="application/json").status_code == 403
    assert not Camera.objects.exists()
