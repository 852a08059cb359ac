"""What the wall says of a detection that cannot keep up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from playwright.sync_api import Page, expect

from assessment.ladder import LadderLevel, LadderReason, LadderState
from assessment.service_level import LADDER_KEY
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


def test_reduced_assessment_is_said_with_its_reason_until_it_is_over(
    page: Page, operator: User, camera: Camera, sign_in: SignIn, redis_client: redis.Redis
) -> None:
    sign_in(operator)
    connected(page)
    banner = page.locator("#ladder")
    expect(banner).to_be_hidden()
    reduce(redis_client, LadderLevel.URGENT_ONLY, LadderReason.KEYS_COOLING)
    expect(banner).to_have_text("Assessment is reduced: only urgent groups are judged (the key pool cannot keep up).")
    expect(page.locator("#load")).to_be_hidden()
    reduce(redis_client, LadderLevel.GEOMETRY_ONLY, LadderReason.BUDGET_SPENT)
    expect(banner).to_have_text(
        "Assessment is reduced: the model is not asked, nothing is judged (the day's budget is used up)."
    )
    redis_client.delete(LADDER_KEY)
    expect(banner).to_be_hidden()


def test_every_level_and_reason_has_its_words(
    page: Page, operator: User, sign_in: SignIn, redis_client: redis.Redis
) -> None:
    sign_in(operator)
    connected(page)
    banner, said = page.locator("#ladder"), set[str]()
    reduced, reasons = list(LadderLevel)[1:], [each for each in LadderReason if each]
    for level, reason in [*((each, reasons[0]) for each in reduced), *((reduced[0], each) for each in reasons[1:])]:
        reduce(redis_client, level, reason)
        words = re.compile(r"^Assessment is reduced: [a-zA-Z ,]+ \([a-zA-Z' ]+\)\.$")
        expect(banner).to_have_text(words)
        expect(banner).not_to_have_text(re.compile("|".join(map(re.escape, said)) or "^$"))
        said.add(banner.inner_text())
    assert len(said) == len(reduced) + len(reasons) - 1


def reduce(client: redis.Redis, level: LadderLevel, reason: LadderReason) -> None:
    since = utc_now()
    client.set(LADDER_KEY, json.dumps({"level": level, "reason": reason, "since": since.isoformat()}))
    publish.publish_load(1.0, LadderState(level=level, reason=reason, since=since))


def stretch(client: redis.Redis, factor: float) -> None:
    client.set(PACE_KEY, json.dumps({"stretch": factor}))
    publish.publish_load(factor, LadderState())
