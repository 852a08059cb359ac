"""The WebSocket for front ends elsewhere: an API token is exchanged for a ticket, which opens the socket once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from channels.testing import WebsocketCommunicator
from django.test import Client

from cameras.models import Camera, Wanted
from cameras.sources import UnableToOpen
from tests.factories import make_camera, make_token, record
from tests.integration.test_consumer import (  # noqa: F401  # the last three are fixtures
    HOST,
    Desk,
    close_connections_of_threads,
    in_thread,
    opened,
    operator,
    welcome_host,
)
from trafficmon.accounts.models import ApiToken, AuditEntry, User
from trafficmon.accounts.roles import Scope
from trafficmon.asgi import application
from trafficmon.core.clock import utc_now
from trafficmon.live import commands, consumers, publish
from trafficmon.live.consumers import SIGNED_OUT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_client"),
]
FRONT = "https://front.example"


@pytest.fixture(autouse=True)
def allowed_front(settings: Any) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"cors_origins": (FRONT,)})


def get_ticket(user: User, *scopes: Scope) -> str:
    """What a front end gets for a new token of the user, as the path of the socket."""
    secret = make_token(user, *(scopes or [Scope.LIVE]))
    answer = Client(headers={"Authorization": f"Bearer {secret}", "Host": "desk.example"}).post("/api/live/ticket")
    path: str = answer.json()["data"]["path"]
    assert answer.json()["data"] == {"ticket": path.removeprefix("/ws?ticket="), "path": path, "expiresInSeconds": 30}
    return path


async def is_let_in(desk: Desk, *, path: str, origin: str) -> bool:
    """Whether a page of that origin is, with a session's cookie."""
    cookie = f"sessionid={desk.session_key}"
    headers = [(b"host", HOST.encode()), (b"origin", origin.encode()), (b"cookie", cookie.encode())]
    accepted, _ = await WebsocketCommunicator(application, path, headers=headers).connect(timeout=30)
    return accepted


async def test_ticket_opens_the_feed_of_the_tokens_owner(operator: Desk) -> None:  # noqa: F811
    mine, hidden = await in_thread(operator.camera), await in_thread(make_camera)
    path = await in_thread(get_ticket, operator.user)
    async with opened(None, path=f"{path}&pictures=none", origin=FRONT) as browser:
        listed = await browser.wait_for("camera_list")
        for camera in (hidden, mine):
            await in_thread(publish.publish_frame, await in_thread(record, camera))
        shown = await browser.wait_for("detection_result")
    assert [each["cameraId"] for each in listed["cameras"]] == [mine.pk]
    assert (shown["cameraId"], shown["frame"]) == (mine.pk, "")


async def test_ticket_is_good_once(operator: Desk) -> None:  # noqa: F811
    path = await in_thread(get_ticket, operator.user)
    async with opened(None, path=path, origin=FRONT) as browser:
        await browser.wait_for("connection_ack")
    async with opened(None, path=path, origin=FRONT) as browser:
        assert (await browser.wait_for("error"))["message"].startswith("This ticket was used or is too old")
        assert await browser.closed_with() == SIGNED_OUT


async def test_bad_ticket_is_not_made_good_by_a_session(operator: Desk) -> None:  # noqa: F811
    async with opened(operator.session_key, path="/ws?ticket=invented") as browser:
        assert await browser.closed_with() == SIGNED_OUT


async def test_session_opens_nothing_to_a_page_elsewhere(operator: Desk) -> None:  # noqa: F811
    assert not await is_let_in(operator, path="/ws", origin=FRONT)


async def test_ticket_lasts_half_a_minute(operator: Desk, redis_client: redis.Redis) -> None:  # noqa: F811
    path = await in_thread(get_ticket, operator.user)
    assert 0 < redis_client.ttl(f"live:ticket:{path.rpartition('=')[2]}") <= 30


async def test_ticket_does_not_open_to_pages_of_other_origins(operator: Desk) -> None:  # noqa: F811
    path = await in_thread(get_ticket, operator.user)
    assert not await is_let_in(operator, path=path, origin="https://evil.example")


