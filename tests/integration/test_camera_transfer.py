"""Cameras as a file: what an export holds, what an import changes, and how all that is wrong is told by line."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cameras.models import Camera, CameraGroup, CountingLine, Wanted, Zone
from cameras.transfer import as_csv, as_json
from tests.factories import make_camera
from tests.integration.test_pages import browser, make_user
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
SECRET = "rtsp://operator:geheim@93.184.215.14/live"
MASKED = "rtsp://***@93.184.215.14/live"
SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
IMPORT = "/admin/cameras/camera/import/"


@pytest.fixture
def desk() -> Client:
    return browser(make_user(Role.ADMINISTRATOR))


@pytest.fixture
def north() -> Camera:
    group = CameraGroup.objects.create(name="Streets")
    camera = make_camera(name="=North", source=SECRET, group=group, frame_interval=0.5, wanted=Wanted.RUNNING)
    Zone.objects.create(camera=camera, name="A", kind="lane", polygon=SQUARE, direction_degrees=90, classes=["car"])
    CountingLine.objects.create(camera=camera, name="gate", ends=[[0, 0.5], [1, 0.5]])
    return camera


def send(desk: Client, text: str, name: str = "cameras.csv") -> Any:
    return desk.post(IMPORT, {"file": SimpleUploadedFile(name, text.encode())})


def mistakes(answer: Any) -> list[tuple[int, str, str]]:
    assert answer.status_code == 200
    return [(each.line, each.name, each.message) for each in answer.context["mistakes"]]


def everything() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(as_json(Camera.objects.all()))
    return found


def test_export_holds_everything_but_secrets(desk: Client, north: Camera) -> None:
    told = desk.get("/admin/cameras/camera/export/json/").json()
    assert told == [
        {
            "name": "=North",
            "group": "Streets",
            "source": MASKED,
            "detection_source": "",
            "sampling": "burst",
            "frame_interval": 0.5,
            "detection_enabled": True,
            "assessment_enabled": True,
            "wanted": "running",
            "calibration": None,
            "zones": [
                {
                    "name": "A",
                    "kind": "lane",
                    "polygon": SQUARE,
                    "direction_degrees": 90.0,
                    "minimum_seconds": 0.0,
                    "classes": ["car"],
                }
            ],
            "lines": [{"name": "gate", "ends": [[0, 0.5], [1, 0.5]], "classes": []}],
        }
    ]
    text = desk.get("/admin/cameras/camera/export/csv/").content.decode()
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["name"], row["source"], row["wanted"], json.loads(row["zones"])) == (
        "'=North",
        MASKED,
        "running",
        told[0]["zones"],
    )
    assert AuditEntry.objects.filter(action="camera.export", detail={"numbers": [north.pk]}).count() == 2


def test_export_is_of_what_the_list_is_narrowed_to(desk: Client, north: Camera) -> None:
    make_camera(name="South")
    told = desk.get("/admin/cameras/camera/export/json/?q=South").json()
    assert [each["name"] for each in told] == ["South"]


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_export_read_again_changes_nothing(kind: str, desk: Client, north: Camera) -> None:
    before, zone = everything(), Zone.objects.get().pk
    text = (as_csv if kind == "csv" else as_json)(Camera.objects.all())
    assert send(desk, text, f"cameras.{kind}").status_code == 302
    assert (everything(), Zone.objects.get().pk) == (before, zone)
    assert Camera.objects.get().source == SECRET
    assert AuditEntry.objects.get(action="camera.import").detail == {"added": [], "changed": ["=North"]}


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_cameras_go_to_another_installation(kind: str, desk: Client) -> None:
    CameraGroup.objects.create(name="Streets")
    camera = make_camera(name="West", source="street://junction?seed=3")
    Zone.objects.create(camera=camera, name="A", kind="crossing", polygon=SQUARE)
    text, before = (as_csv if kind == "csv" else as_json)(Camera.objects.all()), everything()
    Camera.objects.all().delete()
    answer = send(desk, text)
    assert answer["Location"] == "/admin/cameras/camera/"
    assert everything() == before


def test_row_leaves_what_it_does_not_name(desk: Client, north: Camera) -> None:
    assert send(desk, "name,wanted\n'=North,stopped\n").status_code == 302
    north.refresh_from_db()
    assert (north.wanted, north.source, north.frame_interval) == (Wanted.STOPPED, SECRET, 0.5)
    assert (Zone.objects.count(), CountingLine.objects.count()) == (1, 1)


def test_zones_are_replaced_and_those_of_a_known_name_stay_the_same(desk: Client, north: Camera) -> None:
    number = Zone.objects.get().pk
    zones = [{"name": "B", "kind": "ignore", "polygon": SQUARE}, {"name": "A", "kind": "crossing", "polygon": SQUARE}]
    assert send(desk, json.dumps([{"name": "=North", "zones": zones}]), "cameras.json").status_code == 302
    kept = Zone.objects.order_by("name")
    assert [(each.name, each.kind) for each in kept] == [("A", "crossing"), ("B", "ignore")]
    assert (kept[0].pk, CountingLine.objects.count()) == (number, 1)


def test_every_mistake_is_told_by_line_and_nothing_is_changed(desk: Client, north: Camera) -> None:
    before = everything()
    text = (
        "name,source,group,wanted,detection_enabled,zones\n"
        "West,street://junction?seed=1,Streets,running,yes,\n"
        "East,rtsp://10.0.0.1/live,Nowhere,maybe,yes,\n"
        "South,street://nowhere,Streets,maybe,yes,\n"
        '"New",rtsp://***@93.184.215.14/live,,running,perhaps,\n'
        "West,street://junction?seed=2,,running,no,\n"
        ",street://junction,,running,no,\n"
        'Bad,street://junction,,running,no,"[{""name"": ""Z"", ""kind"": ""lane"", ""polygon"": [[0, 0]]}]"\n'
        "Short,street://junction\n"
        "'=North,rtsp://***@93.184.215.15/live,,running,no,not JSON\n"
    )
    found = mistakes(send(desk, text))
    starts = [
        (3, "East", "group: there is no camera group Nowhere."),
        (3, "East", "source: 10.0.0.1 (10.0.0.1) is in a private network."),
        (3, "East", "wanted: Select a valid choice. maybe is not one of the available choices."),
        (4, "South", "source: There is no street nowhere; there are: "),
        (4, "South", "wanted: Select a valid choice. maybe is not one of the available choices."),
        (5, "New", "detection_enabled: Say yes or no."),
        (5, "New", "source: The password in this address is masked: write it out again."),
        (6, "West", "name: this camera is in the file twice."),
        (7, "", "name: This field is required."),
        (8, "Bad", "zones.0.polygon: "),
        (9, "Short", "This line has not as many cells as the first one."),
        (10, "=North", "zones: This is no JSON: "),
        (10, "=North", "source: The password in this address is masked: write it out again."),
    ]
    told = [
        (line, name, message[: len(start)])
        for (line, name, message), (*_, start) in zip(sorted(found), sorted(starts), strict=True)
    ]
    assert told == sorted(starts)
    assert everything() == before


def test_masked_address_of_a_camera_that_is_not_there_is_refused(desk: Client) -> None:
    found = mistakes(send(desk, f"name,source\nWest,{MASKED}\n"))
    assert found == [(2, "West", "source: The password in this address is masked: write it out again.")]


def test_lines_are_counted_as_an_editor_shows_them(desk: Client) -> None:
    zones = '"[\n{""name"": ""Z"", ""kind"": ""crossing"",\n""polygon"": [[0, 0], [1, 0], [1, 1]]}]"'
    text = f"name,source,zones\nWest,street://junction,{zones}\nEast,nowhere.mp4,\n"
    [(line, name, _message)] = mistakes(send(desk, text))
    assert (line, name) == (5, "East")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,source\n", "There is no camera in this file."),
        ("[{", "This is no JSON: "),
        ('{"name": "A"}', "A list of cameras is needed, as an export has it."),
        ('name\n"A\n', "This is no CSV: "),
    ],
)
def test_file_that_is_none_is_refused(text: str, complaint: str, desk: Client) -> None:
    answer = send(desk, text)
    [told] = answer.context["form"].errors["file"]
    assert told.startswith(complaint)


def test_unknown_columns_are_refused(desk: Client, north: Camera) -> None:
    found = mistakes(send(desk, "name,state,colour\n'=North,online,red\n"))
    assert found == [(2, "=North", "There is nothing called colour, state.")]


def test_import_and_export_are_for_those_who_may(north: Camera) -> None:
    clerk = browser(User.objects.create(username="clerk", is_staff=True))
    assert [clerk.get(path).status_code for path in (IMPORT, "/admin/cameras/camera/export/csv/")] == [403, 403]
    chief = browser(make_user(Role.ADMINISTRATOR))
    assert chief.get("/admin/cameras/camera/export/xml/").status_code == 404
    text = chief.get("/admin/cameras/camera/").content.decode()
    assert (IMPORT in text, "/admin/cameras/camera/export/csv/" in text) == (True, True)


def test_cameras_are_put_into_a_group_together(desk: Client, north: Camera) -> None:
    west = make_camera(name="West")
    other = CameraGroup.objects.create(name="Bridges")
    data = {"action": "set_group", "_selected_action": [north.pk, west.pk], "group": other.pk}
    desk.post("/admin/cameras/camera/", data)
    assert {each.group for each in Camera.objects.all()} == {other}
    desk.post("/admin/cameras/camera/", {**data, "group": ""})
    assert {each.group for each in Camera.objects.all()} == {None}
