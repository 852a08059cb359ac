"""The API: what each list and thing is told, in pages, to whom; and that the document of it is fresh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pydantic import TypeAdapter

from assessment.models import Alert, Assessment, FrameResult, LineCount, Spending
from assessment.risk import AssessmentStatus, RiskLevel
from cameras.models import Camera, CountingLine, Zone
from tests.factories import NOON, make_camera, record
from tests.integration.test_pages import browser, camera_of, make_user, raise_alert
from tests.integration.test_tokens import program
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role, Scope
from trafficmon.api.answers import Paged, operation_of
from trafficmon.api.openapi import document, endpoints
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
LISTS = ["cameras", "zones", "lines", "frames", "assessments", "alerts", "counts", "spending"]


def fill(camera: Camera, number: int = 0) -> None:
    """One row of every kind."""
    raise_alert(camera, after_seconds=number)
    Zone.objects.create(camera=camera, name=f"Zone {number}", kind="lane", polygon=SQUARE, direction_degrees=90)
    line = CountingLine.objects.create(camera=camera, name=f"Line {number}", ends=[[0.1, 0.5], [0.9, 0.5]])
    LineCount.objects.create(line=line, hour=NOON, object_class="car", direction="forward", count=7)
    Spending.objects.create(
        day=NOON.date() - timedelta(days=number),
        camera=camera,
        account="a",
        key="k",
        prompt_version="p",
        model="m",
        cost=Decimal("0.25"),
        calls=3,
    )


def walk(client: Client, path: str) -> Iterator[list[dict[str, Any]]]:
    """Each page of a list, by the addresses that the answers give."""
    next_path = path
    while next_path:
        answer = client.get(next_path)
        assert answer.status_code == 200, answer.content
        yield answer.json()["data"]
        link = answer.headers.get("Link", "")
        next_path = link.partition(">")[0].removeprefix("<http://testserver")


@pytest.mark.parametrize("name", LISTS)
def test_pages_of_a_list_together_are_the_list(name: str) -> None:
    camera = make_camera()
    for number in range(5):
        fill(camera, number)
        fill(make_camera(), number)
    client = browser(make_user(Role.SUPERVISOR))
    expected = {"cameras": 6}.get(name, 10)
    [whole] = walk(client, f"/api/{name}")
    pages = list(walk(client, f"/api/{name}?limit=3"))
    assert {len(page) for page in pages[:-1]} == {3}
    assert [each for page in pages for each in page] == whole
    assert len(whole) == expected


@pytest.mark.parametrize("name", [name for name in LISTS if name != "spending"])
@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_three_queries_and_shows_visible_cameras_only(
    name: str, rows: int, django_assert_num_queries: Any
) -> None:
    user = make_user(Role.VIEWER)
    for number in range(rows):
        fill(camera_of(user), number)
    fill(make_camera())
    client = browser(user)
    with django_assert_num_queries(3):
        listed = client.get(f"/api/{name}").json()["data"]
    assert len(listed) == rows


def test_row_that_comes_between_two_pages_neither_repeats_nor_hides_one() -> None:
    camera = make_camera()
    for number in range(4):
        raise_alert(camera, after_seconds=number)
    pages = walk(browser(make_user(Role.SUPERVISOR)), "/api/alerts?limit=2")
    first = next(pages)
    raise_alert(camera, after_seconds=100)
    numbers = [each["alertId"] for each in [*first, *next(pages)]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 4


@pytest.mark.parametrize("name", LISTS)
def test_first_page_names_no_next_where_all_fits(name: str) -> None:
    fill(make_camera())
    assert "Link" not in browser(make_user(Role.SUPERVISOR)).get(f"/api/{name}?limit=1").headers


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("alerts?level=high", 2),
        ("alerts?level=low", 0),
        ("alerts?type=red_light&kind=danger&state=open", 2),
        ("alerts?state=closed", 0),
        ("alerts?cameraId={camera}", 1),
        ("alerts?from=2026-05-04T12:00:01Z", 1),
        ("alerts?before=2026-05-04T12:00:01Z", 1),
        ("frames?status=pending&cameraId={camera}", 1),
        ("frames?level=high", 0),
        ("assessments?status=done&level=high&type=red_light&judgedBy=model", 2),
        ("cameras?group=North", 0),
        ("cameras?wanted=stopped&state=unknown", 2),
        ("zones?kind=lane&cameraId={camera}", 1),
        ("lines?cameraId={camera}", 1),
        ("counts?class=car&direction=forward&cameraId={camera}", 1),
        ("counts?class=bus", 0),
        ("counts?from=2026-05-04T13:00:00Z", 0),
        ("spending?cameraId={camera}&account=a&firstDay=2026-05-04&lastDay=2026-05-04", 1),
        ("spending?firstDay=2026-05-05", 0),
    ],
)
def test_filters_narrow(query: str, found: int) -> None:
    cameras = [make_camera(), make_camera()]
    for number, camera in enumerate(cameras):
        fill(camera, number)
    answer = browser(make_user(Role.SUPERVISOR)).get(f"/api/{query.format(camera=cameras[0].pk)}")
    assert len(answer.json()["data"]) == found


@pytest.mark.parametrize(
    "query",
    [
        "alerts?limit=0",
        "alerts?limit=501",
        f"alerts?cameraId={10**30}",
        "alerts?cursor=nonsense",
        "alerts?cursor=WzEsMl0",
        "alerts?cursor=WyIyMDI2LTA1LTA0VDEyOjAwOjAwKzAwOjAwIiwgIngiXQ",
        "alerts?level=grave",
        "alerts?from=yesterday",
        "alerts?from=2026-05-04T12:00:00",
        "frames?colour=red",
        "statistics?from=2026-01-01T00:00:00Z&before=2026-05-01T00:00:00Z",
        "statistics?from=2026-05-02T00:00:00Z&before=2026-05-01T00:00:00Z",
        "spending?firstDay=2026-05-02&lastDay=2026-05-01",
    ],
)
def test_what_makes_no_sense_is_refused_in_words(query: str) -> None:
    answer = browser(make_user(Role.SUPERVISOR)).get(f"/api/{query}")
    said = answer.json()
    assert (answer.status_code, said["code"], said["data"], bool(said["msg"])) == (400, 400, None, True)


def test_camera_is_told_with_what_is_drawn_on_it_and_never_with_its_address() -> None:
    corners = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
    road = [[0, 0], [10, 0], [10, 30], [0, 30]]
    camera = make_camera(source="rtsp://admin:hush@198.51.100.7/", calibration={"picture": corners, "road": road})
    fill(camera)
    answer = browser(make_user(Role.ADMINISTRATOR)).get(f"/api/cameras/{camera.pk}")
    told = answer.json()["data"]
    assert (told["calibration"]["road"], told["assessmentEnabled"], told["sampling"]) == (road, True, "burst")
    assert [(each["kind"], each["polygon"], each["directionDegrees"]) for each in told["zones"]] == [
        ("lane", SQUARE, 90)
    ]
    assert [each["ends"] for each in told["lines"]] == [[[0.1, 0.5], [0.9, 0.5]]]
    assert "198.51" not in answer.content.decode()


def test_frame_is_told_with_what_was_found_and_each_question() -> None:
    row = record(make_camera(), groups=2)
    told = browser(make_user(Role.SUPERVISOR)).get(f"/api/frames/{row.pk}").json()["data"]
    assert (told["objectCount"], told["groupCount"], told["assessmentStatus"]) == (4, 2, "pending")
    assert [each["id"] for each in told["detectedObjects"]] == [1, 2, 3, 4]
    assert [each["memberIndices"] for each in told["trafficGroups"]] == [[0, 1], [2, 3]]
    assert [(each["groupIndex"], each["status"], each["riskLevel"]) for each in told["assessments"]] == [
        (1, "pending", None),
        (2, "pending", None),
    ]


def test_assessment_is_told_with_the_models_words() -> None:
    alert = raise_alert(make_camera())
    told = browser(make_user(Role.SUPERVISOR)).get(f"/api/assessments/{alert.assessment_id}").json()["data"]
    assert (told["rawText"], told["riskLevel"], told["evidence"]) == ("<script>alert(1)</script>", "high", [])


@pytest.mark.parametrize("kind", ["cameras", "frames", "assessments", "alerts"])
def test_thing_of_a_hidden_camera_does_not_exist(kind: str) -> None:
    alert = raise_alert(make_camera())
    assert alert.assessment
    numbers: dict[str, int | None] = {"cameras": alert.camera_id, "frames": alert.assessment.frame_result_id}
    numbers |= {"assessments": alert.assessment_id, "alerts": alert.pk}
    codes = [browser(make_user(role)).get(f"/api/{kind}/{numbers[kind]}").status_code for role in list(Role)[1:3]]
    assert codes == [404, 200]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_moment_that_cannot_be_is_refused(moment: str) -> None:
    client = browser(make_user(Role.VIEWER))
    asked = (
        f"{path}?{name}={quote(moment)}" for path in ("statistics", "alerts", "counts") for name in ("from", "before")
    )
    assert {client.get(f"/api/{each}").status_code for each in asked} == {400}


def test_figures_of_a_stretch_are_of_the_visible_cameras(django_assert_num_queries: Any) -> None:
    user = make_user(Role.VIEWER)
    mine = camera_of(user)
    fill(mine)
    fill(make_camera())
    record(mine, captured_at=NOON - timedelta(days=1))
    Assessment.objects.filter(status=AssessmentStatus.DONE).update(llm_seconds=2.0)
    client = browser(user)
    with django_assert_num_queries(9):
        told = client.get("/api/statistics?from=2026-05-04T12:00:00Z&before=2026-05-04T13:00:00Z").json()["data"]
    assert told == {
        "from": "2026-05-04T12:00:00.000Z",
        "before": "2026-05-04T13:00:00.000Z",
        "cameras": [
            {
                "cameraId": mine.pk,
                "frames": {"pending": 1},
                "assessments": {"done": 1},
                "verdicts": {"high": 1},
                "dangers": {"high": 1},
                "timesLost": 0,
                "crossings": {"car": 7},
                "answerSeconds": 2.0,
            }
        ],
    }


def test_figures_are_of_the_last_day_where_nothing_is_said() -> None:
    record(make_camera(), captured_at=utc_now() - timedelta(hours=23))
    record(make_camera(), captured_at=utc_now() - timedelta(hours=25))
    told = browser(make_user(Role.SUPERVISOR)).get("/api/statistics").json()["data"]["cameras"]
    assert sorted(len(each["frames"]) for each in told) == [0, 1]


def test_spending_is_for_supervisors() -> None:
    assert [browser(make_user(role)).get("/api/spending").status_code for role in list(Role)[1:3]] == [403, 200]


@pytest.mark.parametrize("path", [f"/api/{name}" for name in (*LISTS, "statistics")])
def test_token_needs_the_scope_read(path: str) -> None:
    user = make_user(Role.SUPERVISOR)
    tokens = [program(user, *scopes) for scopes in ((Scope.LIVE, Scope.OPERATE), (Scope.READ,))]
    assert [client.get(path).status_code for client in (*tokens, browser(None))] == [403, 200, 401]


def test_every_answer_is_as_the_document_says() -> None:
    """Each endpoint that looks is asked, and its answer read by the very type that the document is made of."""
    camera = make_camera()
    fill(camera)
    numbers = {"camera_id": camera.pk, "frame_id": FrameResult.objects.get().pk}
    numbers |= {"assessment_id": Assessment.objects.get().pk, "alert_id": Alert.objects.get().pk}
    client = browser(User.objects.create(username="all", is_superuser=True))
    asked = 0
    for path, view in endpoints():
        operation = operation_of(view)
        assert operation
        if operation.method == "GET" and path != "/api/keys":
            data = client.get(_filled(path, numbers)).json()["data"]
            told = list[operation.tells.__args__[0]] if hasattr(operation.tells, "__args__") else operation.tells  # type: ignore[name-defined]
            TypeAdapter(told).validate_json(json.dumps(data))
            asked += 1
    assert asked == 15


def _filled(path: str, numbers: dict[str, int]) -> str:
    for name, number in numbers.items():
        path = path.replace(f"<int:{name}>", str(number))
    return path


def test_snapshot_of_the_document_is_fresh() -> None:
    call_command("openapi", check=True)


def test_stale_snapshot_is_said(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trafficmon.api.management.commands.openapi.SNAPSHOT", tmp_path / "openapi.json")
    with pytest.raises(CommandError, match="out of date"):
        call_command("openapi", check=True)
    call_command("openapi")
    call_command("openapi", check=True)


def test_document_names_every_thing_it_refers_to() -> None:
    whole = document()
    text = json.dumps(whole)
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(whole["components"]["schemas"])
    assert "secret" in whole["components"]["schemas"]["KeyAnswer"]["properties"]
    assert whole["paths"]["/api/alerts/{alert_id}/acknowledge"]["post"]["description"] == (
        "Role operator; of a token the scope operate."
    )


def test_document_says_levels_that_may_be_filtered_by() -> None:
    levels = document()["components"]["schemas"]["RiskLevel"]["enum"]
    assert levels == [level.value for level in RiskLevel]
    assert Paged([]).next_cursor is None