async def test_token_that_only_watches_starts_nothing(operator: Desk) -> None:  # noqa: F811
    camera = await in_thread(operator.camera)
    path = await in_thread(get_ticket, operator.user)
    async with opened(None, path=path, origin=FRONT) as browser:
        await browser.ask("start_stream", cameraId=camera.pk)
        assert (await browser.wait_for("error"))["code"] == "forbidden"
    assert (await Camera.objects.aget(pk=camera.pk)).wanted == Wanted.STOPPED


async def test_token_that_operates_starts_cameras_and_the_log_says_so(operator: Desk) -> None:  # noqa: F811
    camera = await in_thread(operator.camera)
    path = await in_thread(get_ticket, operator.user, Scope.LIVE, Scope.OPERATE)
    async with opened(None, path=path, origin=FRONT) as browser:
        await browser.wait_for("camera_status")
        await browser.ask("start_stream", cameraId=camera.pk)
        assert (await browser.wait_for("camera_status"))["message"] == "The camera was asked to start."
    entry = await AuditEntry.objects.aget(action="camera.start")
    token = await ApiToken.objects.aget()
    assert (entry.actor_name, entry.object_name, entry.token) == (operator.user.username, camera.name, str(token))


@pytest.mark.parametrize(("request_type", "action"), [("start_stream", "camera.start"), ("stop_stream", "camera.stop")])
async def test_who_is_signed_in_is_named_in_the_log(request_type: str, action: str, operator: Desk) -> None:  # noqa: F811
    camera = await in_thread(operator.camera)
    async with opened(operator.session_key) as browser:
        await browser.wait_for("camera_status")
        await browser.ask(request_type, cameraId=camera.pk)
        await browser.wait_for("camera_status")
    entry = await AuditEntry.objects.aget(action=action)
    assert (entry.actor_name, entry.object_id, entry.token) == (operator.user.username, str(camera.pk), "")


async def test_address_that_somebody_had_tried_is_written_without_its_password(
    operator: Desk,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def give_nothing(_source: str) -> None:
        raise UnableToOpen("No route.")

    monkeypatch.setattr(commands, "probe", give_nothing)
    camera = await in_thread(operator.camera)
    async with opened(operator.session_key) as browser:
        await browser.ask("check_camera", cameraId=camera.pk, rtspUrl="rtsp://user:geheim@127.0.0.1/live")
        while (await browser.wait_for("camera_status"))["message"] != "No route.":
            pass
    entry = await AuditEntry.objects.aget(action="camera.test")
    assert entry.object_id == str(camera.pk)
    assert "127.0.0.1/live" in entry.detail["source"]
    assert "geheim" not in json.dumps(entry.detail)


def revoke(desk: Desk) -> None:
    ApiToken.objects.update(revoked_at=utc_now())


def narrow(desk: Desk) -> None:
    ApiToken.objects.update(scopes=["read"])


def deactivate(desk: Desk) -> None:
    User.objects.filter(pk=desk.user.pk).update(is_active=False)


@pytest.mark.parametrize("end", [revoke, narrow, deactivate])
async def test_socket_ends_with_the_token(
    end: Callable[[Desk], None],
    operator: Desk,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.05)
    path = await in_thread(get_ticket, operator.user)
    async with opened(None, path=path, origin=FRONT) as browser:
        await browser.wait_for("connection_ack")
        await in_thread(end, operator)
        assert await browser.closed_with() == SIGNED_OUT


def test_session_gets_no_ticket(operator: Desk) -> None:  # noqa: F811
    client = Client(headers={"Host": "desk.example"})
    client.force_login(operator.user)
    answer = client.post("/api/live/ticket")
    assert (answer.status_code, answer.json()["msg"].startswith("Tickets are for API tokens")) == (400, True)


def test_token_that_may_not_watch_live_gets_no_ticket(operator: Desk) -> None:  # noqa: F811
    secret = make_token(operator.user, Scope.READ, Scope.OPERATE)
    answer = Client(headers={"Authorization": f"Bearer {secret}", "Host": "desk.example"}).post("/api/live/ticket")
    assert (answer.status_code, answer.json()["msg"]) == (403, "This API token lacks the scope live.")
