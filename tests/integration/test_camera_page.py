"""The page of one camera: who sees and changes what, in how many queries, and what the editor's endpoint answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import cv2
import numpy as np
import pytest
import redis
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from assessment.ledger import day_of
from assessment.models import Assessment, Evidence, EvidenceKind, Spending
from assessment.risk import AssessmentStatus
from cameras.drawings import read_drawing
from cameras.frames import FrameStore
from cameras.load import note_skipped
from cameras.models import Camera, StateChange, StreamState, Zone
from tests.factories import make_camera, make_token, record
from tests.integration.test_drawings import SQUARE, zone
from tests.integration.test_pages import browser, camera_of, make_user, raise_alert
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role, Scope
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.figures import Spread, spread_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def chief() -> User:
    return make_user(Role.ADMINISTRATOR)


def judged(camera: Camera, *, seconds_ago: float, answered_after: float = 2.0, **fields: Any) -> Assessment:
    at = utc_now() - timedelta(seconds=seconds_ago)
    row = record(camera, captured_at=at)
    outcome = {"status": AssessmentStatus.DONE, "risk_level": "low", "description": "A car is close.", **fields}
    row.assessments.update(llm_seconds=1.5, ended_at=at + timedelta(seconds=answered_after), **outcome)
    return Assessment.objects.get(frame_result=row)


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def audited() -> list[tuple[str, dict[str, Any]]]:
    return [(each.action, each.detail) for each in AuditEntry.objects.filter(action__startswith="camera.")]


PATHS = ["", "activity/", "snapshot/"]


@pytest.mark.parametrize("path", PATHS)
def test_anonymous_is_sent_to_sign_in(path: str) -> None:
    address = f"/cameras/{make_camera().pk}/{path}"
    answer = browser(None).get(address)
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={address}")


@pytest.mark.parametrize("path", PATHS)
def test_camera_that_one_may_not_see_does_not_exist(path: str) -> None:
    hidden = make_camera()
    assert browser(make_user(Role.OPERATOR)).get(f"/cameras/{hidden.pk}/{path}").status_code == 404


def test_viewer_watches_without_the_means_to_change() -> None:
    viewer = make_user(Role.VIEWER)
    page = text_of(browser(viewer), f"/cameras/{camera_of(viewer).pk}/")
    assert 'data-may-draw="no"' in page
    assert 'data-do="save"' not in page
    assert page.count("disabled") == 2


def test_supervisor_may_switch_and_administrator_draw() -> None:
    camera = make_camera()
    supervisors = text_of(browser(make_user(Role.SUPERVISOR)), f"/cameras/{camera.pk}/")
    assert ('data-may-draw="no"' in supervisors, 'id="switch-detection" role="switch"' in supervisors) == (True, True)
    administrators = text_of(browser(chief()), f"/cameras/{camera.pk}/")
    assert ('data-may-draw="yes"' in administrators, "/admin/cameras/camera/" in administrators) == (True, True)


def test_page_shows_figures_verdicts_and_history(redis_client: redis.Redis) -> None:
    camera = make_camera()
    for seconds in (10, 20, 30):
        judged(camera, seconds_ago=seconds)
    failed = judged(camera, seconds_ago=40)
    Assessment.objects.filter(pk=failed.pk).update(status=AssessmentStatus.FAILED, risk_level="", reason="No key.")
    note_skipped(redis_client, camera.pk, "stale")
    spent = {"account": "a", "key": "k", "prompt_version": "p", "model": "m", "calls": 4, "input_tokens": 900}
    Spending.objects.create(day=day_of(utc_now()), camera=camera, cost=Decimal("0.0123"), **spent)
    StateChange.objects.create(camera=camera, at=utc_now(), state=StreamState.OFFLINE, error="rtsp://me:pw@x refused")
    page = text_of(browser(chief()), f"/cameras/{camera.pk}/activity/")
    for told in ("0.8", "1.50 s", "2.00 s", "assessed 3", "failed 1", "too old when its turn came 1", "0.0123"):
        assert told in page
    assert "4 calls, 900 tokens" in page
    assert "Not judged; this does not mean safe. No key." in page
    assert page.count("A car is close.") == 3
    assert ("refused" in page, "pw@" in page) == (True, False)


def test_page_shows_alerts_with_their_pictures(settings: Settings, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    camera = make_camera()
    alert = raise_alert(camera)
    kept = Evidence(assessment=alert.assessment, kind=EvidenceKind.CROP, sha256="0" * 64)
    kept.picture.save("crop.jpg", ContentFile(b"jpeg"))
    page = text_of(browser(chief()), f"/cameras/{camera.pk}/")
    assert f'src="/evidence/{kept.pk}/"' in page
    assert f'href="/alerts/{alert.pk}/"' in page


@pytest.mark.parametrize("count", [1, 3])
def test_page_takes_the_same_queries_for_any_number_of_rows(
    count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    camera = make_camera()
    for number in range(count):
        judged(camera, seconds_ago=number + 1)
        raise_alert(camera, after_seconds=60 * number)
        Zone.objects.create(camera=camera, name=str(number), kind="ignore", polygon=SQUARE)
        StateChange.objects.create(camera=camera, at=utc_now(), state=StreamState.ONLINE)
    client = browser(chief())
    client.get(f"/cameras/{camera.pk}/")
    # Session, user, camera; zones, lines; 4 of figures; 3 of verdicts; 2 of alerts; history.
    with django_assert_num_queries(15):
        client.get(f"/cameras/{camera.pk}/")


def test_spread_of_times() -> None:
    assert spread_of([]) is None
    assert spread_of([2.0]) == Spread(2.0, 2.0)
    assert spread_of(range(100, 0, -1)) == Spread(50, 95)


def flip(user: User, camera: Camera, **data: str) -> tuple[int, bool]:
    status = browser(user).post(f"/cameras/{camera.pk}/switch/", data).status_code
    camera.refresh_from_db()
    return status, camera.assessment_enabled


def test_switching_is_for_supervisors_and_is_written_down_once() -> None:
    supervisor, camera = make_user(Role.SUPERVISOR), make_camera()
    off = {"switch": "assessment", "on": "no"}
    assert flip(supervisor, camera, **off) == (302, False)
    assert flip(supervisor, camera, **off) == (302, False)
    assert audited() == [("camera.switch", {"assessment": False})]
    assert flip(supervisor, camera, switch="assessment", on="yes") == (302, True)


def test_switching_is_refused_to_operators_and_of_what_is_no_switch() -> None:
    operator = make_user(Role.OPERATOR)
    assert flip(operator, camera_of(operator), switch="assessment", on="no") == (403, True)
    assert flip(make_user(Role.SUPERVISOR), make_camera(), switch="source", on="no") == (404, True)
    assert audited() == []


def test_script_that_switches_gets_no_page_and_leaves_no_message() -> None:
    client, camera = browser(make_user(Role.SUPERVISOR)), make_camera()
    off = {"switch": "detection", "on": "no"}
    answer = client.post(f"/cameras/{camera.pk}/switch/", off, headers={"X-Requested-With": "fetch"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Detection is off." not in text_of(client, f"/cameras/{camera.pk}/")


def test_snapshot_is_the_newest_live_picture(redis_client: redis.Redis) -> None:
    camera = make_camera()
    older, newer = (record(camera, captured_at=utc_now() - timedelta(seconds=each)) for each in (9, 3))
    FrameStore(redis_client).put(older.frame_key, b"older")
    address = f"/cameras/{camera.pk}/snapshot/"
    client = browser(chief())
    assert client.get(address).content == b"older"
    FrameStore(redis_client).put(newer.frame_key, b"newer")
    answer = client.get(address)
    assert (answer.content, answer["Content-Type"], answer["Cache-Control"]) == (b"newer", "image/jpeg", "no-store")


def test_snapshot_without_a_live_picture_is_evidence_or_nothing(settings: Settings, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    camera = make_camera()
    client, address = browser(chief()), f"/cameras/{camera.pk}/snapshot/"
    assert client.get(address).status_code == 204
    kept = Evidence(assessment=raise_alert(camera).assessment, kind=EvidenceKind.FRAME, sha256="0" * 64)
    jpeg = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    kept.picture.save("frame.jpg", ContentFile(jpeg))
    assert client.get(address).content == jpeg
    kept.picture.storage.delete(str(kept.picture.name))
    assert client.get(address).status_code == 204


Put = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def camera() -> Camera:
    camera = make_camera()
    Zone.objects.create(camera=camera, name="north", kind="ignore", polygon=SQUARE)
    return camera


@pytest.fixture
def put(camera: Camera) -> Put:
    def send(user: User | None, zones: object, *, version: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        wish = {"version": version or read_drawing(camera).version, "drawing": {"zones": zones}}
        answer = browser(user).put(f"/cameras/{camera.pk}/drawing/", json.dumps(wish), headers=headers)
        return answer.status_code, answer.json()

    return send


def names() -> list[str]:
    return [each.name for each in Zone.objects.all()]


def test_drawing_is_saved_answered_and_written_down(put: Put, camera: Camera) -> None:
    status, said = put(chief(), [zone()])
    [saved] = Zone.objects.all()
    assert status == 200
    assert said["version"] == read_drawing(camera).version
    assert [(each["id"], each["name"]) for each in said["drawing"]["zones"]] == [(saved.pk, "new")]
    assert audited() == [("camera.draw", {"added": ["new"], "changed": [], "deleted": ["north"]})]


def test_drawing_that_changes_nothing_is_not_written_down(put: Put, camera: Camera) -> None:
    assert put(chief(), read_drawing(camera).model_dump(mode="json", by_alias=True)["zones"])[0] == 200
    assert audited() == []


def test_drawing_with_mistakes_is_refused_in_words(put: Put) -> None:
    status, said = put(chief(), [zone(), zone(name="river", kind="river")])
    assert (status, said["message"]) == (422, "Nothing is saved yet: please mend what is marked.")
    wrong = "Value 'river' is not a valid choice."
    assert said["problems"] == [{"part": "zones", "place": 1, "field": "kind", "message": wrong}]
    assert (names(), audited()) == (["north"], [])


def test_drawing_changed_meanwhile_is_refused_with_what_is_there_and_by_whom(put: Put, camera: Camera) -> None:
    old = read_drawing(camera).version
    assert put(chief(), [zone(name="theirs")])[0] == 200
    status, said = put(User.objects.get(), [zone(name="mine")], version=old)
    assert (status, said["message"]) == (409, "desk administrator has changed this drawing since you began.")
    assert ([each["name"] for each in said["drawing"]["zones"]], names()) == (["theirs"], ["theirs"])
    assert put(User.objects.get(), [zone(name="mine")], version=said["version"])[0] == 200
    assert names() == ["mine"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR])
def test_drawing_is_for_administrators(put: Put, camera: Camera, role: Role) -> None:
    user = make_user(role)
    group = camera_of(user).group
    Camera.objects.filter(pk=camera.pk).update(group=group)
    assert put(user, []) == (403, {"message": "Only administrators may change what is drawn."})
    assert names() == ["north"]


def test_drawing_of_a_camera_out_of_sight_is_of_none(put: Put) -> None:
    assert put(make_user(Role.OPERATOR), [])[0] == 404


def test_drawing_without_a_session_is_refused_in_words(put: Put) -> None:
    told = "You are not signed in any more. Sign in in another tab and save again."
    assert put(None, []) == (401, {"message": told})
    token = make_token(chief(), Scope.ADMINISTER)
    assert put(None, [], Authorization=f"Bearer {token}")[0] == 401


@pytest.mark.parametrize("zones", ["none", [{"name": "x"}], [zone(colour="red")], [zone()] * 201])
def test_what_is_no_drawing_is_refused_with_its_place(put: Put, zones: object) -> None:
    status, said = put(chief(), zones)
    assert (status, said["message"][:29]) == (400, "This is no drawing: drawing.z")


def test_drawing_needs_the_token_against_forgery(camera: Camera) -> None:
    client = browser(chief(), checks_csrf=True)
    assert client.put(f"/cameras/{camera.pk}/drawing/", "{}").status_code == 403
