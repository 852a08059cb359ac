"""The WebSocket: who gets in, what they are sent, what they may ask for."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import redis
import simplejpeg
from asgiref.sync import sync_to_async
from autobahn.exception import Disconnected
from channels.testing import WebsocketCommunicator
from channels_redis.pubsub import RedisPubSubLoopLayer
from django.conf import settings
from django.contrib.auth import login
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connections
from django.http import HttpRequest
from django.utils.translation import get_language
from prometheus_client import REGISTRY

from assessment.ladder import LadderState
from assessment.models import Alert, AlertState, FrameResult
from assessment.risk import RiskLevel, RiskType
from assessment.service_level import LADDER_KEY
from cameras.frames import FrameStore, connect_redis
from cameras.load import PACE_KEY
from cameras.models import Camera, CameraGroup, Wanted
from cameras.sources import Probe, UnableToOpen
from detection.detect import read_picture, read_size
from tests.collector import Collector, collecting
from tests.connections import connections_to
from tests.factories import NOON, make_camera, record
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.asgi import application
from trafficmon.core import tracing
from trafficmon.core.clock import spell, utc_now
from trafficmon.core.telemetry import Telemetry
from trafficmon.live import access, commands, consumers, publish, reader
from trafficmon.live.consumers import SIGNED_OUT, TOO_SLOW
from trafficmon.live.feed import ClientFeed
from trafficmon.live.reader import Form, FrameReader
from trafficmon.live.topics import camera_topic

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]

HOST = "desk.example:5000"
JPEG = b"\xff\xd8picture"
GREY_JPEG = simplejpeg.encode_jpeg(np.full((720, 1280, 3), 90, np.uint8))
Said = dict[str, Any]


@pytest.fixture(autouse=True)
def welcome_host(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["desk.example"]


@pytest_asyncio.fixture(autouse=True)
async def close_connections_of_threads() -> AsyncIterator[None]:
    """The consumers' database thread outlives a test; a connection of it would hold the test database."""
    yield
    await sync_to_async(connections.close_all)()


class Desk:
    """A user at a browser: what they may see, and their session."""

    def __init__(self, role: Role) -> None:
        self.user = User.objects.create(username=f"desk-{role}", role=role)
        self.group = CameraGroup.objects.create(name=f"Group of {self.user}")
        self.group.viewers.add(self.user)
        request = HttpRequest()
        request.session = SessionStore()
        login(request, self.user, backend=settings.AUTHENTICATION_BACKENDS[0])
        request.session.save()
        self.session_key = request.session.session_key

    def camera(self, **fields: object) -> Camera:
        return make_camera(group=self.group, **fields)


@pytest.fixture
def viewer() -> Desk:
    return Desk(Role.VIEWER)


@pytest.fixture
def operator() -> Desk:
    return Desk(Role.OPERATOR)


class Browser:
    """An open socket whose messages are read by type."""

    def __init__(self, socket: WebsocketCommunicator) -> None:
        self.socket = socket

    async def read(self) -> Said:
        said: Said = json.loads(await self.socket.receive_from(timeout=30))
        return said

    async def wait_for(self, kind: str) -> Said:
        while True:
            said = await self.read()
            if said["type"] == kind:
                data: Said = said["data"]
                return data

    async def ask(self, kind: str, **data: object) -> None:
        await self.socket.send_to(json.dumps({"type": kind, "data": data}))

    async def closed_with(self) -> int:
        while True:
            message = await self.socket.receive_output(timeout=30)
            if message["type"] == "websocket.close":
                code: int = message["code"]
                return code


@asynccontextmanager
async def opened(
    session_key: str | None, *, path: str = "/ws", origin: str = f"http://{HOST}", language: str = "en"
) -> AsyncIterator[Browser]:
    headers = [(b"host", HOST.encode()), (b"origin", origin.encode()), (b"accept-language", language.encode())]
    if session_key:
        headers.append((b"cookie", f"sessionid={session_key}".encode()))
    socket = WebsocketCommunicator(application, path, headers=headers)
    accepted, _ = await socket.connect(timeout=30)
    assert accepted
    try:
        yield Browser(socket)
    finally:
        await socket.disconnect(timeout=30)


