"""What may be done with one alert or many, by whom, and what is written of it; and the export."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.db import connections
from django.test import AsyncClient

from assessment.models import Alert, AlertJudgement, AlertKind, AlertState, Evidence, EvidenceKind
from tests.factories import make_camera
from tests.integration.test_pages import browser, camera_of, make_user, raise_alert
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role
from trafficmon.dashboard import alert_export

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

JPEG = b"\xff\xd8 a picture \xff\xd9"
WISHES = {
    "acknowledge": {},
    "assign": {"to": "nobody"},
    "comment": {"words": "Seen."},
    "judge": {"truth": "true"},
    "export": {},
}


def written() -> list[tuple[str, str, dict[str, Any]]]:
    """What the audit log has of alerts, in its order."""
    entries = AuditEntry.objects.filter(action__startswith="alert.").order_by("pk")
    return [(each.action, each.object_id, each.detail) for each in entries]


def said_after(client: Any, path: str, **sent: Any) -> list[str]:
    answer = client.post(path, sent, follow=True)
    assert answer.status_code == 200
    return [str(each) for each in answer.context["messages"]]


@pytest.mark.parametrize("action", WISHES)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR])
def test_roles_may_what_the_operations_manual_says(action: str, role: Role) -> None:
    user = make_user(role)
    alert = raise_alert(camera_of(user), assigned_to=user)
    answer = browser(user).post(f"/alerts/{action}/", {"alert": alert.pk, **WISHES[action]})
    least = {"judge": Role.SUPERVISOR, "export": Role.SUPERVISOR}.get(action, Role.OPERATOR)
    allowed = user.may(least)
    assert answer.status_code == ((200 if action == "export" else 302) if allowed else 403)
    assert [entry[:2] for entry in written()] == ([(f"alert.{action}", str(alert.pk))] if allowed else [])


@pytest.mark.parametrize("action", WISHES)
def test_alert_of_a_hidden_camera_is_not_touched(action: str) -> None:
    user = make_user(Role.OPERATOR, is_superuser=False)
    hidden, own = raise_alert(make_camera()), raise_alert(camera_of(user))
    client = browser(user)
    alone = client.post(f"/alerts/{action}/", {"alert": hidden.pk, **WISHES[action]})
    client.post(f"/alerts/{action}/", {"alert": [hidden.pk, own.pk], **WISHES[action]})
    assert alone.status_code == (403 if action in {"judge", "export"} else 404)
    assert str(hidden.pk) not in [object_id for _action, object_id, _detail in written()]


@pytest.mark.parametrize("action", WISHES)
def test_actions_need_a_post_and_somebody_signed_in(action: str) -> None:
    assert browser(make_user()).get(f"/alerts/{action}/").status_code == 405
    answer = browser(None).post(f"/alerts/{action}/", {})
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next=/alerts/{action}/")


def test_forged_action_is_refused() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    assert browser(user, checks_csrf=True).post("/alerts/acknowledge/", {"alert": alert.pk}).status_code == 403


def test_many_are_acknowledged_at_once_and_it_is_said_of_how_many() -> None:
    user = make_user()
    camera = camera_of(user)
    alerts = [raise_alert(camera, after_seconds=number).pk for number in range(3)]
    client = browser(user)
    assert said_after(client, "/alerts/acknowledge/", alert=alerts[:2]) == ["Done with 2 alerts."]
    assert said_after(client, "/alerts/acknowledge/", alert=alerts) == [
        "Done with 1 of 3; for the others nothing was left to do."
    ]
    assert said_after(client, "/alerts/acknowledge/") == ["No alert is selected."]
    assert set(Alert.objects.values_list("state", "acknowledged_by")) == {(AlertState.ACKNOWLEDGED, user.pk)}
    assert [entry[0] for entry in written()] == ["alert.acknowledge"] * 3


def test_alert_is_assigned_to_a_colleague_who_sees_it() -> None:
    user, camera = make_user(), make_camera()
    camera = camera_of(user)
    colleague = make_user(Role.SUPERVISOR)
    stranger = User.objects.create(username="stranger", role=Role.OPERATOR)
    alert = raise_alert(camera)
    client = browser(user)
    assert said_after(client, "/alerts/assign/", alert=alert.pk, to=colleague.pk) == ["Done."]
    refused = "stranger may not deal with such alerts, or does not see their camera."
    assert said_after(client, "/alerts/assign/", alert=alert.pk, to=stranger.pk) == [refused]
    for nonsense in ("", "x", "999999"):
        [said] = said_after(client, "/alerts/assign/", alert=alert.pk, to=nonsense)
        assert said.endswith("may not deal with such alerts, or does not see their camera.")
    assert Alert.objects.get().assigned_to == colleague
    assert written() == [("alert.assign", str(alert.pk), {"to": "desk supervisor"})]


def test_comment_is_shown_as_text_with_who_said_it() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    client = browser(user)
    client.post("/alerts/comment/", {"alert": alert.pk, "words": "<b>Tanker</b>\non its side"})
    client.post("/alerts/comment/", {"alert": alert.pk, "words": "   "})
    page = client.get(f"/alerts/{alert.pk}/").content.decode()
    assert "<q>&lt;b&gt;Tanker&lt;/b&gt;<br>on its side</q>" in page
    assert page.count("by desk operator") == 1
    assert written() == [("alert.comment", str(alert.pk), {})]


def test_supervisor_judges_with_the_right_level_and_again() -> None:
    user = make_user(Role.SUPERVISOR)
    alert = raise_alert(make_camera())
    client = browser(user)
    client.post("/alerts/judge/", {"alert": alert.pk, "truth": "true", "right_level": "medium"})
    client.post("/alerts/judge/", {"alert": alert.pk, "truth": "false"})
    assert list(AlertJudgement.objects.values_list("truth", "right_level")) == [("false", "none")]
    assert [entry[2] for entry in written()] == [
        {"truth": "true", "right_level": "medium"},
        {"truth": "false", "right_level": "none"},
    ]


@pytest.mark.parametrize(
    "sent", [{"truth": "true", "right_level": "none"}, {"truth": "false", "right_level": "high"}, {}]
)
def test_judgement_that_does_not_fit_together_is_refused(sent: dict[str, str]) -> None:
    alert = raise_alert(make_camera())
    [said] = said_after(browser(make_user(Role.SUPERVISOR)), "/alerts/judge/", alert=alert.pk, **sent)
    assert said.startswith("What is true has a level")
    assert AlertJudgement.objects.count() == 0


def test_many_are_judged_and_lost_cameras_among_them_are_said() -> None:
    camera = make_camera()
    alerts = [raise_alert(camera, after_seconds=n) for n in range(2)]
    lost = raise_alert(camera, after_seconds=9, kind=AlertKind.CAMERA_LOST)
    chosen = [each.pk for each in (*alerts, lost)]
    said = said_after(browser(make_user(Role.SUPERVISOR)), "/alerts/judge/", alert=chosen, truth="true")
    assert [each.split(";")[0] for each in said] == [
        "What is true has a level, what is false has none or low",
        "Done with 2 of 3",
    ]
    assert AlertJudgement.objects.count() == 2


@pytest.mark.parametrize("sent", [{"truth": "maybe"}, {"truth": "true", "right_level": "x"}, {"words": "x" * 4001}])
def test_what_is_sent_wrongly_changes_nothing(sent: dict[str, str]) -> None:
    alert = raise_alert(make_camera())
    said = said_after(browser(make_user(Role.SUPERVISOR)), "/alerts/judge/", alert=alert.pk, **sent)
    assert said == ["This cannot be done as it was sent."]


def test_action_returns_to_where_it_came_from_and_nowhere_else() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    client = browser(user)
    ways = {"/alerts/?level=high": "/alerts/?level=high", "https://evil.example/": "/alerts/"}
    answers = [client.post("/alerts/acknowledge/", {"alert": alert.pk, "next": way}) for way in ways]
    assert [answer["Location"] for answer in answers] == list(ways.values())


@pytest_asyncio.fixture
async def close_connections_of_threads() -> AsyncIterator[None]:
    """The thread that reads for the download outlives the test; a connection of it would hold the test database."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def media(tmp_path: Any, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


