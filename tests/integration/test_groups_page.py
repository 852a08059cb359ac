"""The page of the groups that raised no alert: not asked about, without an answer, judged harmless."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from assessment.models import Assessment, DeadLetter, FrameResult
from assessment.risk import AssessmentStatus, RiskLevel
from cameras.models import Camera
from tests.factories import NOON, make_camera, record
from tests.integration.test_pages import browser, camera_of, make_user
from trafficmon.accounts.roles import Role
from trafficmon.dashboard.alert_filter import Place
from trafficmon.dashboard.groups import KINDS, behind

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
SKIPPED = [[1, "low_prior", 0.05, "near_vehicle"], [2, "cooldown", None, ""]]


@pytest.fixture
def desk() -> Client:
    return browser(make_user(Role.SUPERVISOR))


def ended(camera: Camera, *, after_seconds: float = 0, **fields: Any) -> Assessment:
    row = record(camera, captured_at=NOON + timedelta(seconds=after_seconds))
    row.assessments.update(**fields)
    return Assessment.objects.get(frame_result=row)


def rejected(camera: Camera, level: str = "none", **fields: Any) -> Assessment:
    told: dict[str, Any] = {
        "risk_type": "other",
        "description": "They keep their distance.",
        "llm_model": "qwen-vl-plus",
    }
    return ended(camera, status=AssessmentStatus.DONE, risk_level=level, **told, **fields)


def left_out(camera: Camera, *, after_seconds: float = 0) -> FrameResult:
    row = record(camera, groups=2, captured_at=NOON + timedelta(seconds=after_seconds))
    row.assessments.all().delete()
    FrameResult.objects.filter(pk=row.pk).update(skipped_groups=SKIPPED, status="skipped", reason="x")
    return row


def add_one_of_each(camera: Camera, after_seconds: float = 0) -> None:
    ended(camera, status=AssessmentStatus.FAILED, reason="timeout", after_seconds=after_seconds)
    rejected(camera, after_seconds=after_seconds)
    left_out(camera, after_seconds=after_seconds)


def test_each_part_shows_its_own_with_the_reason_in_words(desk: Client) -> None:
    camera = make_camera(name="Bridge")
    failed = ended(camera, status=AssessmentStatus.FAILED, reason="timeout")
    ended(camera, status=AssessmentStatus.EXPIRED, reason="deadline passed", after_seconds=1)
    DeadLetter.objects.create(assessment=failed, reason="timeout", attempts=3, died_at=NOON)
    rejected(camera, after_seconds=2)
    rejected(camera, RiskLevel.HIGH, after_seconds=3)
    left_out(camera, after_seconds=4)
    ended(camera, after_seconds=5)
    unanswered, harmless, skipped = (desk.get(f"/groups/?kind={kind}").content.decode() for kind in KINDS)
    assert [page.count('<li class="row group"') for page in (unanswered, harmless, skipped)] == [2, 1, 1]
    assert "failed: the model took too long" in unanswered
    assert "expired: no answer came before its deadline" in unanswered
    assert re.search(r"dead letter:\s+waiting", unanswered)
    assert "They keep their distance." in harmless
    assert "not asked: it does not look dangerous enough" in skipped
    assert "not asked: the camera&#x27;s cooldown has not passed" in skipped
    assert "Boxes of the road users, without a picture" in skipped


def test_first_part_is_what_has_no_answer_and_unknown_parts_are_empty(desk: Client) -> None:
    add_one_of_each(make_camera())
    assert "the model took too long" in desk.get("/groups/").content.decode()
    assert "None here" in desk.get("/groups/?kind=nonsense").content.decode()
    assert "None here" in desk.get("/groups/?camera=999999").content.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_groups_of_hidden_cameras_are_not_shown(kind: str) -> None:
    user = make_user(Role.VIEWER)
    add_one_of_each(camera_of(user, name="Mine"))
    hidden = make_camera(name="Hidden")
    add_one_of_each(hidden)
    pages = [browser(user).get(f"/groups/?kind={kind}{more}") for more in ("", f"&camera={hidden.pk}")]
    assert [len(page.context["rows"]) for page in pages] == [1, 0]
    assert pages[0].context["rows"][0].camera.name == "Mine"


@pytest.mark.parametrize("kind", KINDS)
def test_kept_picture_is_shown_with_the_boxes(kind: str, desk: Client) -> None:
    add_one_of_each(make_camera())
    for asked in Assessment.objects.all():
        asked.evidence.create(kind="frame", picture="frame.jpg", sha256="0")
        asked.evidence.create(kind="earlier", number=1, picture="earlier.jpg", sha256="0")
    page = desk.get(f"/groups/?kind={kind}").content.decode()
    assert page.count('<img src="/evidence/') == (0 if kind == "left_out" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_pages_hold_every_group_once(kind: str, desk: Client) -> None:
    camera = make_camera()
    for number in range(35):
        add_one_of_each(camera, number // 2)
    first = desk.get(f"/groups/?kind={kind}")
    rest = desk.get(f"/groups/?kind={kind}&before={first.context['next']}&part=rows")
    assert (len(first.context["rows"]), len(rest.context["rows"]), rest.context["next"]) == (30, 5, None)
    assert "<html" not in rest.content.decode()
    frames = [row.frame.frame_key for page in (first, rest) for row in page.context["rows"]]
    assert len(set(frames)) == 35


@pytest.mark.parametrize(("kind", "queries"), [("unanswered", 6), ("rejected", 6), ("left_out", 5)])
@pytest.mark.parametrize("count", [1, 3])
def test_page_takes_a_fixed_number_of_queries(
    kind: str, queries: int, count: int, desk: Client, django_assert_num_queries: Any
) -> None:
    camera = make_camera()
    for number in range(count):
        add_one_of_each(camera, number)
    with django_assert_num_queries(queries):
        desk.get(f"/groups/?kind={kind}")


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        ("unanswered", "unanswered_by_time"),
        ("rejected", "assessment_by_time"),
        ("left_out", "frame_with_skipped_by_time"),
    ],
)
def test_page_is_found_by_an_index(kind: str, index: str) -> None:
    camera = make_camera()
    for number in range(5):
        add_one_of_each(camera, number)
    part = KINDS[kind]
    rows = behind(part.find().order_by(f"-{part.moment}", "-pk"), part.moment, Place(NOON + timedelta(seconds=3), 9))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
    plan = rows[:31].explain()
    assert index in plan or (connection.vendor == "sqlite" and "USING INDEX assessment_by_time" in plan)
