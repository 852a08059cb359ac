"""What the wall says of a detection that cannot keep up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from playwright.sync_api import Page, expect

from cameras.load import PACE_KEY
from cameras.models import Camera
from tests.e2e.test_lost_cameras import keep_screenshot
from tests.e2e.test_wall import connected, show_frame
from trafficmon.accounts.models import User
from trafficmon.core.clock import utc_now
from trafficmon.live import publish

pytestmark = pytest.mark.e2e

SignIn = Callable[[User], str]


def test_stretched_interval_is_said_and_no_picture_is_called_old_for_it(
    page: Page, operator: User, camera: Camera, sign_in: SignIn, redis_client: redis.Redis
) -> None:
    sign_in(operator)
    connected(page)
    banner = page.locator("#load")
    expect(banner).to_be_hidden()
    show_frame(camera, captured_at=utc_now() - timedelta(seconds=20))
    tile = page.locator(f"[data-camera='{camera.pk}']")
    expect(tile).to_have_attribute("data-live", "stale")
    stretch(redis_client, 8.0)
    expect(banner).to_have_text(
        "More is asked than can be done: cameras are analysed every 14.4 s instead of every 1.8 s."
    )
    expect(tile).to_have_attribute("data-live", "live")
    keep_screenshot(page, "wall-load")
    redis_client.delete(PACE_KEY)
    expect(banner).to_be_hidden()


def test_wall_that_opens_under_load_says_so_at_once(
    page: Page, operator: User, camera: Camera, sign_in: SignIn, redis_client: redis.Redis
) -> None:
    redis_client.set(PACE_KEY, json.dumps({"stretch": 1.5}))
    sign_in(operator)
    connected(page)
    expect(page.locator("#load")).to_have_text(
        "More is asked than can be done: cameras are analysed every 2.7 s instead of every 1.8 s."
    )


def stretch(client: redis.Redis, factor: float) -> None:
    client.set(PACE_KEY, json.dumps({"stretch": factor}))
    publish.publish_load(factor)
