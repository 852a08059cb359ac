"""Keys and dead letters by API: who may, what is shown, what changes, and what is wrong in a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.test import Client

from assessment import keys
from assessment.clients import ModelTimedOut
from assessment.models import Account, ApiKey, Assessment, DeadLetter
from assessment.risk import AssessmentStatus
from cameras.models import CameraGroup
from tests.integration.test_dead_letters import give_up
from tests.integration.test_keys import make_key
from tests.integration.test_pages import browser, make_user
from trafficmon.accounts.roles import Role

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def empty_pool(redis_client: redis.Redis) -> Iterator[None]:
    keys.forget_pool()
    yield
    keys.forget_pool()


@pytest.fixture
def desk() -> Client:
    return browser(make_user(Role.ADMINISTRATOR))


def post(client: Client, path: str, **body: object) -> Any:
    return client.post(path, body, content_type="application/json").json()


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("get", "/api/keys", "administrator"),
        ("post", "/api/keys/a/disable", "administrator"),
        ("post", "/api/accounts/a/enable", "administrator"),
        ("get", "/api/dead-letters", "supervisor"),
        ("post", "/api/dead-letters/send-again", "supervisor"),
        ("post", "/api/dead-letters/drop", "supervisor"),
    ],
)
def test_pool_is_for_those_whose_role_reaches(method: str, path: str, least: str) -> None:
    below = Role.OPERATOR if least == "supervisor" else Role.SUPERVISOR
    refused = [getattr(browser(user), method)(path) for user in (None, make_user(below))]
    assert [answer.status_code for answer in refused] == [401, 403]
    assert refused[1].json()["msg"] == f"This needs the {least} role. Ask an administrator."


def test_keys_are_shown_with_what_they_used_and_never_their_secret(desk: Client) -> None:
    account = Account.objects.create(slug="acct", requests_per_second=5, requests_per_minute=200)
    make_key("one", account=account, secret="sk-very-secret-1234")
    make_key("two", account=account, disabled_reason="revoked", disabled_at="2026-05-04T00:00Z")
    answer = desk.get("/api/keys")
    shown = answer.json()["data"]
    assert shown["model"] == "qwen-vl-plus"
    assert [(each["keyId"], each["state"], each["reason"]) for each in shown["keys"]] == [
        ("one", "AVAILABLE", None),
        ("two", "DISABLED", "revoked"),
    ]
    assert shown["keys"][0] == {
        "keyId": "one",
        "account": "acct",
        "secret": "…1234",
        "state": "AVAILABLE",
        "reason": None,
        "untilSeconds": None,
        "inFlight": 0,
        "lastSecond": {"used": 0, "limit": 5},
        "lastMinute": {"used": 0, "limit": 200},
        "tokensLastMinute": {"used": 0, "limit": None},
        "succeeded": 0,
        "failed": 0,
        "successRate": 1.0,
    }
    assert "very-secret" not in answer.content.decode()


@pytest.mark.parametrize("keys_count", [1, 3])
def test_list_of_keys_takes_the_same_queries_however_many(
    desk: Client, keys_count: int, django_assert_num_queries: Any
) -> None:
    for number in range(keys_count):
        make_key(f"key-{number}")
    with django_assert_num_queries(10):
        assert len(desk.get("/api/keys").json()["data"]["keys"]) == keys_count


@pytest.mark.parametrize("kind", ["keys", "accounts"])
def test_key_and_account_are_taken_out_and_put_back(desk: Client, kind: str) -> None:
    make_key("one", account=Account.objects.create(slug="one"))
    out = [post(desk, f"/api/{kind}/one/disable", reason="leaked")["data"] for _ in range(2)]
    assert [each["changed"] for each in out] == [True, False]
    assert keys.load_pool("qwen-vl-plus").keys == ()
    [kept] = (ApiKey if kind == "keys" else Account).objects.values_list("disabled_reason", flat=True)
    assert kept == "leaked"
    assert post(desk, f"/api/{kind}/one/enable")["data"] == {"id": "one", "enabled": True, "changed": True}
    assert [each.id for each in keys.load_pool("qwen-vl-plus").keys] == ["one"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/api/keys/none/disable", {}, 404),
        ("/api/accounts/none/enable", {}, 404),
        ("/api/keys/one/disable", {"because": "x"}, 400),
        ("/api/dead-letters/drop", {}, 400),
        ("/api/dead-letters/drop", {"ids": []}, 400),
        ("/api/dead-letters/drop", {"ids": ["one"]}, 400),
        ("/api/dead-letters/drop", {"ids": [2**63]}, 400),
        ("/api/dead-letters/drop", {"cameraId": 2**63}, 400),
        ("/api/dead-letters/send-again", {"ids": list(range(1001))}, 400),
        ("/api/dead-letters/send-again", {"before": "yesterday"}, 400),
        ("/api/dead-letters/send-again", {"reason": "x" * 200_000}, 413),
    ],
)
def test_request_that_is_wrong_changes_nothing_and_is_told_why(
    desk: Client, path: str, body: dict[str, object], code: int
) -> None:
    make_key("one")
    give_up(ModelTimedOut(""))
    said = post(desk, path, **body)
    assert (said["code"], bool(said["msg"])) == (code, True)
    assert (DeadLetter.objects.get().state, ApiKey.objects.get().disabled_at) == ("waiting", None)


def test_dead_letters_are_listed_a_page_at_a_time(desk: Client) -> None:
    rows = [give_up(ModelTimedOut("No whole answer.")) for _ in range(3)]
    said = desk.get("/api/dead-letters?limit=1&offset=1&reason=timeout").json()["data"]
    [shown] = said["deadLetters"]
    assert (said["total"], shown["cameraId"], shown["reason"], shown["detail"]) == (
        3,
        rows[1].camera_id,
        "timeout",
        "No whole answer.",
    )
    assert desk.get("/api/dead-letters?reason=other").json()["data"] == {"total": 0, "deadLetters": []}
    for wrong in ("limit=0", f"offset={2**63}", f"cameraId={2**63}", "before=0001-01-01T00:00:00Z"):
        assert desk.get(f"/api/dead-letters?{wrong}").status_code == 400


@pytest.mark.parametrize("body", [{"all": True}, {"reason": "timeout"}, {"before": "2036-01-01T00:00:00Z"}])
def test_dead_letters_are_sent_again_in_bulk_once(desk: Client, body: dict[str, object]) -> None:
    for _ in range(3):
        give_up(ModelTimedOut(""))
    counts = [post(desk, "/api/dead-letters/send-again", **body)["data"]["sentAgain"] for _ in range(2)]
    assert counts == [3, 0]
    assert Assessment.objects.filter(status=AssessmentStatus.PENDING, late=True).count() == 3


def test_single_dead_letter_is_dropped_by_its_number(desk: Client) -> None:
    for _ in range(2):
        give_up(ModelTimedOut(""))
    first, second = DeadLetter.objects.order_by("pk")
    assert post(desk, "/api/dead-letters/drop", ids=[second.pk])["data"] == {"dropped": 1}
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("waiting", "dropped")
    assert second.ended_by is not None


def test_supervisor_sees_the_dead_letters_of_every_group() -> None:
    row = give_up(ModelTimedOut(""))
    row.camera.group = CameraGroup.objects.create(name="north")
    row.camera.save()
    assert browser(make_user(Role.SUPERVISOR)).get("/api/dead-letters").json()["data"]["total"] == 1