async def in_thread(work: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    return await sync_to_async(work)(*args, **kwargs)


async def test_anonymous_is_told_why_and_closed() -> None:
    async with opened(None) as browser:
        assert await browser.wait_for("error") == {"code": "signed_out", "message": "Sign in first."}
        assert await browser.closed_with() == SIGNED_OUT


async def test_forged_session_is_refused() -> None:
    async with opened("x" * 32) as browser:
        assert await browser.closed_with() == SIGNED_OUT


@pytest.mark.parametrize(("path", "origin"), [("/ws", "http://evil.example"), ("/elsewhere", f"http://{HOST}")])
async def test_foreign_page_and_unknown_path_get_no_socket(path: str, origin: str, viewer: Desk) -> None:
    headers = [
        (b"host", HOST.encode()),
        (b"origin", origin.encode()),
        (b"cookie", f"sessionid={viewer.session_key}".encode()),
    ]
    accepted, _ = await WebsocketCommunicator(application, path, headers=headers).connect(timeout=30)
    assert not accepted


async def test_connection_is_acknowledged_before_anything_else(viewer: Desk) -> None:
    camera = await in_thread(viewer.camera)
    async with opened(viewer.session_key) as browser:
        said = [await browser.read() for _ in range(4)]
    assert [each["type"] for each in said] == ["connection_ack", "camera_list", "load", "camera_status"]
    assert said[1]["data"] == {"cameras": [{"cameraId": camera.pk, "name": camera.name, "intervalSeconds": 1.8}]}


async def test_new_page_is_sent_what_is_known_already(viewer: Desk) -> None:
    camera = await in_thread(viewer.camera)
    row = await in_thread(record, camera)
    FrameStore(connect_redis()).put(row.frame_key, JPEG)
    await in_thread(publish.publish_frame, row)
    async with opened(viewer.session_key) as browser:
        shown = await browser.wait_for("detection_result")
    assert (shown["cameraId"], shown["frame"], shown["frameKey"]) == (
        camera.pk,
        "data:image/jpeg;base64,/9hwaWN0dXJl",
        row.frame_key,
    )


async def test_picture_that_cannot_be_read_has_no_groups_cut_out(viewer: Desk) -> None:
    camera = await in_thread(viewer.camera)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_status")
        row = await in_thread(record, camera)
        FrameStore(connect_redis()).put(row.frame_key, JPEG)
        await in_thread(publish.publish_frame, row)
        shown = await browser.wait_for("detection_result")
    assert (len(shown["trafficGroups"]), shown["groupImages"]) == (1, [])


async def test_frame_is_sent_when_it_is_published(viewer: Desk) -> None:
    camera = await in_thread(viewer.camera)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_status")
        row = await in_thread(record, camera)
        FrameStore(connect_redis()).put(row.frame_key, GREY_JPEG)
        await in_thread(publish.publish_frame, row)
        shown = await browser.wait_for("detection_result")
    assert [each["class"] for each in shown["detectedObjects"]] == ["car", "car"]
    [image] = shown["groupImages"]
    crop = read_picture(b64decode(image.pop("imageBase64").removeprefix("data:image/jpeg;base64,")))
    assert crop.shape == (30 + 2 * 12, 90 + 2 * 12, 3)
    assert abs(float(crop.mean()) - 90) < 1
    assert shown["groupImages"] == [
        {
            "groupIndex": 1,
            "bbox": [100.0, 200.0, 190.0, 230.0],
            "objectCount": 2,
            "classes": ["car"],
        }
    ]


def show_wide(desk: Desk) -> FrameResult:
    """A frame of 1280 x 720 is detected and can be read."""
    row = record(desk.camera())
    FrameStore(connect_redis()).put(row.frame_key, GREY_JPEG)
    publish.publish_frame(row)
    return row


def size_of(message: bytes) -> tuple[int, int]:
    """Of the picture in a binary message."""
    return read_size(message[4 + int.from_bytes(message[:4], "big") :])


async def test_pictures_are_as_wide_as_they_are_shown(viewer: Desk) -> None:
    row = await in_thread(show_wide, viewer)
    async with opened(viewer.session_key, path="/ws?pictures=binary&width=430") as browser:
        assert size_of(await next_binary(browser)) == (480, 270)
        await browser.ask("subscribe", pictures="binary", pictureWidth=500)
        assert size_of(await next_binary(browser)) == (640, 360)
        await browser.ask("subscribe", pictures="binary", pictureWidth=620, largeOf=[row.camera_id])
        assert size_of(await next_binary(browser)) == (1280, 720)
        await browser.ask("subscribe", pictures="binary", pictureWidth=2000)
        await browser.ask("subscribe", pictures="inline", pictureWidth=320)
        inline = await browser.wait_for("detection_result")
    assert read_size(b64decode(inline["frame"].partition(",")[2])) == (320, 180)
    assert (inline["imageWidth"], inline["imageHeight"]) == (1280, 720)


async def test_address_of_a_picture_carries_its_width(viewer: Desk) -> None:
    row = await in_thread(show_wide, viewer)
    async with opened(viewer.session_key, path="/ws?pictures=url&width=400") as browser:
        shown = await browser.wait_for("detection_result")
    assert shown["frame"] == f"/frames/{row.frame_key}/?width=480"


async def next_binary(browser: Browser) -> bytes:
    while True:
        message = await browser.socket.receive_output(timeout=5)
        if message.get("bytes"):
            content: bytes = message["bytes"]
            return content


@pytest.mark.parametrize(("pictures", "frame"), [("url", "/frames/{key}/"), ("none", "")])
async def test_client_chooses_how_it_gets_pictures(pictures: str, frame: str, viewer: Desk) -> None:
    row = await in_thread(record, await in_thread(viewer.camera))
    await in_thread(publish.publish_frame, row)
    async with opened(viewer.session_key, path=f"/ws?pictures={pictures}") as browser:
        shown = await browser.wait_for("detection_result")
    assert shown["frame"] == frame.format(key=row.frame_key)


def frames_timed() -> tuple[float, float]:
    """How many frames were measured until they were sent, and how many of them within a second."""
    name = "detection_send_latency_seconds"
    count, quick = (
        REGISTRY.get_sample_value(f"{name}_count"),
        REGISTRY.get_sample_value(f"{name}_bucket", {"le": "1.0"}),
    )
    return count or 0.0, quick or 0.0


async def test_time_until_a_frame_is_sent_is_measured_once_and_only_where_it_is_new(viewer: Desk) -> None:
    camera = await in_thread(viewer.camera)
    await in_thread(
        publish.publish_frame, await in_thread(record, camera, captured_at=utc_now() - timedelta(minutes=1))
    )
    before = frames_timed()
    async with opened(viewer.session_key) as one, opened(viewer.session_key, path="/ws?pictures=none") as other:
        for browser in (one, other):
            await browser.wait_for("detection_result")
        assert frames_timed() == before
        for age in (20, 0):
            row = await in_thread(record, camera, captured_at=utc_now() - timedelta(seconds=age))
            await in_thread(publish.publish_frame, row)
            for browser in (one, other):
                await browser.wait_for("detection_result")
        after = frames_timed()
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


async def test_time_for_which_a_client_takes_nothing_is_not_measured(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await in_thread(viewer.camera)
    stuck = StuckFlow()
    monkeypatch.setattr(consumers, "flow_of", lambda _scope: stuck)
    before = frames_timed()
    async with opened(viewer.session_key, path="/ws?pictures=none") as browser:
        await subscribed(camera)
        await asyncio.sleep(0.3)  # what is known already waits
        row = await in_thread(record, camera, captured_at=utc_now())
        await in_thread(publish.publish_frame, row)
        await asyncio.sleep(1.2)
        stuck.released.set()
        await browser.wait_for("detection_result")
        await until_pong(browser)
        after = frames_timed()
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


async def test_frame_is_made_once_for_all_and_not_kept_for_ever(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await in_thread(record, await in_thread(make_camera))
    await in_thread(publish.publish_frame, row)
    monkeypatch.setattr(reader, "SHARED_SECONDS", 0.2)
    async with reader.shared_reader() as frames:
        first, second = [await frames.rendered(row.camera_id, Form(), row.frame_key) for _ in range(2)]
        await asyncio.sleep(0.4)
        third = await frames.rendered(row.camera_id, Form(), row.frame_key)
    assert first is second
    assert third is not first


async def test_binary_message_holds_the_message_and_the_picture(viewer: Desk) -> None:
    row = await in_thread(record, await in_thread(viewer.camera))
    FrameStore(connect_redis()).put(row.frame_key, JPEG)
    await in_thread(publish.publish_frame, row)
    async with opened(viewer.session_key, path="/ws?pictures=binary") as browser:
        packed = b""
        while not packed:
            message = await browser.socket.receive_output(timeout=30)
            packed = message.get("bytes") or b""
    length = int.from_bytes(packed[:4], "big")
    assert json.loads(packed[4 : 4 + length])["data"]["frameKey"] == row.frame_key
    assert packed[4 + length :] == JPEG


async def test_cameras_of_others_are_neither_listed_nor_sent(viewer: Desk) -> None:
    own, hidden = await in_thread(viewer.camera), await in_thread(make_camera)
    async with opened(viewer.session_key) as browser:
        listed = await browser.wait_for("camera_list")
        for camera in (hidden, own):
            await in_thread(publish.publish_frame, await in_thread(record, camera))
        shown = await browser.wait_for("detection_result")
    assert [each["cameraId"] for each in listed["cameras"]] == [own.pk]
    assert shown["cameraId"] == own.pk


async def test_load_is_told_on_connecting_and_whenever_it_changes(viewer: Desk, redis_client: redis.Redis) -> None:
    redis_client.set(PACE_KEY, json.dumps({"stretch": 1.5}))
    redis_client.set(LADDER_KEY, json.dumps({"level": "urgent_only", "reason": "too_late", "since": NOON.isoformat()}))
    async with opened(viewer.session_key) as browser:
        assert await browser.wait_for("load") == {
            "stretch": 1.5,
            "intervalSeconds": 2.7,
            "usualIntervalSeconds": 1.8,
            "ladder": {"level": "urgent_only", "reason": "too_late", "since": "2026-05-04T12:00:00.000Z"},
        }
        await in_thread(publish.publish_load, 2.0, LadderState())
        assert await browser.wait_for("load") == {
            "stretch": 2.0,
            "intervalSeconds": 3.6,
            "usualIntervalSeconds": 1.8,
            "ladder": {"level": "all", "reason": ""},
        }


async def test_load_of_a_dead_schedule_ends_at_the_next_heartbeat(
    viewer: Desk, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.05)
    redis_client.set(PACE_KEY, json.dumps({"stretch": 1.5}))
    async with opened(viewer.session_key) as browser:
        assert (await browser.wait_for("load"))["stretch"] == 1.5
        redis_client.delete(PACE_KEY)
        async with asyncio.timeout(30):
            while (await browser.wait_for("load"))["stretch"] != 1.0:
                pass


async def test_lost_right_ends_what_is_sent(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = await in_thread(viewer.camera)
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.05)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_list")
        await in_thread(viewer.group.viewers.clear)
        assert await browser.wait_for("camera_list") == {"cameras": []}
        await in_thread(publish.publish_stream_stopped, camera.pk, "unseen")
        await browser.ask("ping", echo=1)
        kinds = [(await browser.read())["type"]]
        while kinds[-1] != "pong":
            kinds.append((await browser.read())["type"])
    assert set(kinds) <= {"alert_list", "load", "ping", "pong"}


async def test_new_right_brings_the_camera_and_its_last_frame(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = await in_thread(make_camera)
    await in_thread(publish.publish_frame, await in_thread(record, camera))
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.05)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_list")
        await in_thread(viewer.group.cameras.add, camera)
        assert (await browser.wait_for("detection_result"))["cameraId"] == camera.pk


def deactivate(desk: Desk) -> None:
    User.objects.filter(pk=desk.user.pk).update(is_active=False)


def sign_out(desk: Desk) -> None:
    Session.objects.filter(pk=desk.session_key).delete()


def expire(desk: Desk) -> None:
    Session.objects.filter(pk=desk.session_key).update(expire_date=NOON)


def change_password(desk: Desk) -> None:
    desk.user.set_password("another long one")
    desk.user.save()


@pytest.mark.parametrize("end", [deactivate, sign_out, expire, change_password])
async def test_socket_ends_with_the_session(
    end: Callable[[Desk], None], viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.05)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("connection_ack")
        await in_thread(end, viewer)
        assert await browser.closed_with() == SIGNED_OUT


async def test_ping_is_answered_with_the_servers_time(viewer: Desk) -> None:
    async with opened(viewer.session_key) as browser:
        await browser.ask("ping", echo="a")
        assert (await browser.wait_for("pong"))["echo"] == "a"


@pytest.mark.parametrize("text", ["{", '{"type": "dance"}', "x" * 20_000])
async def test_unreadable_request_is_answered_and_the_socket_stays(text: str, viewer: Desk) -> None:
    async with opened(viewer.session_key) as browser:
        await browser.socket.send_to(text)
        assert (await browser.wait_for("error"))["code"] == "unreadable"
        await browser.ask("ping", echo=2)
        assert (await browser.wait_for("pong"))["echo"] == 2.0


async def test_subscriber_gets_only_what_it_asked_for(viewer: Desk) -> None:
    wanted, other = await in_thread(viewer.camera), await in_thread(viewer.camera)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("connection_ack")
        await browser.ask("subscribe", cameraIds=[wanted.pk], pictures="none")
        await browser.ask("ping", echo=1)
        await browser.wait_for("pong")
        for camera in (other, wanted):
            await in_thread(publish.publish_frame, await in_thread(record, camera))
        assert (await browser.wait_for("detection_result"))["cameraId"] == wanted.pk


async def test_subscriber_gets_frames_of_the_cameras_it_shows_and_all_else_of_all(viewer: Desk) -> None:
    shown, other = await in_thread(viewer.camera), await in_thread(viewer.camera)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("connection_ack")
        await browser.ask("subscribe", framesOf=[shown.pk], pictures="none")
        await browser.ask("ping", echo=1)
        await browser.wait_for("pong")
        for camera in (other, shown):
            await in_thread(publish.publish_frame, await in_thread(record, camera))
        assert (await browser.wait_for("detection_result"))["cameraId"] == shown.pk
        await in_thread(publish.publish_stream_stopped, other.pk, "Stopped.")
        assert (await browser.wait_for("stream_stopped"))["cameraId"] == other.pk
        await browser.ask("subscribe", pictures="none")
        assert (await browser.wait_for("detection_result"))["cameraId"] == other.pk


@pytest.mark.parametrize(
    ("language", "status", "reason"),
    [
        ("en", "No new picture comes.", "The stream ended."),
        ("zh-hans", "没有新画面。", "码流已结束。"),
    ],
)
async def test_states_are_said_in_the_language_of_the_page(
    language: str, status: str, reason: str, viewer: Desk, settings: Any
) -> None:
    settings.DEMO = True
    camera = await in_thread(viewer.camera, state="stale", last_error="No new picture comes.")
    async with opened(viewer.session_key, language=language) as browser:
        assert (await browser.wait_for("camera_status"))["message"] == status
        await browser.wait_for("alert_list")
        await in_thread(publish.publish_camera_status, camera.pk)
        assert (await browser.wait_for("camera_status"))["message"] == status
        await in_thread(publish.publish_stream_stopped, camera.pk, "The stream ended.")
        assert (await browser.wait_for("stream_stopped"))["reason"] == reason


async def test_subscriber_is_told_of_cameras_it_may_not_see(viewer: Desk) -> None:
    hidden = await in_thread(make_camera)
    async with opened(viewer.session_key) as browser:
        await browser.ask("subscribe", cameraIds=[hidden.pk])
        refusal = await browser.wait_for("error")
    assert refusal["message"] == f"These cameras do not exist or you may not see them: {hidden.pk}."


async def test_operator_starts_and_stops_a_camera(operator: Desk) -> None:
    camera = await in_thread(operator.camera)
    async with opened(operator.session_key) as browser:
        await browser.wait_for("camera_status")
        await browser.ask("start_stream", cameraId=camera.pk)
        assert (await browser.wait_for("camera_status"))["message"] == "The camera was asked to start."
        started = await in_thread(Camera.objects.get, pk=camera.pk)
        await browser.ask("stop_stream", cameraId=camera.pk)
        assert (await browser.wait_for("camera_status"))["message"] == "The camera was asked to stop."
        stopped = await in_thread(Camera.objects.get, pk=camera.pk)
    assert (started.wanted, stopped.wanted) == (Wanted.RUNNING, Wanted.STOPPED)


async def test_started_camera_may_be_given_a_source(operator: Desk) -> None:
    camera = await in_thread(operator.camera)
    async with opened(operator.session_key) as browser:
        await browser.ask("start_stream", cameraId=camera.pk, rtspUrl="street://avenue?seed=9")
        await browser.wait_for("camera_status")
        await browser.wait_for("camera_status")
    assert (await in_thread(Camera.objects.get, pk=camera.pk)).source == "street://avenue?seed=9"


async def test_impossible_source_is_refused_and_nothing_changes(operator: Desk) -> None:
    camera = await in_thread(operator.camera)
    async with opened(operator.session_key) as browser:
        await browser.ask("start_stream", cameraId=camera.pk, rtspUrl="gopher://x")
        assert (await browser.wait_for("error"))["code"] == "impossible"
    assert (await in_thread(Camera.objects.get, pk=camera.pk)).wanted == Wanted.STOPPED


@pytest.mark.parametrize("kind", ["start_stream", "stop_stream"])
async def test_viewer_may_not_start_or_stop(kind: str, viewer: Desk) -> None:
    camera = await in_thread(viewer.camera, wanted=Wanted.RUNNING)
    async with opened(viewer.session_key) as browser:
        await browser.ask(kind, cameraId=camera.pk)
        assert await browser.wait_for("error") == {
            "code": "forbidden",
            "message": "This needs the operator role. Ask an administrator.",
            "request": kind,
            "cameraId": camera.pk,
        }
    assert (await in_thread(Camera.objects.get, pk=camera.pk)).wanted == Wanted.RUNNING


@pytest.mark.parametrize("kind", ["start_stream", "stop_stream", "check_camera"])
async def test_hidden_camera_is_unknown(kind: str, operator: Desk) -> None:
    hidden = await in_thread(make_camera)
    async with opened(operator.session_key) as browser:
        await browser.ask(kind, cameraId=hidden.pk)
        assert (await browser.wait_for("error"))["code"] == "unknown_camera"


async def test_check_says_what_the_camera_answers(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = await in_thread(viewer.camera)
    monkeypatch.setattr(commands, "probe", lambda _source: Probe(JPEG, 1280, 720, "h264", 25.0, 41.26))
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_status")
        await browser.ask("check_camera", cameraId=camera.pk)
        answer = await browser.wait_for("camera_status")
    assert answer == {
        "cameraId": camera.pk,
        "status": 1,
        "message": "It answers: 1280 × 720, h264.",
        "latencyMs": 41.3,
    }


async def test_check_says_why_the_camera_does_not_answer(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = await in_thread(viewer.camera)

    def fail(_source: str) -> Probe:
        raise UnableToOpen("No route to the camera.")

    monkeypatch.setattr(commands, "probe", fail)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_status")
        await browser.ask("check_camera", cameraId=camera.pk)
        answer = await browser.wait_for("camera_status")
    assert answer == {"cameraId": camera.pk, "status": 0, "message": "No route to the camera."}


async def test_second_check_has_to_wait(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = await in_thread(viewer.camera)
    monkeypatch.setattr(commands, "probe", lambda _source: Probe(JPEG, 1280, 720, "h264", 25.0, 41.26))
    async with opened(viewer.session_key) as browser:
        await browser.ask("check_camera", cameraId=camera.pk)
        await browser.ask("check_camera", cameraId=camera.pk)
        assert (await browser.wait_for("error"))["code"] == "busy"


async def test_viewer_may_not_name_an_address_to_check(viewer: Desk) -> None:
    camera = await in_thread(viewer.camera)
    async with opened(viewer.session_key) as browser:
        await browser.ask("check_camera", cameraId=camera.pk, rtspUrl="rtsp://10.0.0.1/")
        assert (await browser.wait_for("error"))["code"] == "forbidden"


class StuckFlow:
    """A client that takes nothing until it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def ready(self) -> None:
        await self.released.wait()


async def test_slow_client_gets_the_newest_frame_and_every_verdict(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await in_thread(viewer.camera)
    stuck = StuckFlow()
    monkeypatch.setattr(consumers, "flow_of", lambda _scope: stuck)
    async with opened(viewer.session_key, path="/ws?pictures=none") as browser:
        await subscribed(camera)
        rows = [await in_thread(record, camera, captured_at=NOON + timedelta(seconds=n)) for n in range(20)]
        for row in rows:
            await in_thread(publish.publish_frame, row)
        await in_thread(publish.publish_verdict, rows[0])
        await in_thread(publish.publish_verdict, rows[1])
        await asyncio.sleep(0.3)
        stuck.released.set()
        said = [await browser.read()]
        while said[-1]["type"] != "alert_list":
            said.append(await browser.read())
        assert await browser.socket.receive_nothing(timeout=0.3)
    assert said.pop()["data"] == {"alerts": []}
    verdicts = [each["data"]["frameTimestamp"] for each in said if each["type"] == "assessment_result"]
    assert verdicts == ["2026-05-04T12:00:00.000Z", "2026-05-04T12:00:01.000Z"]
    assert said[-1]["data"]["frameKey"] == rows[-1].frame_key


async def test_what_is_told_again_never_overtakes_what_happened_since(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = await raised(viewer)
    camera = await in_thread(Camera.objects.get, pk=alert.camera_id)
    stuck = StuckFlow()
    monkeypatch.setattr(consumers, "flow_of", lambda _scope: stuck)
    async with opened(viewer.session_key) as browser:
        await subscribed(camera)
        await asyncio.sleep(0.3)  # what is told again to a new page waits
        await in_thread(close_alert, alert)
        await in_thread(publish.publish_alert, alert.pk, "closed")
        await in_thread(publish.publish_stream_stopped, camera.pk, "Stopped.")
        await asyncio.sleep(0.3)
        stuck.released.set()
        said = await until_pong(browser)
    kinds = [each["type"] for each in said if each["type"] in {"alert", "camera_status", "stream_stopped"}]
    assert kinds == ["alert", "stream_stopped"]


async def until_pong(browser: Browser) -> list[Said]:
    """Everything that is told before a ping of now is answered."""
    await browser.ask("ping", echo=1)
    said = [await browser.read()]
    while said[-1]["type"] != "pong":
        said.append(await browser.read())
    return said


async def test_list_that_an_alert_takes_back_is_told_anew(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = await raised(viewer)
    camera = await in_thread(Camera.objects.get, pk=alert.camera_id)
    stuck = StuckFlow()
    monkeypatch.setattr(consumers, "flow_of", lambda _scope: stuck)
    async with opened(viewer.session_key) as browser:
        await subscribed(camera)
        await asyncio.sleep(0.3)  # the list waits
        await in_thread(close_alert, alert)
        await in_thread(publish.publish_alert, alert.pk, "closed")
        await asyncio.sleep(0.3)
        stuck.released.set()
        said = await until_pong(browser)
    told = [each["data"] for each in said if each["type"] == "alert_list"]
    assert told == [{"alerts": []}]


async def test_end_that_was_missed_outdates_what_waits_of_the_alert(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await in_thread(viewer.camera)
    alert = await in_thread(raise_alert, camera)
    stuck = StuckFlow()
    monkeypatch.setattr(consumers, "flow_of", lambda _scope: stuck)
    async with opened(viewer.session_key) as browser:
        await subscribed(camera)
        await asyncio.sleep(0.3)  # that it is open waits
        now = utc_now()
        ended = {"state": AlertState.CLOSED, "opened_at": now, "last_seen_at": now, "closed_at": now}
        await in_thread(Alert.objects.filter(pk=alert.pk).update, **ended)
        await browser.ask("subscribe", since=spell(now - timedelta(minutes=1)))
        await asyncio.sleep(0.3)
        stuck.released.set()
        said = await until_pong(browser)
    assert [each["data"]["change"] for each in said if each["type"] == "alert"] == ["closed"]


async def subscribed(camera: Camera) -> None:
    """Wait until somebody listens to the camera."""
    channel = publish.redis_channel(camera_topic(camera.pk))
    async with asyncio.timeout(30):
        while not dict(connect_redis().pubsub_numsub(channel))[channel.encode()]:
            await asyncio.sleep(0.01)


async def test_client_that_falls_too_far_behind_is_told_and_closed(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await in_thread(viewer.camera)
    monkeypatch.setattr(consumers, "flow_of", lambda _scope: StuckFlow())
    async with opened(viewer.session_key) as browser:
        await subscribed(camera)
        event: Any = {"type": "message.ready", "camera_id": camera.pk, "text": "{}"}
        for _ in range(600):
            publish.send(connect_redis(), camera.pk, event)
        assert await browser.closed_with() == TOO_SLOW


async def raised(desk: Desk) -> Alert:
    """An alert that was committed and never published."""
    alert: Alert = await in_thread(raise_alert, await in_thread(desk.camera))
    return alert


def raise_alert(camera: Camera) -> Alert:
    return Alert.objects.create(
        camera=camera,
        risk_type=RiskType.RED_LIGHT,
        risk_level=RiskLevel.HIGH,
        place=[1.0, 2.0, 3.0, 4.0],
        opened_at=NOON,
        last_seen_at=NOON,
    )


def close_alert(alert: Alert) -> None:
    Alert.objects.filter(pk=alert.pk).update(state=AlertState.CLOSED, closed_at=NOON)


async def test_alert_whose_publication_was_lost_is_told_at_the_next_heartbeat(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.2)
    async with opened(viewer.session_key) as browser:
        assert await browser.wait_for("alert_list") == {"alerts": []}
        alert = await raised(viewer)
        await in_thread(raise_alert, await in_thread(make_camera))
        while not (listed := (await browser.wait_for("alert_list"))["alerts"]):
            pass
        await in_thread(close_alert, alert)
        while (await browser.wait_for("alert_list"))["alerts"]:
            pass
    assert [(each["alertId"], each["change"], each["replayed"]) for each in listed] == [(alert.pk, "opened", True)]


async def test_alert_list_never_takes_back_what_was_told_while_it_was_read(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = await raised(viewer)
    reads: list[int] = []

    def slowly(camera_ids: frozenset[int]) -> access.Standing:
        read = access.look_up_standing(camera_ids)
        reads.append(len(read.alerts.alerts))
        if len(reads) == 2:
            close_alert(alert)
            publish.publish_alert(alert.pk, "closed")
            time.sleep(0.3)
        return read

    monkeypatch.setattr(consumers, "look_up_standing", slowly)
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.2)
    async with opened(viewer.session_key) as browser:
        assert (await browser.wait_for("alert"))["change"] == "opened"
        assert (await browser.wait_for("alert"))["change"] == "closed"
        assert await browser.wait_for("alert_list") == {"alerts": []}
    assert reads[:3] == [1, 1, 0]


def test_states_and_live_alerts_are_read_in_two_queries(viewer: Desk, django_assert_num_queries: Any) -> None:
    cameras = [viewer.camera(), viewer.camera()]
    for camera in cameras:
        raise_alert(camera)
    with django_assert_num_queries(2):
        standing = access.look_up_standing(frozenset(each.pk for each in cameras))
    assert (len(standing.statuses), len(standing.alerts.alerts)) == (2, 2)


async def test_state_whose_publication_was_lost_is_told_at_the_next_heartbeat_and_not_again(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await in_thread(viewer.camera, state="stopped")
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.2)
    async with opened(viewer.session_key) as browser:
        assert (await browser.wait_for("camera_status"))["state"] == "stopped"
        await browser.wait_for("ping")
        await in_thread(Camera.objects.filter(pk=camera.pk).update, state="online", state_since=NOON)
        said = [await browser.read()]
        while [each["type"] for each in said].count("ping") < 3:
            said.append(await browser.read())
    told = [each["data"]["state"] for each in said if each["type"] == "camera_status"]
    assert told == ["online"]


async def test_state_is_told_again_where_it_was_another_meanwhile_and_its_return_was_lost(
    viewer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await in_thread(viewer.camera, state="stopped")
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.5)
    async with opened(viewer.session_key) as browser:
        assert (await browser.wait_for("camera_status"))["state"] == "stopped"
        await browser.wait_for("ping")
        await in_thread(publish.publish_stream_stopped, camera.pk, "Stopped.")
        await browser.wait_for("stream_stopped")
        said = [await browser.read()]
        while [each["type"] for each in said].count("ping") < 2:
            said.append(await browser.read())
    assert [each["data"]["state"] for each in said if each["type"] == "camera_status"] == ["stopped"]


def end_alert(camera: Camera, *, opened: timedelta, closed: timedelta) -> Alert:
    """One that began and ended so long ago."""
    now = utc_now()
    alert = raise_alert(camera)
    Alert.objects.filter(pk=alert.pk).update(
        opened_at=now - opened, last_seen_at=now - opened, state=AlertState.CLOSED, closed_at=now - closed
    )
    return alert


@pytest.mark.parametrize("way", ["address", "subscribe"])
async def test_client_that_comes_back_is_told_what_ended_meanwhile(way: str, viewer: Desk) -> None:
    minute = timedelta(minutes=1)
    camera = await in_thread(viewer.camera)
    missed = await in_thread(end_alert, camera, opened=3 * minute, closed=minute)
    await in_thread(end_alert, camera, opened=9 * minute, closed=8 * minute)
    await in_thread(end_alert, await in_thread(make_camera), opened=3 * minute, closed=minute)
    live = await in_thread(raise_alert, camera)
    since = spell(utc_now() - 5 * minute)
    async with opened(viewer.session_key, path=f"/ws?since={since}" if way == "address" else "/ws") as browser:
        if way == "subscribe":
            await browser.wait_for("alert_list")
            await browser.ask("subscribe", since=since)
        first = await browser.wait_for("alert")
        assert (first["alertId"], first["change"], first["replayed"]) == (missed.pk, "closed", True)
        if way == "address":
            assert (await browser.wait_for("alert"))["alertId"] == live.pk
        said = await until_pong(browser)
    assert [each for each in said if each["type"] == "alert"] == []


@pytest.mark.parametrize(
    ("since", "why"),
    [
        ("yesterday", "since: Input should be a valid datetime"),
        ("0001-01-01T00:00:00%2B14:00", "since: Input should be greater than or equal to"),
        ("9999-12-31T23:59:59-14:00", "since: Input should be less than or equal to"),
    ],
)
async def test_what_the_address_says_amiss_is_told_and_the_rest_heeded(since: str, why: str, viewer: Desk) -> None:
    row = await in_thread(record, await in_thread(viewer.camera))
    await in_thread(publish.publish_frame, row)
    async with opened(viewer.session_key, path=f"/ws?since={since}&pictures=url&width=400") as browser:
        await browser.wait_for("connection_ack")
        refused = await browser.read()
        shown = await browser.wait_for("detection_result")
    assert (refused["type"], refused["data"]["code"]) == ("error", "unreadable")
    assert refused["data"]["message"].startswith(why)
    assert shown["frame"] == f"/frames/{row.frame_key}/?width=480"


async def test_every_wish_of_an_address_that_is_amiss_is_left_out_and_one_error_tells(viewer: Desk) -> None:
    async with opened(viewer.session_key, path="/ws?pictures=large&width=none") as browser:
        said = await until_pong(browser)
    told = [each["data"]["message"] for each in said if each["type"] == "error"]
    assert [each.partition(":")[0] for each in told] == ["pictures"]


def test_of_very_many_that_ended_the_newest_are_told(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MOST_ENDED", 2)
    camera = viewer.camera()
    ended = [end_alert(camera, opened=timedelta(minutes=n), closed=timedelta(0)) for n in (5, 4, 3)]
    told = access.look_up_ended(frozenset([camera.pk]), utc_now() - timedelta(minutes=6))
    assert [each.alert_id for each in told] == [each.pk for each in ended[1:]]


async def test_page_that_shows_nothing_is_sent_no_verdicts(viewer: Desk) -> None:
    shown, other = await in_thread(viewer.camera), await in_thread(viewer.camera)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("connection_ack")
        await browser.ask("subscribe", framesOf=[shown.pk], pictures="none")
        await browser.ask("ping", echo=1)
        await browser.wait_for("pong")
        for camera in (other, shown):
            await in_thread(publish.publish_verdict, await in_thread(record, camera))
        assert (await browser.wait_for("assessment_result"))["cameraId"] == shown.pk


@pytest.mark.parametrize(("demo", "spoken"), [(True, "zh-hans"), (False, "en")])
async def test_socket_of_the_demo_speaks_the_browsers_language(
    demo: bool, spoken: str, viewer: Desk, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEMO = demo
    heard: list[str | None] = []

    def listen(entry: access.Entry) -> access.Access | None:
        heard.append(get_language())
        return access.look_up_access(entry)

    monkeypatch.setattr(consumers, "look_up_access", listen)
    async with opened(viewer.session_key, language="zh-CN,zh;q=0.9") as browser:
        await browser.wait_for("camera_list")
    assert heard == [spoken]


async def test_socket_ends_though_a_cancellation_is_swallowed(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    swallowed = asyncio.Event()

    async def swallow(_feed: ClientFeed) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ClientFeed, "send_forever", swallow)
    camera = await in_thread(viewer.camera)
    async with opened(viewer.session_key):
        await subscribed(camera)
    assert swallowed.is_set()


async def test_socket_ends_though_leaving_fails(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = await in_thread(viewer.camera)

    async def fail(_layer: object, name: str, *_args: object) -> None:
        raise RuntimeError(name)

    async with opened(viewer.session_key):
        await subscribed(camera)
        monkeypatch.setattr(RedisPubSubLoopLayer, "group_discard", fail)
    monkeypatch.undo()
    client = connect_redis()
    for each in connections_to(client, kind="pubsub"):
        client.client_kill_filter(_id=each["id"])


async def test_database_failure_closes_with_try_again(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.2)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("connection_ack")

        def fail(_entry: access.Entry) -> None:
            raise DatabaseError

        monkeypatch.setattr(consumers, "look_up_access", fail)
        assert await browser.closed_with() == consumers.TRY_AGAIN_LATER


async def test_redis_failure_closes_with_try_again(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.2)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("connection_ack")

        async def fail(_reader: FrameReader) -> str:
            raise redis.ConnectionError

        monkeypatch.setattr(FrameReader, "run_id", fail)
        assert await browser.closed_with() == consumers.TRY_AGAIN_LATER


async def test_page_catches_up_after_redis_was_restarted(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = await in_thread(viewer.camera)
    monkeypatch.setattr(consumers, "LOOK_AGAIN_SECONDS", 0.2)
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_status")

        async def another(_reader: FrameReader) -> str:
            return "another run"

        monkeypatch.setattr(FrameReader, "run_id", another)
        assert (await browser.wait_for("camera_status"))["cameraId"] == camera.pk


async def test_failure_of_our_own_closes_and_is_not_hidden(viewer: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_entry: access.Entry) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(consumers, "look_up_access", fail)
    async with opened(viewer.session_key) as browser:
        assert (await browser.wait_for("error"))["code"] == "failed"
        assert await browser.closed_with() == consumers.FAILED


async def test_client_that_has_just_left_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer, refused = consumers.LiveConsumer(), list[str]()
    monkeypatch.setattr(consumer, "_ending", False, raising=False)

    async def refuse(message: dict[str, Any]) -> None:
        refused.append(message["type"])
        raise Disconnected("Attempt to send on a closed protocol")

    monkeypatch.setattr(consumer, "base_send", refuse, raising=False)
    await consumer._post("text")
    await consumer._post(b"picture")
    await consumer._end(consumers.TOO_SLOW, "too slow")
    assert refused == ["websocket.send", "websocket.send", "websocket.send", "websocket.close"]


def test_looking_up_access_takes_three_queries(viewer: Desk, django_assert_num_queries: Any) -> None:
    for number in (1, 2):
        viewer.camera()
        with django_assert_num_queries(3):
            found = access.look_up_access(access.Entry(viewer.session_key))
        assert found is not None
        assert len(found.cameras) == number


@pytest.fixture(autouse=True)
def quiet_redis(redis_client: redis.Redis) -> Iterator[None]:
    yield
    assert redis_client.pubsub_channels(publish.redis_channel("*")) == []


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Collector, Telemetry]]:
    """Traces of this process, and who collects them."""
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.address)
        telemetry = Telemetry({}, version="1")
        tracing.use(telemetry)
        yield made, telemetry
        tracing.turn_off()


async def test_traced_frame_is_followed_until_the_page_has_drawn_it(
    viewer: Desk, collector: tuple[Collector, Telemetry]
) -> None:
    camera, (collected, telemetry) = await sync_to_async(viewer.camera)(), collector
    with tracing.span("publish", parent="") as told:
        await sync_to_async(publish.publish_frame)(await sync_to_async(record)(camera))
        traceparent = told.traceparent()
    async with opened(viewer.session_key) as browser:
        shown = await browser.wait_for("detection_result")
        assert shown["traceparent"] == traceparent
        await browser.ask("drawn", traceparent=traceparent, receivedAgoMs=30, drawnAgoMs=10)
        await browser.ask("ping", echo="after it")
        while (await browser.wait_for("pong"))["echo"] != "after it":
            pass
    telemetry.close()
    sent, drawn = collected.named("feed.send"), collected.named("browser.draw")
    [publishing] = collected.named("publish")
    assert [each.parent for each in (*sent, *drawn)] == [publishing.span_id] * 2
    assert drawn[0].ended - drawn[0].began == 20_000_000


async def test_what_a_page_drew_is_heeded_nowhere_without_traces(viewer: Desk) -> None:
    async with opened(viewer.session_key) as browser:
        await browser.wait_for("camera_list")
        await browser.ask("drawn", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", receivedAgoMs=3, drawnAgoMs=1)
        await browser.ask("drawn", traceparent="none", receivedAgoMs=3, drawnAgoMs=1)
        assert (await browser.wait_for("error"))["code"] == "unreadable"
