"""The pages and the JSON behind them: who sees what, in how many queries, and how refusals look."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from assessment.ledger import day_of
from assessment.models import Alert, AlertKind, AlertState, Assessment, FrameResult, PoolPolicy, Spending
from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from assessment.service_level import LADDER_KEY
from cameras.models import Camera, CameraGroup
from tests.factories import NOON, make_camera, record
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def make_user(role: Role = Role.OPERATOR, **fields: object) -> User:
    return User.objects.create(username=f"desk {role}", role=role, **fields)


def browser(user: User | None, *, checks_csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=checks_csrf)
    if user:
        client.force_login(user)
    return client


def camera_of(user: User, **fields: object) -> Camera:
    group, _created = CameraGroup.objects.get_or_create(name=f"Group of {user}")
    group.viewers.add(user)
    return make_camera(group=group, **fields)


def raise_alert(camera: Camera, *, level: RiskLevel = RiskLevel.HIGH, after_seconds: float = 0, **fields: Any) -> Alert:
    at = NOON + timedelta(seconds=after_seconds)
    row = record(camera, captured_at=at)
    row.assessments.update(
        status=AssessmentStatus.DONE,
        risk_level=level,
        risk_type=RiskType.RED_LIGHT,
        description="It passed at red.",
        raw_text="<script>alert(1)</script>",
    )
    return Alert.objects.create(
        camera=camera,
        assessment=Assessment.objects.get(frame_result=row),
        risk_type=RiskType.RED_LIGHT,
        risk_level=level,
        description="It passed at red.",
        place=[100.0, 200.0, 190.0, 230.0],
        risk_types=["red light"],
        **{"opened_at": at, "last_seen_at": at, **fields},
    )


@pytest.mark.parametrize("path", ["/", "/alerts/", "/alerts/1/", "/groups/", "/evidence/1/", "/frames/x/"])
def test_anonymous_is_sent_to_sign_in_and_back(path: str) -> None:
    answer = browser(None).get(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={path}")


def test_sign_in_with_user_name_and_password() -> None:
    User.objects.create_user("op", password="a long password")
    answer = browser(None).post("/login/", {"username": "op", "password": "a long password"})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_wrong_password_is_said_without_saying_which_was_wrong() -> None:
    User.objects.create_user("op", password="a long password")
    answers = [browser(None).post("/login/", {"username": name, "password": "wrong"}) for name in ("op", "nobody")]
    expected = "User name and password do not match, or the account is disabled."
    assert [expected in answer.content.decode() for answer in answers] == [True, True]


def test_signing_out_needs_a_post() -> None:
    client = browser(make_user())
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_wall_lists_the_visible_cameras_only() -> None:
    user = make_user()
    camera_of(user, name="Mine")
    make_camera(name="Hidden")
    page = browser(user).get("/").content.decode()
    assert ("Mine" in page, "Hidden" in page) == (True, False)


@pytest.mark.parametrize("cameras", [1, 3])
def test_wall_takes_four_queries(cameras: int, django_assert_num_queries: Any) -> None:
    user = make_user()
    for _ in range(cameras):
        camera_of(user)
    client = browser(user)
    with django_assert_num_queries(4):
        client.get("/")


@pytest.mark.parametrize("alerts", [1, 3])
def test_alert_list_takes_nine_queries(alerts: int, django_assert_num_queries: Any) -> None:
    user = make_user()
    for number in range(alerts):
        raise_alert(camera_of(user), after_seconds=number)
    client = browser(user)
    with django_assert_num_queries(9):
        client.get("/alerts/")


def test_alert_page_takes_eight_queries(django_assert_num_queries: Any) -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    client = browser(user)
    with django_assert_num_queries(8):
        client.get(f"/alerts/{alert.pk}/")


def test_alert_page_tells_what_became_of_the_other_groups() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    assert alert.assessment
    FrameResult.objects.update(skipped_groups=[[2, "low_prior", 0.05, "near_vehicle"]])
    said = browser(user).get(f"/alerts/{alert.pk}/").content.decode()
    assert "1 other traffic group" in said
    assert "not asked: it does not look dangerous enough" in said
    assert "0.05, vehicles are close to each other" in said


def lose(camera: Camera, **fields: Any) -> Alert:
    return Alert.objects.create(
        kind=AlertKind.CAMERA_LOST,
        camera=camera,
        risk_type=RiskType.OTHER,
        risk_level=RiskLevel.LOW,
        description="The camera broke the connection.",
        **{"opened_at": NOON, "last_seen_at": NOON, **fields},
    )


def test_page_of_a_lost_camera_says_how_long_it_was_gone(django_assert_num_queries: Any) -> None:
    user = make_user()
    alert = lose(camera_of(user, name="Bridge"), state=AlertState.CLOSED, closed_at=NOON + timedelta(seconds=185))
    client = browser(user)
    with django_assert_num_queries(6):
        said = client.get(f"/alerts/{alert.pk}/").content.decode()
    assert all(words in said for words in ("Bridge", "The camera broke the connection.", "3 min 5 s"))
    assert "Acknowledge" not in said


@pytest.mark.parametrize(("kind", "found"), [("", 2), ("danger", 1), ("camera_lost", 1), ("nonsense", 0)])
def test_alert_list_is_narrowed_to_a_kind(kind: str, found: int) -> None:
    user = make_user()
    camera = camera_of(user)
    raise_alert(camera)
    lose(camera)
    assert len(browser(user).get(f"/alerts/?kind={kind}").context["rows"].alerts) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["medium", "high"]),
        ("?level=high", ["high"]),
        ("?state=closed", ["medium"]),
        ("?level=high&state=closed", []),
        ("?camera=999999", []),
        ("?level=nonsense", []),
    ],
)
def test_alert_list_is_narrowed_by_its_url(query: str, found: list[str]) -> None:
    user = make_user()
    camera = camera_of(user)
    raise_alert(camera)
    raise_alert(camera, level=RiskLevel.MEDIUM, after_seconds=9, state=AlertState.CLOSED, closed_at=NOON)
    answer = browser(user).get(f"/alerts/{query}")
    assert [alert.risk_level for alert in answer.context["rows"].alerts] == found


def test_alert_list_offers_only_visible_cameras_as_filters() -> None:
    user = make_user()
    own = camera_of(user, name="Mine")
    make_camera(name="Hidden")
    offered = browser(user).get("/alerts/").context["filter"].fields["camera"].choices
    assert [value for value, _name in offered] == ["", own.pk]


def test_empty_lists_say_what_to_do() -> None:
    client = browser(make_user())
    assert "Alerts appear when the model judges" in client.get("/alerts/").content.decode()
    assert "Nothing matches these filters." in client.get("/alerts/?level=high").content.decode()
    assert "Ask an administrator to add you to one." in client.get("/").content.decode()


def test_administrator_without_cameras_is_shown_where_to_add_one() -> None:
    user = make_user(Role.ADMINISTRATOR, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="add_camera"))
    page = browser(user).get("/").content.decode()
    assert f'href="{reverse("admin:cameras_camera_add")}"' in page


@pytest.mark.parametrize(
    ("kinds", "thumbnail"),
    [(["frame", "crop"], "crop"), (["crop", "frame"], "crop"), (["frame"], "frame")],
)
def test_thumbnail_is_the_traffic_group_where_there_is_one(kinds: list[str], thumbnail: str) -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    assert alert.assessment
    kept = {kind: alert.assessment.evidence.create(kind=kind, picture=f"{kind}.jpg", sha256="0") for kind in kinds}
    page = browser(user).get("/alerts/").content.decode()
    assert re.findall(r"/evidence/(\d+)/", page) == [str(kept[thumbnail].pk)]


def test_words_of_the_model_are_shown_as_text() -> None:
    user = make_user()
    page = browser(user).get(f"/alerts/{raise_alert(camera_of(user)).pk}/").content.decode()
    assert ("<script>alert" in page, "&lt;script&gt;alert" in page) == (False, True)


def test_alert_of_a_hidden_camera_does_not_exist() -> None:
    alert = raise_alert(make_camera())
    client = browser(make_user())
    answers = [
        client.get(f"/alerts/{alert.pk}/"),
        client.post(f"/alerts/{alert.pk}/acknowledge/"),
        client.post(f"/api/alerts/{alert.pk}/acknowledge"),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Alert.objects.get().state == AlertState.OPEN


def test_operator_acknowledges_and_returns_to_the_list() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    answer = browser(user).post(f"/alerts/{alert.pk}/acknowledge/", {"next": "/alerts/?level=high"})
    alert.refresh_from_db()
    assert (answer["Location"], alert.state, alert.acknowledged_by) == (
        "/alerts/?level=high",
        AlertState.ACKNOWLEDGED,
        user,
    )


def test_acknowledging_never_leads_to_another_site() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    answer = browser(user).post(f"/alerts/{alert.pk}/acknowledge/", {"next": "https://evil.example/"})
    assert answer["Location"] == f"/alerts/{alert.pk}/"


def test_viewer_may_not_acknowledge() -> None:
    user = make_user(Role.VIEWER)
    alert = raise_alert(camera_of(user))
    client = browser(user)
    by_page = client.post(f"/alerts/{alert.pk}/acknowledge/")
    by_api = client.post(f"/api/alerts/{alert.pk}/acknowledge")
    assert (by_page.status_code, by_api.status_code) == (403, 403)
    assert by_api.json() == {
        "code": 403,
        "msg": "This needs the operator role. Ask an administrator.",
        "data": None,
    }
    assert "Acknowledge" not in client.get("/alerts/").content.decode()


@pytest.mark.parametrize("path", ["/login/", "/", "/alerts/", "/groups/", "/nowhere/", "/admin/login/"])
def test_pages_allow_no_foreign_or_inline_content(path: str) -> None:
    policy = browser(make_user()).get(path)["Content-Security-Policy"]
    directives = {name: rest for name, _space, rest in (each.strip().partition(" ") for each in policy.split(";"))}
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }


def test_simulated_answers_are_said_on_every_page(settings: Any) -> None:
    settings.LLM_IS_SIMULATED = True
    client = browser(make_user())
    assert ["Simulated answers." in client.get(path).content.decode() for path in ("/", "/alerts/")] == [True, True]
    settings.LLM_IS_SIMULATED = False
    assert "Simulated answers." not in client.get("/").content.decode()


def test_api_lists_visible_cameras() -> None:
    user = make_user()
    camera = camera_of(user, name="Mine", state="offline", state_since=NOON, last_error="No route.")
    make_camera()
    assert browser(user).get("/api/cameras").json() == {
        "code": 200,
        "msg": "OK",
        "data": [
            {
                "cameraId": camera.pk,
                "name": "Mine",
                "group": f"Group of {user}",
                "wanted": "stopped",
                "state": "offline",
                "since": "2026-05-04T12:00:00.000Z",
                "lastFrameAt": None,
                "lastError": "No route.",
            }
        ],
    }


@pytest.mark.parametrize("alerts", [1, 3])
def test_api_alert_list_takes_three_queries(alerts: int, django_assert_num_queries: Any) -> None:
    user = make_user()
    for number in range(alerts):
        raise_alert(camera_of(user), after_seconds=number)
    client = browser(user)
    with django_assert_num_queries(3):
        listed = client.get("/api/alerts").json()["data"]
    assert len(listed) == alerts


def test_api_acknowledges_once_and_says_by_whom() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    client = browser(user)
    said = [client.post(f"/api/alerts/{alert.pk}/acknowledge").json()["data"] for _ in range(2)]
    assert [(each["state"], each["acknowledgedBy"]) for each in said] == [("acknowledged", "desk operator")] * 2
    assert said[0]["acknowledgedAt"] == said[1]["acknowledgedAt"]


UNKNOWN = {"sampled": 0, "missed": 0, "missRate": None, "missRateInterval": [0.0, 1.0]}
NOTHING_SAMPLED = {"low_prior": UNKNOWN, "duplicate_of_recent": UNKNOWN}


def test_api_says_how_well_questions_are_answered(redis_client: redis.Redis, django_assert_num_queries: Any) -> None:
    now = utc_now()
    waiting, done, missed = (record(make_camera(), captured_at=now - timedelta(seconds=30)) for _ in range(3))
    waiting.assessments.update(urgent=True)
    done.assessments.update(status=AssessmentStatus.DONE, risk_level=RiskLevel.NONE, ended_at=now)
    missed.assessments.update(status=AssessmentStatus.EXPIRED, ended_at=now)
    Spending.objects.create(day=day_of(now), account="a", key="k", prompt_version="p", model="m", cost=Decimal("0.5"))
    PoolPolicy.objects.create(pk=1, daily_budget=Decimal(2))
    redis_client.set(LADDER_KEY, json.dumps({"level": "urgent_only", "reason": "too_late", "since": NOON.isoformat()}))
    client = browser(make_user(Role.VIEWER))
    with django_assert_num_queries(10):
        said = client.get("/api/assessment/load").json()
    assert 30 <= said["data"].pop("oldestSeconds") < 40
    assert said == {
        "code": 200,
        "msg": "OK",
        "data": {
            "ladder": {"level": "urgent_only", "reason": "too_late", "since": "2026-05-04T12:00:00.000Z"},
            "waiting": {"urgent": 1, "others": 0},
            "inFlight": 0,
            "endedLastMinute": {"inTime": 1, "missed": 1},
            "inTimeShare": 0.5,
            "spentToday": 0.5,
            "dailyBudget": 2.0,
            "budgetShare": 0.25,
            "gate": NOTHING_SAMPLED,
        },
    }


def test_api_says_of_an_idle_service_that_nothing_ended() -> None:
    said = browser(make_user()).get("/api/assessment/load").json()["data"]
    assert said == {
        "ladder": {"level": "all", "reason": ""},
        "waiting": {"urgent": 0, "others": 0},
        "inFlight": 0,
        "oldestSeconds": 0.0,
        "endedLastMinute": {"inTime": 0, "missed": 0},
        "inTimeShare": None,
        "spentToday": 0.0,
        "dailyBudget": None,
        "budgetShare": 0.0,
        "gate": NOTHING_SAMPLED,
    }


@pytest.mark.parametrize(
    ("path", "method", "user", "code"),
    [
        ("/api/cameras", "get", None, 401),
        ("/api/assessment/load", "get", None, 401),
        ("/api/assessment/load", "post", Role.OPERATOR, 405),
        ("/api/alerts/1/acknowledge", "post", None, 401),
        ("/api/lines", "post", Role.OPERATOR, 405),
        ("/api/cameras", "post", Role.OPERATOR, 403),
        ("/api/cameras", "put", Role.OPERATOR, 405),
        ("/api/alerts/1/acknowledge", "get", Role.OPERATOR, 405),
        ("/api/nowhere", "get", Role.OPERATOR, 404),
        ("/api/alerts/x/acknowledge", "post", Role.OPERATOR, 404),
    ],
)
def test_api_refuses_in_the_envelope(path: str, method: str, user: Role | None, code: int) -> None:
    answer = getattr(browser(make_user(user) if user else None), method)(path)
    said = json.loads(answer.content)
    assert (answer.status_code, said["code"], said["data"], bool(said["msg"])) == (code, code, None, True)


def test_api_refuses_a_forged_request_in_the_envelope() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    answer = browser(user, checks_csrf=True).post(f"/api/alerts/{alert.pk}/acknowledge")
    assert (answer.status_code, answer.json()["code"]) == (403, 403)


@pytest.mark.parametrize("path", ["/api/cameras", "/"])
def test_failure_of_the_service_is_said_without_a_traceback(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("secret detail")

    client = browser(make_user())
    client.raise_request_exception = False
    monkeypatch.setattr(Camera.objects, "visible_to", fail, raising=False)
    answer = client.get(path)
    assert (answer.status_code, "secret detail" in answer.content.decode()) == (500, False)
    assert "It has been logged" in answer.content.decode()