def keep(alert: Alert, kind: EvidenceKind, number: int = 0) -> Evidence:
    row = Evidence(assessment=alert.assessment, kind=kind, number=number, sha256=hashlib.sha256(JPEG).hexdigest())
    row.picture.save(f"{alert.pk}-{kind}{number}.jpg", ContentFile(JPEG))
    return row


def prepare() -> tuple[User, list[Alert]]:
    camera, user = make_camera(name="Bridge"), make_user(Role.SUPERVISOR)
    alerts = [raise_alert(camera, after_seconds=number) for number in range(2)]
    for kind, number in ((EvidenceKind.FRAME, 0), (EvidenceKind.CROP, 0), (EvidenceKind.EARLIER, 1)):
        keep(alerts[0], kind, number)
    return user, alerts


async def download(user: User, alerts: list[Alert]) -> tuple[Any, zipfile.ZipFile]:
    client = AsyncClient()
    await client.aforce_login(user)
    answer: Any = await client.post("/alerts/export/", {"alert": [each.pk for each in alerts]})
    whole = b"".join([part async for part in answer.streaming_content])
    return answer, zipfile.ZipFile(io.BytesIO(whole))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("close_connections_of_threads", "media")
async def test_export_has_pictures_and_all_that_is_known() -> None:
    user, alerts = await sync_to_async(prepare)()
    answer, archive = await download(user, alerts)
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"].startswith('attachment; filename="alerts-')
    first, second = (f"alert-{alert.pk}" for alert in alerts)
    assert archive.testzip() is None
    assert sorted(archive.namelist()) == sorted(
        [f"{first}/{name}" for name in ("alert.json", "crop.jpg", "earlier1.jpg", "frame.jpg")]
        + [f"{second}/alert.json"]
    )
    assert archive.read(f"{first}/frame.jpg") == JPEG
    told = json.loads(archive.read(f"{first}/alert.json"))
    assert (told["alert"]["alertId"], told["alert"]["cameraName"]) == (alerts[0].pk, "Bridge")
    assert told["alert"]["openedAt"] == "2026-05-04T12:00:00.000Z"
    assert len(told["frame"]["detectedObjects"]) == 2
    assert told["verdict"]["dangerousDrivingResults"][0]["description"] == "It passed at red."
    assert [picture["file"] for picture in told["pictures"]] == ["frame.jpg", "crop.jpg", "earlier1.jpg"]
    assert {picture["sha256"] for picture in told["pictures"]} == {hashlib.sha256(JPEG).hexdigest()}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("close_connections_of_threads", "media")
async def test_export_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_export, "MOST_BYTES", len(JPEG))
    user, alerts = await sync_to_async(prepare)()
    row = await Evidence.objects.aget(kind=EvidenceKind.FRAME)
    Path(row.picture.path).unlink()
    _answer, archive = await download(user, alerts[:1])
    told = json.loads(archive.read(f"alert-{alerts[0].pk}/alert.json"))["pictures"]
    assert [(each["file"], each["leftOutBecause"]) for each in told] == [
        (None, "the file is gone"),
        ("crop.jpg", None),
        (None, "the export has reached its greatest size"),
    ]


def test_export_of_nothing_says_so() -> None:
    assert said_after(browser(make_user(Role.SUPERVISOR)), "/alerts/export/") == ["No alert is selected."]
