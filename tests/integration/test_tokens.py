"""API tokens: what one opens on each way in, and what it does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.test import Client

from assessment.models import Alert, Assessment, Evidence, EvidenceKind
from cameras.frames import FrameStore, connect_redis
from tests.factories import make_camera, make_token, record
from tests.integration.test_pages import browser, camera_of, make_user, raise_alert
from trafficmon.accounts.models import ApiToken, AuditEntry, User
from trafficmon.accounts.roles import Role, Scope
from trafficmon.accounts.tokens import digest_of
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
JPEG = b"\xff\xd8picture"


@pytest.fixture(autouse=True)
def own_media(redis_client: redis.Redis, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def program(user: User, *scopes: Scope, **fields: Any) -> Client:
    """A program that shows a token; like a browser it is stopped where forgery would be possible."""
    secret = make_token(user, *scopes, **fields)
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})


def keep(camera: Any) -> Evidence:
    evidence = Evidence(assessment=Assessment.objects.get(frame_result=record(camera)), kind=EvidenceKind.CROP)
    evidence.picture.save("crop.jpg", ContentFile(JPEG))
    return evidence


def test_token_sees_what_its_owner_sees() -> None:
    user = make_user()
    mine, hidden = camera_of(user), make_camera()
    raise_alert(mine)
    raise_alert(hidden)
    client = program(user, Scope.READ)
    assert [each["cameraId"] for each in client.get("/api/cameras").json()["data"]] == [mine.pk]
    assert [each["cameraId"] for each in client.get("/api/alerts").json()["data"]] == [mine.pk]


def test_token_gets_pictures_of_its_owners_cameras_only() -> None:
    user = make_user()
    rows = [record(camera_of(user)), record(make_camera())]
    for row in rows:
        FrameStore(connect_redis()).put(row.frame_key, JPEG)
    kept = [keep(camera_of(user)), keep(make_camera())]
    client = program(user, Scope.READ)
    answers = [client.get(f"/frames/{row.frame_key}/") for row in rows]
    answers += [client.get(f"/evidence/{each.pk}/") for each in kept]
    assert [each.status_code for each in answers] == [200, 404, 200, 404]
    assert answers[0]["Vary"] == "Authorization, Cookie, Accept-Language, origin"


def test_token_without_the_scope_gets_no_pictures() -> None:
    user = make_user()
    evidence = keep(camera_of(user))
    assert program(user, Scope.LIVE).get(f"/evidence/{evidence.pk}/").status_code == 403
    bad = Client(headers={"Authorization": "Bearer tm_invented"}).get(f"/evidence/{evidence.pk}/")
    assert (bad.status_code, bad["WWW-Authenticate"]) == (401, "Bearer")


def test_token_changes_something_without_a_form_token_and_is_named_in_the_log() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    answer = program(user, Scope.OPERATE, name="video wall").post(f"/api/alerts/{alert.pk}/acknowledge")
    assert answer.json()["data"]["acknowledgedBy"] == user.username
    entry = AuditEntry.objects.get(action="alert.acknowledge")
    assert (entry.actor_id, entry.actor_name, entry.object_id) == (user.pk, user.username, str(alert.pk))
    assert entry.token.startswith("video wall (tm_")
    assert entry.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("role", "scopes", "path", "says"),
    [
        (Role.OPERATOR, [Scope.READ], "/api/alerts/{}/acknowledge", "This API token lacks the scope operate."),
        (Role.VIEWER, list(Scope), "/api/alerts/{}/acknowledge", "This needs the operator role. Ask an administrator."),
        (Role.SUPERVISOR, [Scope.OPERATE], "/api/dead-letters/drop", "This API token lacks the scope supervise."),
        (Role.ADMINISTRATOR, [Scope.READ], "/api/keys/a/disable", "This API token lacks the scope administer."),
    ],
)
def test_token_may_no_more_than_role_and_scopes_allow(role: Role, scopes: list[Scope], path: str, says: str) -> None:
    user = make_user(role)
    alert = raise_alert(camera_of(user))
    answer = program(user, *scopes).post(path.format(alert.pk))
    assert (answer.status_code, answer.json()["msg"]) == (403, says)
    assert Alert.objects.get().state == "open"


def test_token_that_reads_shows_an_administrator_the_keys() -> None:
    assert program(make_user(Role.ADMINISTRATOR), Scope.READ).get("/api/keys").status_code == 200
    assert program(User.objects.create(username="x"), Scope.READ).get("/api/keys").status_code == 403


def test_alert_of_a_hidden_camera_does_not_exist_for_a_token() -> None:
    alert = raise_alert(make_camera())
    assert program(make_user(), Scope.OPERATE).post(f"/api/alerts/{alert.pk}/acknowledge").status_code == 404


def revoke(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=utc_now())


def expire(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(expires_at=utc_now() - timedelta(seconds=1))


def deactivate(token: ApiToken) -> None:
    User.objects.filter(pk=token.owner_id).update(is_active=False)


@pytest.mark.parametrize("end", [revoke, expire, deactivate])
def test_token_that_has_ended_opens_nothing(end: Any) -> None:
    client = program(make_user(), Scope.READ)
    assert client.get("/api/cameras").status_code == 200
    end(ApiToken.objects.get())
    answer = client.get("/api/cameras")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["msg"] == "This API token is unknown, revoked or expired. Ask an administrator."


def test_bad_token_is_not_made_good_by_a_session() -> None:
    client = browser(make_user())
    assert client.get("/api/cameras", headers={"Authorization": "Bearer tm_invented"}).status_code == 401
    assert client.get("/api/cameras", headers={"Authorization": "Basic eDp5"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/alerts/", "/admin/"])
def test_token_opens_no_page(path: str) -> None:
    answer = program(make_user(Role.ADMINISTRATOR), *Scope).get(path)
    assert (answer.status_code, "login/?next=" in answer["Location"]) == (302, True)


def test_token_takes_one_query_and_notes_its_use_once_a_minute(django_assert_num_queries: Any) -> None:
    client = program(make_user(), Scope.READ)
    with django_assert_num_queries(3):
        client.get("/api/cameras")
    used = ApiToken.objects.get().used_at
    assert used is not None
    with django_assert_num_queries(2):
        client.get("/api/cameras")
    assert ApiToken.objects.get().used_at == used


FRONT = "https://front.example"


@pytest.fixture
def allowed_front(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [FRONT]


@pytest.mark.usefixtures("allowed_front")
@pytest.mark.parametrize("path", ["/api/cameras", "/evidence/1/", "/frames/x/"])
def test_page_of_an_allowed_origin_may_read_answers_but_with_no_cookie(path: str) -> None:
    asked = {"Origin": FRONT, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answer = Client().options(path, headers=asked)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, FRONT)
    assert "authorization" in answer["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer
    read = program(make_user(), Scope.READ).get("/api/cameras", headers={"Origin": FRONT})
    assert (read.status_code, read["Access-Control-Allow-Origin"]) == (200, FRONT)


@pytest.mark.usefixtures("allowed_front")
@pytest.mark.parametrize(("path", "origin"), [("/api/cameras", "https://evil.example"), ("/alerts/", FRONT)])
def test_other_origins_and_pages_are_not_opened(path: str, origin: str) -> None:
    answer = browser(make_user()).get(path, headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer


ADD = "/admin/accounts/apitoken/add/"


def test_token_is_shown_once_and_kept_as_a_digest() -> None:
    chief = make_user(Role.ADMINISTRATOR)
    owner = User.objects.create(username="front end")
    client = browser(chief)
    form = {"owner": owner.pk, "name": "front", "scopes": ["read", "live"], "expires_at_0": "", "expires_at_1": ""}
    answer = client.post(ADD, form)
    secret = answer.context["secret"]
    token = ApiToken.objects.get()
    assert (answer.status_code, secret in answer.content.decode()) == (200, True)
    assert "no-store" in answer["Cache-Control"]
    assert (token.owner, token.scopes, token.digest) == (owner, ["read", "live"], digest_of(secret))
    later = [client.get("/admin/accounts/apitoken/"), client.get(f"/admin/accounts/apitoken/{token.pk}/change/")]
    assert [secret in each.content.decode() for each in later] == [False, False]
    entry = AuditEntry.objects.get(action="apitoken.add")
    assert (entry.actor_name, entry.detail["owner"], entry.detail["scopes"]) == (
        chief.username,
        "front end",
        ["read", "live"],
    )
    assert secret not in str(entry.detail)


def test_revoked_in_the_admin_it_opens_nothing() -> None:
    user = make_user(Role.ADMINISTRATOR)
    client = program(user, Scope.READ)
    token = ApiToken.objects.get()
    browser(user).post("/admin/accounts/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})
    assert client.get("/api/cameras").status_code == 401
    assert AuditEntry.objects.get(action="apitoken.revoke").detail == {"numbers": [token.pk]}


def test_who_is_no_administrator_makes_tokens_for_nobody_else() -> None:
    chief = User.objects.create(username="chief", role=Role.ADMINISTRATOR)
    clerk = User.objects.create(username="clerk", is_staff=True)
    clerk.user_permissions.add(*Permission.objects.filter(codename__in=["add_apitoken", "view_apitoken"]))
    browser(clerk).post(ADD, {"owner": chief.pk, "name": "grab", "scopes": ["administer"]})
    assert not ApiToken.objects.exists()
    browser(clerk).post(ADD, {"owner": clerk.pk, "name": "own", "scopes": ["read"]})
    assert ApiToken.objects.get().owner == clerk
