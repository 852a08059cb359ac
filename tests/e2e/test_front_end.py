"""A front end on another origin, in a real browser: it has an API token and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from cameras.models import Camera
from tests.e2e.conftest import FRONT_END, Server, keep_picture
from tests.factories import make_camera, make_token, record
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Scope
from trafficmon.core.clock import utc_now
from trafficmon.live import publish

pytestmark = pytest.mark.e2e

WATCH = """async ([server, token]) => {
    const headers = { Authorization: `Bearer ${token}` };
    const cameras = (await (await fetch(`${server}/api/cameras`, { headers })).json()).data;
    const { path } = (await (await fetch(`${server}/api/live/ticket`, { method: "POST", headers })).json()).data;
    const socket = new WebSocket(`${server.replace("http", "ws")}${path}&pictures=url`);
    const shown = await new Promise((resolve) => {
        socket.onmessage = ({ data }) => {
            const message = JSON.parse(data);
            if (message.type === "detection_result") resolve(message.data);
        };
    });
    const picture = await (await fetch(server + shown.frame, { headers })).blob();
    return { cameras: cameras.map((each) => each.name), cameraId: shown.cameraId, type: picture.type };
}"""
REACH = """async (server) => {
    const socket = new WebSocket(`${server.replace("http", "ws")}/ws`);
    const closed = await new Promise((resolve) => { socket.onclose = ({ code }) => resolve(code); });
    const answered = await fetch(`${server}/api/cameras`, { credentials: "include" }).then(() => true, () => false);
    return { closed, answered };
}"""


def open_from(page: Page, origin: str) -> None:
    """Let the page be one of that origin."""
    page.route(f"{origin}/**", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto(f"{origin}/")


def test_front_end_elsewhere_watches_with_a_token(page: Page, server: Server, operator: User, camera: Camera) -> None:
    make_camera(name="Hidden")
    row = record(camera, captured_at=utc_now())
    keep_picture(row.frame_key)
    publish.publish_frame(row)
    token = make_token(operator, Scope.READ, Scope.LIVE)
    open_from(page, FRONT_END)
    seen = page.evaluate(WATCH, [server.address, token])
    assert seen == {"cameras": ["Junction"], "cameraId": camera.pk, "type": "image/jpeg"}


def test_origin_that_is_not_allowed_reaches_nothing(
    page: Page, server: Server, operator: User, sign_in: Callable[[User], str], complaints: list[str]
) -> None:
    sign_in(operator)
    open_from(page, "http://localhost:8098")
    assert page.evaluate(REACH, server.address) == {"closed": 1006, "answered": False}
    assert complaints
    complaints.clear()
